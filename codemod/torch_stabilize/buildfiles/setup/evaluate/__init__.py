"""The one evaluator of setup files: what they build, under which conditions, without running them."""
