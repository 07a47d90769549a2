"""The families of text decoders: names and defaults, a file each."""
