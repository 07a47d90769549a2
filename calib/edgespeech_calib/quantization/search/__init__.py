"""Which layers are quantized, and which go back to float."""
