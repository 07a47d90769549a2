"""Write the goldens: `words.arpa`, and what pyctcdecode 0.5 finds in every case, with kenlm where it has a model.

It runs in an environment of its own: Python 3.11, numpy 1.26, pyctcdecode 0.5.0, kenlm 0.3.0 from its source package.
"""

import gzip
import json
import logging
import sys
from pathlib import Path

import numpy as np
from pyctcdecode import build_ctcdecoder

sys.path.insert(0, str(Path(__file__).parents[2]))
from ctc_beam_cases import ARPA, COUNT, GOLDENS, case, words

KEPT = 5  # hypotheses of each case


def write_arpa() -> None:
    """A model of three words a gram, with random probabilities: what is compared is arithmetic, not language."""
    rng = np.random.default_rng(11)
    known = words()
    unigrams = ["<unk>", "<s>", "</s>", *known]
    pairs = {("<s>", word) for word in rng.choice(known, 12).tolist()} | {(w, "</s>") for w in known[::3]}
    pairs |= {(str(rng.choice(known)), str(rng.choice(known))) for _ in range(80)}
    known_pairs = sorted(pairs)
    triples = {(a, b, d) for a, b in known_pairs for c, d in known_pairs if b == c and rng.random() < 0.4}
    grams = [[(word,) for word in unigrams], sorted(pairs), sorted(triples)]
    lines = ["\\data\\", *(f"ngram {n}={len(some)}" for n, some in enumerate(grams, 1)), ""]
    for order, some in enumerate(grams, 1):
        lines.append(f"\\{order}-grams:")
        for gram in some:
            score = -99.0 if gram == ("<s>",) else -rng.uniform(0.2, 3.5)
            backoff = "" if order == 3 else f"\t{-rng.uniform(0, 1.2):.6f}"
            lines.append(f"{score:.6f}\t{' '.join(gram)}{backoff}")
        lines.append("")
    ARPA.write_text("\n".join([*lines, "\\end\\", ""]), encoding="utf-8")


def main() -> None:
    """Decode all cases."""
    logging.disable(logging.WARNING)
    write_arpa()
    known = [*words(), "<unk>", "<s>"]
    results = []
    for seed in range(COUNT):
        made = case(seed)
        decoder = build_ctcdecoder(
            list(made.labels), str(ARPA) if made.has_model else None, known if made.has_model else None
        )
        beams = decoder.decode_beams(made.logits, hotwords=list(made.hotwords), **made.options)
        results.append([[text, frames, logit, score] for text, _, frames, logit, score in beams[:KEPT]])
        decoder.cleanup()
    packed = gzip.compress(json.dumps(results).encode(), mtime=0)
    (GOLDENS / "pyctcdecode.json.gz").write_bytes(packed)
    print(f"{len(results)} cases, {len(packed)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
