"""How exact and how fast forced alignment is: edges of words that are known, and an hour of text in one search.

python -m benchmarks.alignment BUNDLE --speech FOLDER --json build/bench-alignment.json

FOLDER has the sets `fsdd` and `keywords`, single words of real speakers. The JSON holds `edges`, of each set the
words, those not found, and in milliseconds the mean, the 95th percentile and the largest error of an edge; and `hour`,
with `frames`, `letters`, `seconds` of search (the processor's) and `megabytes` that it took on top of the logits.
"""

import json
import resource
import time
from pathlib import Path
from typing import Any

import click
import edgespeech_runtime
import numpy as np
from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.ctc.alignment import align

from benchmarks.joined_words import draw, edge_errors, join, recordings

SETS = {"fsdd": 6, "keywords": 3}  # words of a joined recording
SILENCES = (0.0, 0.05, 0.2, 0.5, 1.0, 3.0)  # seconds
FRAMES, LETTERS = 180_000, 50_000  # of an hour
WRONG = 0.1  # letters that the model has wrong in it


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--speech", type=click.Path(path_type=Path, exists=True), required=True, help="Where the sets lie.")
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="Joined recordings of a set.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
def main(bundle: Path, speech: Path, count: int, json_file: Path | None) -> None:
    """Measure forced alignment with a CTC bundle on joined words, and its search on an hour of made-up logits."""
    with edgespeech_runtime.load(bundle, threads=1) as model:
        if not isinstance(model, edgespeech_runtime.CtcModel):
            raise click.BadParameter(f"{bundle} is no CTC model", param_hint="BUNDLE")
        result: dict[str, Any] = {"edges": {name: _edges(model, speech / name, count) for name in SETS}}
    result["hour"] = _hour()
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo(json.dumps(result, indent=2))


def _edges(model: edgespeech_runtime.CtcModel, folder: Path, count: int) -> dict[str, float]:
    known, rng = recordings(folder), np.random.default_rng(0)
    errors = []
    for seed in range(count):
        errors.append(edge_errors(model, join(draw(known, SETS[folder.name], rng), SILENCES, seed)))
    late = 1000 * np.abs(np.concatenate(errors))
    found = late[~np.isnan(late)]
    facts = {"words": len(late), "not found": int(np.isnan(late[:, 0]).sum()), "mean ms": found.mean()}
    return {
        name: round(float(x), 1)
        for name, x in (facts | {"p95 ms": np.percentile(found, 95), "max ms": found.max()}).items()
    }


def _hour() -> dict[str, float]:
    """A search over logits of an hour, made of a random text with a tenth of its letters wrong."""
    rng = np.random.default_rng(0)
    letters = "ETAOINSHRDLU"
    vocabulary = Vocabulary(("<pad>", "|", *letters), 0)
    lexicon = ["".join(rng.choice(list(letters), rng.integers(1, 9))) for _ in range(3000)]
    text = " ".join(lexicon[at] for at in rng.integers(0, len(lexicon), LETTERS // 5))[:LETTERS].strip()
    ids = np.array([vocabulary.tokens.index("|" if letter == " " else letter) for letter in text])
    frames = 2 * np.sort(rng.choice(FRAMES // 2 - 1, len(ids), replace=False))
    wrong = rng.random(len(ids)) < WRONG
    ids[wrong] = rng.integers(1, len(vocabulary.tokens), wrong.sum())
    logits = rng.standard_normal((FRAMES, len(vocabulary.tokens))).astype(np.float32)
    logits[:, 0] += 9
    logits[frames, 0] -= 9
    logits[frames, ids] += 9
    before, start = _megabytes(), time.process_time()
    align(logits, text, vocabulary)
    seconds = time.process_time() - start
    return {
        "frames": FRAMES,
        "letters": len(text),
        "seconds": round(seconds, 2),
        "megabytes": round(_megabytes() - before),
    }


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
