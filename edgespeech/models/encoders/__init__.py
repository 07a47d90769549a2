"""The families of speech encoders: names and defaults, a file each."""
