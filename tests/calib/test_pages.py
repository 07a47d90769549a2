"""Pages for people: whole names, no folders of this machine, both colour schemes, nothing that covers other things."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from edgespeech_calib import open_set
from edgespeech_calib.evaluation.charts import LayerNoise, Point, apart, errors_by_speed, noise_by_layer
from edgespeech_calib.evaluation.evaluation import evaluate
from edgespeech_calib.evaluation.page import page
from edgespeech_calib.evaluation.results import Changed, Evaluation
from edgespeech_calib.evaluation.systems import Options
from edgespeech_calib.pages import _environment, breakable, kinds, number, render
from edgespeech_calib.pages.names import short_names, without_folders
from edgespeech_calib.speech.utterance import Skipped

VOID = {"meta", "wbr"}
ABSOLUTE = re.compile(r"(?<![\w<./])(?:/|[A-Z]:\\)[\w.-]+[/\\]")
LETTER = 0.62 * 22  # pixels of the widest usual digit at the size of letters on narrow screens


class Read(HTMLParser):
    """A page's tags, texts of elements, and what it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.fetched, self.texts, self.metas = [], [], [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        self.tags.append((tag, facts))
        self.fetched += [facts[name] for name in ("src", "href", "action") if name in facts]
        if tag == "meta" and "name" in facts:
            self.metas[facts["name"]] = facts["content"]
        if tag not in VOID:
            self.open.append(tag)
            self.texts.append([tag, ""])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.texts:
            self.texts[-1][1] += data

    def of(self, tag):
        return [" ".join(text.split()) for name, text in self.texts if name == tag]


EVALUATIONS: list[Evaluation] = []  # computed once, and only read


@pytest.fixture
def evaluation(bundle, corpus):
    if not EVALUATIONS:
        EVALUATIONS.append(evaluate([bundle, bundle], open_set(corpus), Options(threads=1)))
    return EVALUATIONS[0]


@pytest.fixture
def text(evaluation):
    return page(evaluation)


def test_a_page_has_what_browsers_and_readers_need(text):
    read = Read(text)
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert read.metas["viewport"] == "width=device-width, initial-scale=1"
    assert read.metas["color-scheme"] == "light dark"
    assert read.of("title")[0].startswith("Word errors on ")
    assert read.of("h1") == [read.of("title")[0].removesuffix(" · edgespeech")]
    assert read.fetched == []
    assert not re.search(r"<script|url\(|@import|@font-face", text)
    assert "@media (prefers-color-scheme: dark)" in text
    assert "@media print" in text
    assert all(facts.get("scope") in ("col", "row") for tag, facts in read.tags if tag == "th")


def test_no_folder_of_this_machine_is_in_a_page(evaluation, bundle):
    corpus = Path(evaluation.data)
    skipped = Skipped(f"{corpus}/one", f"{corpus}/a b/one.flac: cannot be read: C:\\Users\\me\\x.dll is missing")
    systems = tuple(replace(system, skipped=(skipped,)) for system in evaluation.systems)
    text = page(replace(evaluation, systems=systems))
    body = text.partition("</style>")[2]
    assert str(corpus) not in text and str(bundle.parent) not in text
    assert not ABSOLUTE.search(body)
    assert bundle.name in body and corpus.name in body
    assert "one.flac: cannot be read: x.dll is missing" in body
    assert "1 recording left out" in body


def test_systems_of_one_name_are_told_apart():
    assert short_names(["/a/x/ctc", "/b/x/ctc", "/a/x/other"]) == ["a/x/ctc", "b/x/ctc", "other"]
    assert short_names(["build/one", "./two/", "C:\\models\\three"]) == ["one", "two", "three"]
    assert short_names(["/a/ctc", "/a/ctc"]) == ["ctc", "ctc"]
    assert short_names(["/", "."]) == ["/", "."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/set/x.wav: cut off", "x.wav: cut off"),
        ("not in '/data/set/list.tsv'", "not in 'list.tsv'"),
        ("~/speech/x.wav", "x.wav"),
        ("D:\\speech\\x.wav is empty", "x.wav is empty"),
        ("2 and/or 3 words/s, 1 / 2", "2 and/or 3 words/s, 1 / 2"),
        ("19/198/19-198-0000", "19/198/19-198-0000"),
        ("/my set/of speech/x.wav", "x.wav"),
    ],
)
def test_texts_without_folders(text, expected):
    assert without_folders(text, ["/my set/of speech"]) == expected


