"""Sources that functions, loops and filters compute: the extension is split where it is made."""
