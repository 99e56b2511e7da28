"""A library that nothing is left of, taken out of the files of each kind."""
