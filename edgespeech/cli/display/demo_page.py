"""The lines of `edgespeech demo`: bundles, texts and answers, float32 beside INT8. Nothing is run here."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.cli.display.output import size

from edgespeech.cli.commands.demo_steps import FLOAT, INT8, DemoModel, Run, Runs
from edgespeech.cli.display.alignment import align

if TYPE_CHECKING:
    from edgespeech_calib import SpeechSet
    from edgespeech_runtime import Transcript, Word

    Line = tuple[str, str]  # who says or answers it, and the text

WIDTH = 100  # of the page
INSET = "   "
COLUMNS = (12, 14)  # before a text: the recording; who says it or answers it
ROOM = WIDTH - len(INSET) - sum(COLUMNS)
NOBODY, NOTHING = "(nobody speaks)", "(nothing)"
STARTS = "  starts, s"
HEADINGS = ("", "", "size", "real-time factor", "words wrong", "changed by INT8")
NOTE = (
    "real-time factor: seconds of computing for a second of speech. Words are compared in capitals, without "
    "punctuation. These voices are synthetic and few; how well the models understand people is in their cards."
)


def bundle_row(model: DemoModel, form: str, width: int) -> str:
    """A bundle's path in so many columns, its size, the seconds that it took, and what was measured."""
    report = model.manifests[form].report
    facts = _proof(report) if form == FLOAT else _integers(report)
    taken = f"{model.seconds[form]:3.0f} s"
    return f"{INSET}  {form:<8} {model.bundles[form]!s:<{width}} {_size(model, form):>9}  {taken}  {facts}".rstrip()


def _size(model: DemoModel, form: str) -> str:
    return size(sum(file.bytes for file in model.manifests[form].files.values()))


def _proof(report: Mapping[str, Any]) -> str:
    parity = report.get("parity", {})
    off = [value for name in ("single", "batch", "window") if isinstance(value := parity.get(name), float)]
    said = [f"off float64 by {max(off):.0e}"] if off else []
    if isinstance(own := parity.get("float32"), float):
        said.append(f"torch in float32 by {own:.0e}")
    return ", ".join(said + (["the same tokens"] if parity.get("same_tokens") else []))


def _integers(report: Mapping[str, Any]) -> str:
    share = report.get("quantization", {}).get("integer_share")
    return f"{100 * share:.0f} % of the multiply-accumulates in integers" if isinstance(share, float) else ""


def transcript_lines(samples: "SpeechSet", runs_of: Runs) -> Iterator[str]:
    """Of each recording what is said in it, and what each model's INT8 bundle answers; float32 where it differs."""
    for index, utterance in enumerate(samples):
        lines, duration = list(_wrapped("said", utterance.text or NOBODY)), 0.0
        for name, runs in runs_of.items():
            in_int8, in_float = (runs[form].transcripts[index] for form in (INT8, FLOAT))
            lines += _answer_lines(name, in_int8)
            if in_float.text != in_int8.text:
                lines += _wrapped("  in float32", in_float.text or NOTHING)
            duration = in_int8.duration
        yield ""
        begins = [utterance.id, f"{duration:.1f} s", *[""] * len(lines)]
        for begin, (label, text) in zip(begins, lines, strict=False):
            yield f"{INSET}{begin:<{COLUMNS[0]}}{label:<{COLUMNS[1]}}{text}".rstrip()


def _answer_lines(name: str, transcript: "Transcript") -> "Iterator[Line]":
    if not transcript.words:
        yield from _wrapped(name, transcript.text or NOTHING)
        return
    for words, starts in _timed(transcript.words):
        yield name, words
        yield STARTS, starts
        name = ""


def _timed(words: "Sequence[Word]") -> Iterator[tuple[str, str]]:
    """Words in columns, and below each the second at which it starts; as many lines of both as they take."""
    texts = starts = ""
    for word in words:
        start = f"{word.start:.1f}"
        width = max(len(word.text), len(start)) + 1
        if texts and len(texts) + width > ROOM:
            yield texts, starts
            texts = starts = ""
        texts += f"{word.text:<{width}}"
        starts += f"{start:<{width}}"
    yield texts, starts


def _wrapped(label: str, text: str) -> "Iterator[Line]":
    for line in textwrap.wrap(text, ROOM):
        yield label, line
        label = ""


def table_lines(models: Sequence[DemoModel], data: "SpeechSet", runs_of: Runs) -> Iterator[str]:
    """A table of the bundles: size, speed, words that are wrong, and words that INT8 changed."""
    said = [_words(utterance.text or "") for utterance in data]
    rows = [HEADINGS]
    for model in models:
        runs = runs_of[model.name]
        texts = {form: [_words(one.text) for one in run.transcripts] for form, run in runs.items()}
        changed = {FLOAT: "", INT8: _share(texts[FLOAT], texts[INT8])}
        for form, run in runs.items():
            name = model.name if form == FLOAT else ""
            rows.append((name, form, _size(model, form), _speed(run), _share(said, texts[form]), changed[form]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = "  ".join(f"{cell:<{width}}" for cell, width in zip(row[:2], widths[:2], strict=True))
        right = "".join(f"{cell:>{width + 3}}" for cell, width in zip(row[2:], widths[2:], strict=True))
        yield f"{INSET}{left}{right}".rstrip()
    yield ""
    yield from textwrap.wrap(NOTE, WIDTH, initial_indent=INSET, subsequent_indent=INSET)


def _speed(run: Run) -> str:
    return f"{run.real_time_factor:.3f}, {1 / max(run.real_time_factor, 1e-9):3.0f} x real time"


def _share(expected: Sequence[list[str]], transcribed: Sequence[list[str]]) -> str:
    wrong = sum(words_wrong(said, answer) for said, answer in zip(expected, transcribed, strict=True))
    return f"{wrong} of {sum(map(len, expected))}"


def words_wrong(expected: list[str], transcribed: list[str]) -> int:
    """Words that were left out, put in or mistaken."""
    return sum(a is None or b is None or expected[a] != transcribed[b] for a, b in align(expected, transcribed))


def _words(text: str) -> list[str]:
    from edgespeech_calib import normalise

    return normalise(text, "basic").split()