def said(evaluation, changed: int, total: int, wrong: int) -> str:
    """The text of a page on so many utterances."""
    (one,) = evaluation.comparisons
    example = evaluation.systems[0].utterances[0]
    right = replace(example, score=replace(example.score, counts=replace(example.score.counts, substitutions=0)))
    bad = replace(right, score=replace(right.score, counts=replace(right.score.counts, substitutions=1)))
    utterances = tuple([bad] * wrong + [right] * (total - wrong))
    changes = tuple(Changed(f"id-{index}", "A B", "A", "B", 1, 1) for index in range(changed))
    comparison = replace(one, utterances=total, changed=changes, changes=("",) * changed)
    systems = tuple(replace(system, utterances=utterances) for system in evaluation.systems)
    return " ".join(page(replace(evaluation, systems=systems, comparisons=(comparison,))).split())


@pytest.mark.parametrize(
    ("changed", "total", "wrong", "sentences"),
    [
        (0, 1, 0, ["paired over 1 utterance. The answers are the same.", "The only utterance has no error."]),
        (1, 1, 1, ["It was answered differently.", "The only utterance has errors:", "1 utterance, "]),
        (0, 5, 0, ["paired over 5 utterances. All 5 answers are the same.", "None of the 5 utterances has an error."]),
        (1, 5, 4, ["1 of 5 was answered differently.", "1 of 5 utterances has no error;"]),
        (2, 5, 1, ["2 of 5 were answered differently.", "4 of 5 utterances have no error;", ": 1 error in "]),
        (5, 5, 5, ["All 5 were answered differently.", "All 5 utterances have errors"]),
    ],
)
def test_sentences_count_as_people_do(evaluation, changed, total, wrong, sentences):
    text = said(evaluation, changed, total, wrong)
    assert [sentence for sentence in sentences if sentence not in text] == []
    assert ("What was answered differently" in text) == (changed > 0)
    assert not re.search(r"\b1 (utterances|recordings|words|errors)\b|\b0 of|The 0", text.partition("</style>")[2])


def test_words_have_spaces_between_them(evaluation):
    assert '<p class="words"> A <span class="deletion">B</span></p>' in said(evaluation, 1, 5, 0)


def test_numbers_of_things():
    assert [number(count, "word") for count in (0, 1, 2)] == ["0 words", "1 word", "2 words"]


def test_columns_of_numbers_and_of_prose():
    rows = [
        ["ctc", "39.50 %", "32.87 to 45.83", "34", "51.9 MB", "-", "unknown", "x" * 41],
        ["other", "0.12 %", "−3.45 to +2.33", "1", "0.9 MB", "83.33 %", "1.0 MB", "short"],
    ]
    assert kinds(rows) == ["", *["number"] * 6, "prose"]
    assert kinds([]) == []


