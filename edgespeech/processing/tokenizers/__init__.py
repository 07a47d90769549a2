"""Tokenizers: text to ids and back, and the table by which a device makes text of ids."""
