"""Fake kernels in Python, from what C++ bodies say about their results."""