def colours(text: str, block: str) -> dict[str, str]:
    """The colours of one scheme."""
    style = text.partition("<style>")[2].partition("</style>")[0]
    body = style.partition("@media (prefers-color-scheme: dark)")[2 if block == "dark" else 0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", body.partition("* {")[0]))


def luminance(colour: str) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_that_of_wcag_aa(text, scheme):
    found = colours(text, scheme)
    for name in ("text", "muted"):
        assert contrast(found[name], found["page"]) >= 4.5
        assert contrast(found[name], found["panel"]) >= 4.5
    for name in ("substitution", "deletion", "insertion"):
        assert contrast(found["text"], found[name]) >= 4.5
    for name in ("integer", "float", "rule", *(f"c{index}" for index in range(8))):
        assert contrast(found[name], found["page"]) >= 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def layers(count: int, part: str = "") -> list[LayerNoise]:
    name = "encoder.a_family_with_a_long_name.layers.{}." + part + "feed_forward.intermediate_dense<&>"
    return [LayerNoise(name.format(index), 10.0 + index % 40, index % 7 == 0) for index in range(count)]


def noise_page(chart) -> Read:
    template = "{% import 'parts.html.j2' as parts %}{{ parts.noise(chart) }}"
    return Read(_environment().from_string(template).render(chart=chart))


@pytest.mark.parametrize("count", [0, 1, 5, 60, 61, 200])
def test_every_layer_has_its_whole_name_and_its_bar(count):
    own = layers(count, "adapter." * 20)
    chart = noise_by_layer(own)
    read = noise_page(chart)
    names = read.of("th")
    assert {layer.name for layer in own} <= set(names)
    assert len(chart.worst) == (12 if count > 60 else 0)
    assert sum(tag == "rect" for tag, _ in read.tags) == count + len(chart.worst)
    widths = [float(facts["width"]) for tag, facts in read.tags if tag == "rect"]
    assert all(0 <= width <= 100 for width in widths)
    if chart.worst:
        assert [row.value for row in chart.worst] == sorted(row.value for row in chart.rows)[:12]


def test_bars_of_layers_that_cannot_be_measured():
    ratios = (None, math.inf, -5.0, 30.0)
    chart = noise_by_layer([LayerNoise(f"a.{ratio}", ratio, False) for ratio in ratios])
    assert [row.width for row in chart.rows] == [0.0, 100.0, 0.0, 100.0]
    assert [row.said for row in chart.rows] == ["not measured", "no error", "-5.0 dB", "30.0 dB"]
    assert [row.value for row in chart.rows] == ["–", "no error", "-5.0", "30.0"]


def test_a_dotted_name_breaks_behind_its_dots_and_is_escaped():
    assert str(breakable("a.b<i>.c")) == "a.<wbr/>b&lt;i&gt;.<wbr/>c"


def points(count: int, speed) -> list[Point]:
    return [Point(f"system <{index}>", speed(index), 0.1, 0.05, 0.2, 10**6) for index in range(count)]


SPEEDS = {
    "alike": lambda index: 0.01,
    "close": lambda index: 0.01 * 1.001**index,
    "decades": lambda index: 10.0 ** (index % 7 - 5),
    "even": lambda index: 0.01 + 0.01 * index,
}


@pytest.mark.parametrize("count", [1, 2, 7, 30])
@pytest.mark.parametrize("spread", SPEEDS)
def test_nothing_in_a_chart_covers_something_else_or_is_outside(count, spread):
    """Boxes of all texts, at the size that they have on narrow screens."""
    chart = errors_by_speed(points(count, SPEEDS[spread]))
    tree = ElementTree.fromstring(chart.svg)
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    boxes = []
    for element in tree.iter("text"):
        wide = LETTER * len(element.text)
        anchor = element.attrib.get("text-anchor", "start")
        left = float(element.attrib["x"]) - {"start": 0, "middle": wide / 2, "end": wide}[anchor]
        bottom = float(element.attrib["y"])
        boxes.append((left, bottom - 17, left + wide, bottom, element.text))
    for left, top, right, bottom, content in boxes:
        assert left >= 0 and right <= width and top >= 0 and bottom <= height, content
    for one, other in combinations(boxes, 2):
        apart_across = one[2] <= other[0] or other[2] <= one[0]
        apart_down = one[3] <= other[1] or other[3] <= one[1]
        assert apart_across or apart_down, (one, other)
    assert sorted(int(e.text) for e in tree.iter("text") if e.attrib.get("class") == "key") == [*range(1, count + 1)]
    assert chart.names == tuple(f"system <{index}>" for index in range(count))
    assert "<0>" not in chart.svg


def test_places_are_moved_apart_as_little_as_they_must():
    assert apart([10, 50, 90], 20, 0, 100) == [10, 50, 90]
    assert apart([50, 50, 50], 20, 0, 100) == [50, 70, 90]
    assert apart([95, 96, 97], 20, 0, 100) == [60, 80, 100]
    found = apart([0.0] * 6, 20, 0, 100)
    assert all(b - a >= 20 for a, b in pairwise(found))


def test_what_is_not_text_of_ours_is_escaped():
    html = render(
        "quantization",
        kicker="<k>",
        title="<t>",
        conditions=["<c>"],
        skipped=[("<i>", "<r>")],
        cards=[],
        changes=[["<m>", "1", "2", "3"]],
        chart=None,
        sentence="<s>",
        trials=[],
        noise=noise_by_layer(layers(1)),
        in_float=[["<l>", "1.0", "<w>"]],
        seconds=[["<x>", "1.0"]],
        judgement=type("Judgement", (), {"measure": None})(),
        changed=[],
        reference="",
    )
    body = html.partition("</style>")[2]
    assert not re.search(r"<(k|t|c|i|r|m|s|l|w|x)>", body)
    assert body.count("&lt;") >= 10
