"""Makes the Speech2Text2 tokenizers and their goldens: vocabularies, merges, texts. Run by make.py."""

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

from speech2text2_goldens import SEQUENCES, checksum, id_sequences
from transformers import AddedToken, Speech2Text2Tokenizer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
END = "</w>"
KEPT = 300  # decoded texts that are stored, of SEQUENCES
LINES = 200
WORDS = (  # noqa: SIM905
    "der die das und ist nicht ein eine zwei drei vier fünf sechs sieben acht neun null Haus Häuser Straße größer "
    "Übersetzung übersetzen sprechen Sprache sprach gesprochen heute morgen gestern wieder immer schnell langsam "
    "the this that there three house houses speech speaker spoken translate translation translator quick slowly "
    "do n't ca n't I 'm it 's they 've we 're ' . , ? ! - „ “ 3 14 2021"
).split()
UNSEEN = (
    "Zyklop",
    "naïve",
    "東京",
    "x",
    "Q",
    "don't",
    "haus.",
    "Haus@@",
    "@@",
    "a@@b",
    "</w>",
    "e\u0301",
    "ﬁn",
    "İs",
    "ẞ",
)
GAPS = (" ", " ", " ", " ", "  ", "\t", "\n", "\u00a0", "\u2009", "\u3000", "\x1c")

Merge = tuple[str, str]


def symbols(word: str) -> list[str]:
    """Characters of a word; the last one carries the mark of the end."""
    return [*word[:-1], word[-1] + END]


def join(parts: list[str], merge: Merge) -> list[str]:
    """Replace each occurrence of the pair by its concatenation, from the left."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == merge:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def learn(words: list[str], count: int) -> list[Merge]:
    """Byte-pair encoding: the commonest pair first, ties by spelling."""
    parts = [symbols(word) for word in words]
    merges: list[Merge] = []
    for _ in range(count):
        pairs = Counter(pair for word in parts for pair in pairwise(word))
        if not pairs:
            break
        merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
        parts = [join(word, merges[-1]) for word in parts]
    return merges


def piece(part: str) -> str:
    """As the vocabulary spells a symbol: marked where it does not end a word."""
    return part.removesuffix(END) if part.endswith(END) else part + "@@"


def vocabulary(words: list[str], merges: list[Merge], *, size: int | None = None) -> dict[str, int]:
    """Special tokens, every symbol of the words, every merge; cut to a size."""
    single = sorted({part for word in words for part in symbols(word)})
    pieces = dict.fromkeys([*SPECIAL, *map(piece, [*(first + second for first, second in merges), *single])])
    return {token: index for index, token in enumerate(list(pieces)[:size])}


def write_files(folder: Path, tokens: dict[str, int], merges: str | None) -> Path:
    """Write vocab.json and, where there are any, merges.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(tokens, ensure_ascii=False, indent=0), "utf-8")
    if merges is not None:
        (folder / "merges.txt").write_bytes(merges.encode())
    return folder


def load(folder: Path, **options: object) -> Speech2Text2Tokenizer:
    """Load the tokenizer from its own files; without the merges where there are none."""
    merges = folder / "merges.txt"
    files = {"vocab_file": str(folder / "vocab.json"), "merges_file": str(merges) if merges.exists() else None}
    return Speech2Text2Tokenizer(**files, **options)


def small(folder: Path, size: int, seed: int, special: dict[str, str], order: list[str]) -> Speech2Text2Tokenizer:
    """A tokenizer of a model's tiny vocabulary; `order` lists the special tokens as they come first in it."""
    words = random.Random(seed).sample(WORDS[:23], 6)
    merges = learn(words, 12)
    tokens = [token for token in vocabulary(words, merges) if token not in SPECIAL]
    table = {token: index for index, token in enumerate([*order, *tokens][:size])}
    write_files(folder, table, "".join(f"{first} {second}\n" for first, second in merges))
    return load(folder, **special)


def text_lines(seed: int, extra: tuple[str, ...]) -> list[str]:
    """Lines of known and unknown words, in several writings, with unusual spaces and special tokens among them."""
    generator = random.Random(seed)
    lines = ["", " ", "\n", "Haus", *UNSEEN]
    while len(lines) < LINES:
        words = generator.choices([*WORDS, *WORDS, *WORDS, *UNSEEN, *SPECIAL, *extra], k=generator.randrange(1, 9))
        words = [generator.choice([str, str, str, str.upper, str.capitalize])(word) for word in words]
        lines.append("".join(word + generator.choice(GAPS) for word in words[:-1]) + words[-1])
        if generator.random() < 0.2:
            lines[-1] = lines[-1].replace(" ", "", 1)  # special tokens inside of words
    return lines


def write_goldens(folder: Path, tokenizer: Speech2Text2Tokenizer, seed: int, extra: tuple[str, ...] = ()) -> None:
    """Write what the tokenizer makes of ids and, if it can, of text, beside its folder."""
    sequences = id_sequences(len(tokenizer), seed)
    texts = {skip: [tokenizer.decode(ids, skip_special_tokens=skip) for ids in sequences] for skip in (True, False)}
    lines = text_lines(seed, extra) if tokenizer.bpe_ranks is not None else []
    content = {
        "vocabulary": len(tokenizer),
        "seed": seed,
        "decoded": {str(skip).lower(): decoded[:KEPT] for skip, decoded in texts.items()},
        "checksums": {str(skip).lower(): checksum(decoded) for skip, decoded in texts.items()},
        "lines": lines,
        "ids": [tokenizer(line).input_ids for line in lines],
    }
    if len(sequences) != SEQUENCES:
        raise RuntimeError(f"expected {SEQUENCES} sequences, drew {len(sequences)}")
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace('],"', '],\n"')
    folder.with_suffix(".json").write_text(text + "\n", "utf-8")


def make_tokenizers(home: Path) -> None:
    """Write the three tokenizers: with merges and counts, decoding only, lower case with added tokens."""
    merges = learn(WORDS * 2, 160)
    table = vocabulary(WORDS, merges)
    # A third column and a last line that is not ended, both of which the reference ignores.
    counted = "".join(f"{first} {second} {900 - rank}\n" for rank, (first, second) in enumerate(merges)) + "H a 1"
    folder = write_files(home / "merges", table, counted)
    settings = {"tokenizer_class": "Speech2Text2Tokenizer", "clean_up_tokenization_spaces": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    write_goldens(folder, Speech2Text2Tokenizer.from_pretrained(folder), 1)

    source = write_files(home / "decode_only", table, None)
    load(source, clean_up_tokenization_spaces=False).save_pretrained(source)
    write_goldens(source, Speech2Text2Tokenizer.from_pretrained(source), 2)

    lowered = [word.lower() for word in WORDS]
    merges = learn(lowered, 120)
    plain = "".join(f"{first} {second}\n" for first, second in merges)
    source = write_files(home / "lower", vocabulary(lowered, merges), plain)
    tokenizer = load(source, do_lower_case=True, clean_up_tokenization_spaces=True)
    tokenizer.add_tokens(["[Lachen]", AddedToken("[Pause]", lstrip=True, rstrip=True, normalized=False)])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<lang:DE>"]})
    tokenizer.save_pretrained(source)
    loaded = Speech2Text2Tokenizer.from_pretrained(source)
    write_goldens(source, loaded, 3, ("[Lachen]", "[Pause]", "<lang:DE>"))
