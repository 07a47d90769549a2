"""What the commands do; a function of each takes the values of its options."""
