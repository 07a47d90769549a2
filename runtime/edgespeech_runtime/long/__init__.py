"""Recordings of any length: where speech is, what to run of it, and statistics of the whole."""
