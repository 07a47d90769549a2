"""Build the data set of the translator: recordings of single digits, and synthetic strings of them.

    python prepare_digits.py SPEECH OUT

SPEECH holds the folder fsdd. OUT receives `audio.i16` and `index.tsv`; see `corpus`.
"""

import argparse
import itertools
import random
from pathlib import Path

from corpus import real_items, synthetic_items, write
from german import DIGITS
from synthesis import Utterance, draw_utterance

LONGEST = 10  # words of a synthetic string


def draw_string(rng: random.Random) -> Utterance:
    """A string of 1 to `LONGEST` digits in a synthetic voice; half of them with commas, where voices pause."""
    words = rng.choices(DIGITS, k=rng.randint(1, LONGEST))
    plain = draw_utterance(" ".join(words), rng)
    if rng.random() < 0.5:
        return plain
    *command, spoken = plain.command
    return Utterance(plain.transcript, plain.voice, (*command, spoken.replace(" ", ", ")))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder of the corpora")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--strings", type=int, default=3000, help="synthetic training strings (%(default)s)")
    parser.add_argument("--held-out", type=int, default=200, help="synthetic held-out strings (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="programs to run at once (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    train, test = ([draw_string(rng) for _ in range(count)] for count in (args.strings, args.held_out))
    args.out.mkdir(parents=True, exist_ok=True)
    items = itertools.chain(
        real_items(args.speech / "fsdd"),
        synthetic_items(test, "test", args.jobs),
        synthetic_items(train, "train", args.jobs),
    )
    write(items, args.out)


if __name__ == "__main__":
    main()
