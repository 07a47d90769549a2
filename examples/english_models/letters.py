"""The CTC alphabet: that of facebook/wav2vec2-base-960h, in its order."""

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
TOKENS = (*SPECIAL, "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
IDS = {token: index for index, token in enumerate(TOKENS)}
BLANK = IDS["<pad>"]


def encode(text: str) -> list[int]:
    """Token ids of a transcript in capitals; a space becomes the word delimiter, what is no letter is left out."""
    return [IDS[character] for character in text.replace(" ", "|") if character in IDS]


def decode(ids: list[int]) -> str:
    """Greedy CTC: merge repeats, drop blanks and special tokens."""
    kept = [now for before, now in zip([BLANK, *ids], ids, strict=False) if now != before]
    return " ".join("".join(TOKENS[token] for token in kept if token >= len(SPECIAL)).replace("|", " ").split())
