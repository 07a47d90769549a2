"""INT8 weights for the numpy engine."""
