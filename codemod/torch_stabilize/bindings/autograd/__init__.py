"""C++ autograd functions as operators with a backward that Python registers."""
