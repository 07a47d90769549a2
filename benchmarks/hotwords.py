"""What hotwords bring on labelled speech: recall of ten of its words, and errors among all others.

python -m benchmarks.hotwords BUNDLE --data SET --counts FILE --json build/bench-hotwords.json

Words are chosen by four rules. Of those with at least five letters: `repeated`, that the set says twice or more, and
`missed`, that the search with the bundle's language model misses at least once; of these the ten that are rarest in
FILE are taken (a word, a tab, its count, as in word counts of LibriSpeech's text). Of those with at least six letters,
the ten that the set says most often of those that the greedy text misses half of the time or more (`hard, greedy`), and
the same with the search (`hard, search`). Compared are the greedy text, the
search with the language model, and the same with the ten words as hotwords, of each weight.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
import edgespeech_runtime
from edgespeech_calib import open_set
from edgespeech_calib.scoring.alignment import align

LETTERS, TIMES, WORDS = 5, 2, 10
WEIGHTS = (5.0, 10.0, 15.0)


def repeated(texts: list[str]) -> set[str]:
    """Words that are said more than once."""
    said = Counter(word for text in texts for word in text.split())
    return {word for word, times in said.items() if times >= TIMES}


def missed(texts: list[str], answers: list[str]) -> set[str]:
    """Words that are not recognised at least once."""
    pairs = (align(text.split(), answer.split()) for text, answer in zip(texts, answers, strict=True))
    return {pair.reference for some in pairs for pair in some if pair.reference and pair.kind != "hit"}


def rarest(words: set[str], counts: dict[str, int]) -> list[str]:
    """The rarest ten; of equally rare ones, by the alphabet."""
    return sorted((word for word in words if len(word) >= LETTERS), key=lambda word: (counts.get(word, 0), word))[
        :WORDS
    ]


def hard(texts: list[str], answers: list[str]) -> list[str]:
    """The ten most frequent longer words that are missed half of the time or more; of equals, by the alphabet."""
    said: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for text, answer in zip(texts, answers, strict=True):
        for pair in align(text.split(), answer.split()):
            if pair.reference is not None and len(pair.reference) > LETTERS:
                said[pair.reference] += 1
                hits[pair.reference] += pair.kind == "hit"
    missed_words = [word for word in said if 2 * hits[word] <= said[word]]
    return sorted(missed_words, key=lambda word: (-said[word], word))[:WORDS]


def scored(texts: list[str], answers: list[str], words: list[str]) -> dict[str, float]:
    """Recall of some words, how often they are written where they are not said, and errors per other word said."""
    said = recognised = wrong = others = 0
    for text, answer in zip(texts, answers, strict=True):
        for pair in align(text.split(), answer.split()):
            if pair.reference in words:
                said += 1
                recognised += pair.kind == "hit"
            else:
                others += pair.reference is not None
                wrong += pair.kind != "hit"
    extra = sum(answer.split().count(word) for answer in answers for word in words) - recognised
    return {
        "said": said,
        "recall %": round(100 * recognised / max(1, said), 1),
        "written elsewhere": extra,
        "errors of other words %": round(100 * wrong / max(1, others), 2),
    }


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--data", required=True, help="A labelled set, as `edgespeech evaluate` takes it.")
@click.option("--counts", type=click.Path(path_type=Path, exists=True), required=True, help="Words and their counts.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
def main(bundle: Path, data: str, counts: Path, json_file: Path | None) -> None:
    """Measure hotwords with a CTC bundle."""
    known = {}
    for line in counts.read_text(encoding="utf-8").splitlines():
        word, count = line.split("\t")
        known[word.upper()] = int(count)
    utterances = list(open_set(data).transcribed())
    texts = [(utterance.text or "").upper() for utterance in utterances]
    with edgespeech_runtime.load(bundle, threads=1) as model:
        if not isinstance(model, edgespeech_runtime.CtcModel):
            raise click.BadParameter(f"{bundle} is no CTC model", param_hint="BUNDLE")
        rate = model.manifest.audio.sampling_rate
        logits = [model.logits(utterance.audio.read(rate), sampling_rate=rate) for utterance in utterances]

        def answers(**options: Any) -> list[str]:
            return [model.decode(each, **options).text.upper() for each in logits]

        greedy, searched = answers(language_model=False), answers(beams=100)
        result: dict[str, Any] = {}
        chosen = {
            "repeated": rarest(repeated(texts), known),
            "missed": rarest(missed(texts, searched), known),
            "hard, greedy": hard(texts, greedy),
            "hard, search": hard(texts, searched),
        }
        for rule, ten in chosen.items():
            result[rule] = {
                "words": ten,
                "greedy": scored(texts, greedy, ten),
                "language model": scored(texts, searched, ten),
            }
            for weight in WEIGHTS:
                found = answers(beams=100, hotwords=dict.fromkeys(ten, weight))
                result[rule][f"hotwords, {weight:g}"] = scored(texts, found, ten)
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
