"""What all models share: outputs, labels, and the way from and to a checkpoint folder."""
