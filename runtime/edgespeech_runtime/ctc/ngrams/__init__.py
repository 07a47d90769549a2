"""N-gram language models of words: their files, their tables, their lookups. It knows no logits and no search."""
