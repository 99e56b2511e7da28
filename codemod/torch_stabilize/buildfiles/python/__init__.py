"""Python files: imports of the library, calls of its functions, what repeats them."""
