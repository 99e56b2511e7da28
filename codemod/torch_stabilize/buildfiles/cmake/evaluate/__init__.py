"""CMake files run as CMake runs them, as far as what a target is compiled with depends on it."""
