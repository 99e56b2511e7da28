"""One module for each group of the sample; importing this package registers all of them."""

from tests.sample.references import activation, layernorm

__all__ = ["activation", "layernorm"]
