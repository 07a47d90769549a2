"""Speed of the beam search over CTC output, beside pyctcdecode where that is installed: `benchmarks.ctc_search`.

What is searched are seeded logits of 32 letters in three kinds, from frames that say little else than one letter to
frames in which every letter is possible; or, with `--logits FILE`, those of an .npz with `[frames, letters]` each.
The language model is the ARPA file given with `--lm`, upper case. Times are of the process, on one core, interleaved.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.fusion import Fusion
from edgespeech_runtime.ctc.hotwords import checked_hotwords
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.step import BeamOptions

LABELS = ("", "<s>", "</s>", "⁇", " ", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
FRAME = 0.02  # seconds
SECONDS = 10
KINDS = {"clear": 9.0, "doubtful": 6.0, "noise": 2.0}  # how far a frame's letter stands out, in natural log units
HOTWORDS = 200
Logits = npt.NDArray[np.float32]


def spoken(margin: float, seed: int = 0) -> Logits:
    """Random words, one letter in two frames and a blank or a space behind, in noise of deviation 2."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.standard_normal((round(SECONDS / FRAME), len(LABELS)))
    logits[:, 1:4] -= 15.0
    for frame in range(0, len(logits), 4):
        token = 4 if rng.random() < 0.2 else int(rng.choice(np.arange(5, 17)))
        logits[frame : frame + 2, token] += margin
        logits[frame + 2 : frame + 4, 0] += margin
    return logits.astype(np.float32)


def contenders(model: Path | None, phrases: list[str]) -> dict[str, Callable[[Logits], str]]:
    """Who searches, by name; each takes logits and gives a text."""
    alphabet, options = Alphabet(LABELS), BeamOptions(prune_history=True)
    fusion = None if model is None else Fusion(open_language_model(model))
    plain = BeamSearch(alphabet, fusion, None, options)
    hot = BeamSearch(alphabet, fusion, checked_hotwords(phrases, alphabet), options)
    found = {
        "edgespeech": lambda logits: plain.decode(logits, 1)[0].text,
        f"edgespeech, {len(phrases)} hotwords": lambda logits: hot.decode(logits, 1)[0].text,
    }
    try:
        build_ctcdecoder = import_module("pyctcdecode").build_ctcdecoder
    except ImportError:
        return found
    words = None if fusion is None else list(fusion.model.words or ())
    decoder = build_ctcdecoder(list(LABELS), None if model is None else str(model), words)
    return {
        **found,
        "pyctcdecode": lambda logits: str(decoder.decode(logits)),
        f"pyctcdecode, {len(phrases)} hotwords": lambda logits: str(decoder.decode(logits, hotwords=phrases)),
    }


def measure(searches: dict[str, Callable[[Logits], str]], inputs: list[Logits], rounds: int) -> dict[str, float]:
    """The real-time factor of each, the best of some rounds after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(rounds + 1):
        for name, search in searches.items():
            began = time.process_time()
            for logits in inputs:
                search(logits)
            seconds[name].append(time.process_time() - began)
    audio = FRAME * sum(map(len, inputs))
    return {name: min(times[1:]) / audio for name, times in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm", type=Path, help="an ARPA file, upper case")
    parser.add_argument("--logits", type=Path, help="an .npz of logits [frames, 32], in the order of LABELS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    phrases = ["".join(rng.choice(list("ETAONIHSRDLU"), rng.integers(4, 10))) for _ in range(HOTWORDS)]
    searches = contenders(arguments.lm, phrases)
    kinds = {kind: [spoken(margin)] for kind, margin in KINDS.items()}
    if arguments.logits is not None:
        with np.load(arguments.logits) as stored:
            kinds = {arguments.logits.stem: [stored[name] for name in stored.files]}
    figures = {kind: measure(searches, inputs, arguments.rounds) for kind, inputs in kinds.items()}
    for kind, factors in figures.items():
        for name, factor in factors.items():
            print(f"{kind:12}  {name:28}  real-time factor {factor:.4f}")  # a program's output
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
