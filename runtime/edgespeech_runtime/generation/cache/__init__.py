"""The key-value cache of the decoding loop, in the host's memory and on a device, and decoders over graphs with one."""
