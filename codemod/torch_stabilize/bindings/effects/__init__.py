"""What functions do with their tensors, as far as their text tells."""
