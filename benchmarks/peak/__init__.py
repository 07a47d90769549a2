"""What this machine can do at most, and which share of it an encoder reaches."""
