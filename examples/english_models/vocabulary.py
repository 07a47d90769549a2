"""A byte-level BPE vocabulary cut to the tokens that English sentences need: `python vocabulary.py TEACHER TEXT OUT`.

The most frequent tokens of books are kept, with all bytes and every token that a kept one is merged from, so that the
merges that are left still give each kept token. Tokens get new numbers in the old order; OUT is a folder with the
tokenizer's files and `kept.json`, the old number of each new one.
"""

import argparse
import gzip
import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer

START, END, PROMPT = "<|startoftranscript|>", "<|endoftext|>", "<|notimestamps|>"
MARKS = ".,?!;:-'\""
NAME_WEIGHT = 0.03  # of a word with a capital letter, relative to itself in lower case: the text has capitals only


def word_counts(text: Path, lines: int) -> Counter[str]:
    """How often each word comes in the first `lines` of a text in capitals."""
    with gzip.open(text, "rt", encoding="utf-8") as file:
        return Counter(word for line in islice(file, lines) for word in line.lower().split())


def token_counts(tokenizer: Tokenizer, words: Counter[str]) -> Counter[str]:
    """How often each token would come in sentences of these words."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for form, weight in (
            (f" {word}", 1.0),
            (f" {word.capitalize()}", NAME_WEIGHT),
            (word.capitalize(), NAME_WEIGHT),
        ):
            for token in tokenizer.encode(form, add_special_tokens=False).tokens:
                counts[token] += weight * count
    for mark in MARKS:
        for form in (mark, f" {mark}"):
            for token in tokenizer.encode(form, add_special_tokens=False).tokens:
                counts[token] += sum(words.values())
    return counts


def closed(frequent: list[str], merges: list[tuple[str, str]], size: int) -> set[str]:
    """The first tokens of `frequent` with what they are merged from, at most `size`."""
    parents = {}
    for left, right in merges:
        parents.setdefault(left + right, (left, right))
    kept: set[str] = set()

    def ancestors(token: str) -> set[str]:
        if token in kept or token not in parents:
            return {token} - kept
        left, right = parents[token]
        return {token} | ancestors(left) | ancestors(right)

    for token in frequent:
        new = ancestors(token)
        if len(kept | new) > size:
            break
        kept |= new
    return kept


def cut(teacher: Path, text: Path, size: int, lines: int) -> tuple[dict[str, object], list[int]]:
    """The contents of the new `tokenizer.json`, and the old number of each token."""
    tokenizer = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    contents = json.loads((teacher / "tokenizer.json").read_text(encoding="utf-8"))
    model = contents["model"]
    numbers: dict[str, int] = model["vocab"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    letters = [token for token in numbers if len(token) == 1]  # the 256 bytes, as characters
    counts = token_counts(tokenizer, word_counts(text, lines))
    frequent = [token for token, _ in counts.most_common() if token in numbers and not re.search(r"\d", token)]
    kept = closed(letters + frequent, merges, size - 3)
    tokens = sorted(kept, key=numbers.__getitem__)
    special = {token["content"]: token["id"] for token in contents["added_tokens"]}
    model["vocab"] = {token: number for number, token in enumerate(tokens)}
    model["merges"] = [[left, right] for left, right in merges if {left, right, left + right} <= kept]
    contents["added_tokens"] = [
        {"id": len(tokens) + index, "content": name, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for index, name in enumerate((END, START, PROMPT))
    ]  # fmt: skip
    contents["post_processor"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return contents, [*(numbers[token] for token in tokens), special[END], special[START], special[PROMPT]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("text", type=Path, help="books in capitals, gzip")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=12000, help="tokens to keep (%(default)s)")
    parser.add_argument("--lines", type=int, default=400_000, help="of the text to count (%(default)s)")
    options = parser.parse_args()
    contents, kept = cut(options.teacher, options.text, options.size, options.lines)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tokenizer.json").write_text(json.dumps(contents, ensure_ascii=False, indent=0), encoding="utf-8")
    (options.out / "kept.json").write_text(json.dumps(kept))
    before = Tokenizer.from_file(str(options.teacher / "tokenizer.json"))
    after = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    with gzip.open(options.text, "rt", encoding="utf-8") as file:
        lines = [line.strip().capitalize() + "." for line in islice(file, options.lines, options.lines + 2000)]
    old, new = (sum(len(t.encode(line, add_special_tokens=False).ids) for line in lines) for t in (before, after))
    print(f"{len(kept)} tokens; sentences of books need {new / old:.4f} times as many as before")
    if any(after.decode(after.encode(line).ids) != line for line in lines):
        raise SystemExit("the new vocabulary does not give its text back")


if __name__ == "__main__":
    main()
