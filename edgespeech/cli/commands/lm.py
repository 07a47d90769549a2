"""`edgespeech lm`: n-gram language models: building them from text, converting them, saying what is in one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from edgespeech_runtime.cli.display.output import number, say, size, table, to_json
from edgespeech_runtime.cli.interrupts import Interrupted

from edgespeech.cli.display.progress import Bar
from edgespeech.cli.errors import CommandError

if TYPE_CHECKING:
    from edgespeech.ngrams.build import BuildOptions, Built
    from edgespeech.ngrams.files import ModelFacts

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
PERCENT = 100  # steps of the bar
FALLBACK = "0.5,1,1.5"  # edgespeech.ngrams.discounts.FALLBACK; not imported, because it comes with numpy


@click.group(short_help="Build, convert and inspect n-gram language models.")
def lm() -> None:
    """Build, convert and inspect n-gram language models for the beam search of CTC models.

    Models are ARPA files, plain or .gz, KenLM binary files, or our compact files, which open at once whatever their
    size. A bundle holds one by `edgespeech export --lm`.
    """


@lm.command(short_help="Build a model of text.")
@click.argument("text", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--order", type=int, default=3, show_default=True, help="Words of the longest n-grams, 1 to 6.")
@click.option(
    "--prune",
    metavar="N,N,...",
    multiple=True,
    help="Leave out n-grams that come at most so often, for orders 1, 2, ...; the last number holds for the rest.",
)
@click.option(
    "--limit-vocab",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File of words; all others count as unknown.",
)
@click.option(
    "--discount-fallback",
    is_flag=False,
    flag_value=FALLBACK,
    metavar="[D1,D2,D3]",
    help=f"Discounts for orders where the text allows no estimate; without numbers {FALLBACK}.",
)
@click.option(
    "--no-interpolate-unigrams",
    "interpolate_unigrams",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Give all that the discounts of unigrams leave to unknown words, as SRILM does.",
)
@click.option("--memory", default="1G", show_default=True, help="Memory for n-grams: 500M, 2G. The rest is on disk.")
@click.option("--quantize", is_flag=True, help="Store probabilities in 8 bits; for compact files.")
@click.option("--force", is_flag=True, help="Replace OUTPUT if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def build(text: Path, output: Path, quantize: bool, force: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Build an n-gram model of TEXT, a file with a sentence in each line, plain or .gz, and write it to OUTPUT.

    Smoothing is interpolated modified Kneser-Ney; counts, discounts and pruning are those of KenLM's lmplz. OUTPUT is
    an ARPA file where its name ends in .arpa or .arpa.gz, else a compact file. Words are taken as they stand: their
    letters and their case must be those of the model that is to use them.

    \b
      edgespeech lm build sentences.txt english.lm --order 3 --prune 0,0,1
    """
    _check_target(output, force, quantize)
    from edgespeech.ngrams.files import facts_of

    built = _build(text, output, quantize, quiet, _options(options))
    facts = facts_of(output)
    if as_json:
        say(
            to_json({"text": str(text), "tokens": built.tokens, **_facts(output, facts), **_estimates(built)}, indent=2)
        )
        return
    say(_line(output, facts))
    for line in table(
        [("words of text", f"{built.tokens:,}".replace(",", " ")), *_rows(facts), *_discount_rows(built)]
    ):
        say(line)


