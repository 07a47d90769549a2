"""What both engines share about weights of text decoders."""
