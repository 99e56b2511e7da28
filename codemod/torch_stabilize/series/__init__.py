"""Every group of a repository, one step after another."""
