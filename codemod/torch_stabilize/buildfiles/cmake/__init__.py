"""CMakeLists.txt: sources change lists, a stable target is made, settings and conditions follow."""
