"""How TORCH_BOX gets each function: as it is, made wider, or through an adapter."""
