"""CTC decoding, from logits to tokens, words and times. numpy alone; it knows no model and no engine."""