@lm.command(short_help="Convert a model to a compact file, or to ARPA.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--quantize", is_flag=True, help="Store probabilities in 8 bits; for compact files.")
@click.option("--force", is_flag=True, help="Replace OUTPUT if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def convert(model: Path, output: Path, quantize: bool, force: bool, as_json: bool) -> None:
    """Convert MODEL to OUTPUT: an ARPA file where its name ends in .arpa or .arpa.gz, else a compact file.

    A compact file gives the same scores and opens at once; with --quantize it is smaller, and scores are off by about a
    hundredth. KenLM binary files need no conversion, everything here reads them as they are; those with tries are
    converted all the same, hash tables (probing, rest) cannot be.
    """
    _check_target(output, force, quantize)
    from edgespeech.ngrams.files import convert as write
    from edgespeech.ngrams.files import facts_of, read_tables

    write(read_tables(model), output, quantize)
    facts = facts_of(output)
    if as_json:
        say(to_json(_facts(output, facts), indent=2))
    else:
        say(_line(output, facts))


@lm.command(short_help="Say what is in a model.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(model: Path, as_json: bool) -> None:
    """Say what is in MODEL: its kind, its n-grams by order, its words. All of it is read and checked."""
    from edgespeech.ngrams.files import facts_of

    facts = facts_of(model)
    if as_json:
        say(to_json(_facts(model, facts), indent=2))
        return
    say(_line(model, facts))
    for line in table(_rows(facts)):
        say(line)


def _check_target(output: Path, force: bool, quantize: bool) -> None:
    if output.exists() and not force:
        raise CommandError(f"{output} exists; name another file, or replace it with --force")
    if quantize and output.name.endswith((".arpa", ".arpa.gz")):
        raise CommandError("--quantize is for compact files; leave it out, or give OUTPUT a name that ends in .lm")


def _build(text: Path, output: Path, quantize: bool, quiet: bool, options: "BuildOptions") -> "Built":
    """Build and write with progress on stderr. The parts that were on disk are gone then, the estimates are not."""
    import tempfile

    from edgespeech.ngrams.build import build as build_model
    from edgespeech.ngrams.files import convert as write
    from edgespeech.ngrams.files import is_text, written_whole
    from edgespeech.ngrams.text import tables, write_built

    try:
        with Bar(quiet) as bar, tempfile.TemporaryDirectory(prefix="edgespeech-lm-") as folder:

            def progress(step: str, done: float) -> None:
                bar(step, round(PERCENT * done), PERCENT)

            built = build_model(text, Path(folder), options, progress)
            bar("writing", 0, None)
            if is_text(output):
                with written_whole(output) as partial:
                    write_built(built, partial)
            else:
                write(tables(built), output, quantize)
    except Interrupted as stop:
        stop.outcome = "; nothing was written"
        raise
    return built


def _options(options: dict[str, Any]) -> "BuildOptions":
    from edgespeech.ngrams.build import BuildOptions
    from edgespeech.ngrams.discounts import parse_fallback

    vocabulary, fallback = options["limit_vocab"], options["discount_fallback"]
    return BuildOptions(
        order=options["order"],
        prune=_numbers(options["prune"]),
        allowed=None if vocabulary is None else frozenset(vocabulary.read_bytes().split()),
        fallback=None if fallback is None else parse_fallback(fallback),
        interpolate_unigrams=options["interpolate_unigrams"],
        memory=_bytes(options["memory"]),
    )


def _numbers(texts: tuple[str, ...]) -> tuple[int, ...]:
    parts = " ".join(texts).replace(",", " ").split()
    if not all(part.isdecimal() for part in parts):
        raise CommandError(f"--prune: expected numbers such as 0,0,1, got {' '.join(texts)!r}")
    return tuple(map(int, parts))


def _bytes(text: str) -> int:
    digits, unit = text.strip().upper().removesuffix("B"), ""
    if digits and digits[-1] in UNITS:
        digits, unit = digits[:-1], digits[-1]
    if not digits.isdecimal():
        raise CommandError(f"--memory: expected a size such as 500M or 2G, got {text!r}")
    return int(digits) * UNITS[unit]


def _facts(path: Path, facts: "ModelFacts") -> dict[str, Any]:
    return {
        "model": str(path),
        "kind": facts.kind,
        "order": facts.order,
        "ngrams": list(facts.counts),
        "words": facts.words,
        "bytes": facts.bytes,
    }


def _estimates(built: "Built") -> dict[str, Any]:
    return {"discounts": [list(each) for each in built.discounts], "counted": [s.ngrams for s in built.statistics]}


def _line(path: Path, facts: "ModelFacts") -> str:
    words = "words without their text" if facts.words is None else number(facts.words, "word")
    return f"{path}: {facts.kind}, order {facts.order}, {words}, {size(facts.bytes)}"


def _rows(facts: "ModelFacts") -> list[tuple[str, str]]:
    return [(f"{order}-grams", f"{count:,}".replace(",", " ")) for order, count in enumerate(facts.counts, start=1)]


def _discount_rows(built: "Built") -> list[tuple[str, str]]:
    return [
        (f"discounts of {order}-grams", ", ".join(f"{value:.4f}" for value in values))
        for order, values in enumerate(built.discounts, start=1)
    ]
