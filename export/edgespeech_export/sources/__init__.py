"""From a checkpoint to what is exported: the model of each task and what its bundle must know."""
