"""Spaces that tokenized text has before punctuation and English contractions, and how they are taken out."""

CONTRACTIONS = ("n't", "'m", "'s", "'ve", "'re")

# What is replaced by what, in this order, each in the whole text before the next.
CLEAN_UP = (*((f" {mark}", mark) for mark in ".?!,"), (" ' ", "'"), *((f" {end}", end) for end in CONTRACTIONS))

# The same inside a WordPiece decoder, which knows one contraction more and works on one token at a time.
WORD_PIECE_CLEAN_UP = (*CLEAN_UP[:7], (" do not", " don't"), *CLEAN_UP[7:])


def clean_up(text: str) -> str:
    """Take out the spaces before punctuation and English contractions."""
    for spaced, tight in CLEAN_UP:
        text = text.replace(spaced, tight)
    return text
