"""What a quantized model's answers show, and whether that is allowed."""
