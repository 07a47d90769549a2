"""What a quantization did and found, as JSON and as a page."""
