"""What commands print: facts, tables, progress, transcripts."""
