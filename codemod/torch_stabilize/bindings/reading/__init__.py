"""Every legacy and stable form of registration, read into one model."""
