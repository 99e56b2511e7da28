"""The program: every library of a repository, with what its units define and ask for."""
