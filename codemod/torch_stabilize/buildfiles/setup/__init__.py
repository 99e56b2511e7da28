"""setup.py: sources change extensions, a stable extension is made, in whatever plain form the lists are written."""
