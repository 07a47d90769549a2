"""The proof that a bundle computes what its reference model computes."""
