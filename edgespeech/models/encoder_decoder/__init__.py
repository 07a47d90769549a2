"""The speech encoder-decoder: two halves joined, trained and stored."""
