"""What commands print: results to stdout, progress and errors to stderr."""
