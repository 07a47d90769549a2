"""Running systems over a labelled set, and the report of it."""
