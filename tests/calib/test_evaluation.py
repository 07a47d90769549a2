"""Evaluating bundles and checkpoints: what they hear is known, what cannot be heard is left out and named."""

import html
import json
import math
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import edgespeech_runtime
import numpy as np
import pytest
import tone_translator
from checkpoints import make_checkpoint
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError, EvaluationError
from edgespeech_calib.evaluation.evaluation import evaluate
from edgespeech_calib.evaluation.page import page
from edgespeech_calib.evaluation.results import latencies
from edgespeech_calib.evaluation.systems import Options
from edgespeech_calib.evaluation.worker import Worker
from encoder_decoders import make_encoder_decoder

ONE_THREAD = Options(threads=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", weights="edgespeech", num_hidden_layers=1)


@pytest.fixture
def mistaken(corpus):
    """The corpus with transcripts of which two words are wrong and one is missing."""
    path = corpus / "dev-clean" / "19" / "198" / "19-198.trans.txt"
    path.write_text("19-198-0000 XX B\n19-198-0001 C CC Y A\n", encoding="utf-8")
    return corpus


def test_a_bundle_that_hears_everything(bundle, corpus, texts):
    found = evaluate([bundle], open_set(corpus), ONE_THREAD)
    (result,) = found.systems
    assert {utterance.id: text for utterance, text in zip(result.utterances, result.measured.raw, strict=True)} == texts
    assert (result.measured.score.wer, result.measured.score.cer) == (0.0, 0.0)
    assert (result.facts.task, result.facts.engine, result.facts.kind) == ("ctc", "onnx", "bundle")
    assert result.facts.bytes == sum(p.stat().st_size for p in bundle.iterdir() if p.name != "edgespeech.json")
    assert result.audio_seconds == pytest.approx(33 / 50)
    assert 0 < result.real_time_factor < math.inf
    assert result.load_seconds > 0
    assert result.peak_memory is None or 10**7 < result.peak_memory < 10**9


def test_errors_are_counted_against_the_transcripts(bundle, mistaken):
    (result,) = evaluate([bundle], open_set(mistaken), ONE_THREAD).systems
    counts = result.measured.score.counts
    assert (counts.substitutions, counts.insertions, counts.deletions, counts.total) == (1, 1, 1, 14)
    low, high = result.measured.interval.low, result.measured.interval.high
    assert low <= result.measured.score.wer <= high
    assert low < high


@pytest.mark.parametrize(("normalisation", "errors"), [("basic", 0), ("none", 3)])
def test_normalisation_is_applied_to_both_and_recorded(bundle, corpus, normalisation, errors):
    path = corpus / "dev-clean" / "26" / "495" / "26-495.trans.txt"
    path.write_text("26-495-0000 b, b.\n", encoding="utf-8")
    path = corpus / "dev-clean" / "87" / "121" / "87-121.trans.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("CA", "ca"), encoding="utf-8")
    found = evaluate([bundle], open_set(corpus), ONE_THREAD, normalisation=normalisation)
    assert found.systems[0].measured.score.errors == errors
    assert found.to_dict()["normalisation"]["name"] == normalisation


def test_batches_change_nothing_but_the_times(bundle, mistaken):
    data = open_set(mistaken)
    alone, together = (evaluate([bundle], data, ONE_THREAD, batch_size=size).systems[0] for size in (1, 3))
    assert alone.measured.raw == together.measured.raw
    assert [latency.utterances for latency in alone.latencies()] == [5]
    assert together.latencies() == []


def test_what_cannot_be_read_is_left_out_and_named(bundle, corpus, write, texts):
    whole = next(corpus.rglob("19-198-0001.flac"))
    content = bytearray(whole.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)  # the head is sound, so it is found out late
    whole.write_bytes(content)
    write(next(corpus.rglob("87-121-0010.flac")), np.zeros(100, np.float32))
    (result,) = evaluate([bundle], open_set(corpus), ONE_THREAD).systems
    assert {utterance.id for utterance in result.utterances} == texts.keys() - {"19-198-0001", "87-121-0010"}
    reasons = {skipped.id: skipped.reason for skipped in result.skipped}
    assert "19-198-0001.flac" in reasons["19-198-0001"]
    assert "100 samples are too few; the model needs at least 320" in reasons["87-121-0010"]


def test_other_rates_are_resampled_and_counted(bundle, corpus, write):
    write(next(corpus.rglob("19-198-0001.flac")), np.zeros(4000, np.float32), 8000)
    (result,) = evaluate([bundle], open_set(corpus), ONE_THREAD).systems
    assert result.resampled == {8000: 1}
    assert len(result.utterances) == 5


def test_nothing_that_can_be_used(bundle, corpus, write):
    for path in corpus.rglob("*.*a*"):
        if path.suffix in (".flac", ".wav"):
            write(path, np.zeros(100, np.float32))
    with pytest.raises(DataError, match=r"none of the 5 recordings .* can be used; the first: .*too few"):
        evaluate([bundle], open_set(corpus), ONE_THREAD)


def test_samples_are_drawn_as_sets_draw_them(bundle, corpus):
    data = open_set(corpus)
    (result,) = evaluate([bundle], data, ONE_THREAD, samples=3, seed=4).systems
    assert [utterance.id for utterance in result.utterances] == [utterance.id for utterance in data.sample(3, 4)]


def test_archives_are_evaluated_like_folders(bundle, mistaken, pack):
    folder, archive = (evaluate([bundle], open_set(place), ONE_THREAD) for place in (mistaken, pack(mistaken)))
    assert folder.systems[0].measured.score.counts == archive.systems[0].measured.score.counts


def deaf(bundle, folder):
    """A bundle that takes every A for a B."""
    shutil.copytree(bundle, folder)
    manifest = folder / "edgespeech.json"
    data = json.loads(manifest.read_text(encoding="utf-8"))
    data["vocabulary"]["tokens"][data["vocabulary"]["tokens"].index("A")] = "X"
    manifest.write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_a_comparison_is_paired(bundle, corpus, tmp_path):
    worse = deaf(bundle, tmp_path / "deaf")
    found = evaluate([worse, bundle], open_set(corpus), ONE_THREAD)
    (comparison,) = found.comparisons
    assert (comparison.first, comparison.second) == (str(worse), str(bundle))
    assert comparison.difference.value == pytest.approx(6 / 14)  # words with an A
    assert 0 <= comparison.difference.low <= comparison.difference.value <= comparison.difference.high
    assert [changed.id for changed in comparison.changed] == [
        "19-198-0000",
        "19-198-0001",
        "87-121-0003",
        "87-121-0010",
    ]
    first = comparison.changed[0]
    assert (first.reference, first.first, first.second) == ("AA B", "XX B", "AA B")
    assert (first.first_errors, first.second_errors) == (1, 0)


def test_a_checkpoint_runs_in_torch_and_hears_what_its_model_computes(checkpoint, tmp_path, write):
    import torch

    from edgespeech import AutoModelForCTC, Wav2Vec2Processor

    generator = np.random.default_rng(1)
    waveforms = [0.1 * generator.standard_normal(length).astype(np.float32) for length in (4000, 9000, 8000)]
    rows = ["path\ttext"]
    for index, waveform in enumerate(waveforms):
        write(tmp_path / "set" / f"{index}.wav", waveform)
        rows.append(f"{index}.wav\tA")
    (tmp_path / "set" / "all.tsv").write_text("\n".join(rows), encoding="utf-8")
    data = open_set(tmp_path / "set" / "all.tsv")
    (result,) = evaluate([checkpoint], data, ONE_THREAD, normalisation="none", batch_size=4).systems

    processor, model = Wav2Vec2Processor.from_pretrained(checkpoint), AutoModelForCTC.from_pretrained(checkpoint)
    for text, utterance in zip(result.measured.raw, data, strict=True):
        batch = processor(utterance.audio.read(16000), sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            ids = model(batch["input_values"]).logits.argmax(-1)
        assert text == processor.decode(ids[0]).strip()
    assert result.facts.kind == "checkpoint"
    assert result.facts.bytes == (checkpoint / "model.safetensors").stat().st_size


def test_a_bundle_with_a_decoder_gets_its_options(corpus, tmp_path):
    (tmp_path / "translator").mkdir()
    folder = tone_translator.write_bundle(tmp_path / "translator", "onnx")
    options = {"language": "bb", "num_beams": 3, "max_new_tokens": 5}
    (result,) = evaluate([folder], open_set(corpus), Options(threads=1, **options), normalisation="none").systems
    with edgespeech_runtime.load(folder) as model:
        expected = [model.transcribe(utterance.audio.path, **options).text for utterance in open_set(corpus)]
        plain = [model.transcribe(utterance.audio.path).text for utterance in open_set(corpus)]
    assert list(result.measured.raw) == expected != plain
    assert result.facts.task == "encoder-decoder"


def test_a_language_that_a_decoder_does_not_know(corpus, tmp_path):
    (tmp_path / "translator").mkdir()
    folder = tone_translator.write_bundle(tmp_path / "translator", "onnx")
    with pytest.raises(EvaluationError, match="language 'xx' is unknown"):
        evaluate([folder], open_set(corpus), Options(language="xx"))


def test_a_checkpoint_with_a_decoder_writes_what_its_model_generates(corpus, tmp_path):
    import torch

    from edgespeech import AutoProcessor, SpeechEncoderDecoderModel

    small = {"conv_dim": [16, 12, 16], "conv_kernel": [10, 4, 3], "conv_stride": [5, 4, 2]}
    folder = make_encoder_decoder(tmp_path / "tiny", "gpt2", weights="edgespeech", encoder=small)
    options = Options(threads=1, num_beams=2, max_new_tokens=7)
    (result,) = evaluate([folder], open_set(corpus), options, normalisation="none", batch_size=3).systems

    model, processor = SpeechEncoderDecoderModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    texts = []
    for utterance in open_set(corpus):
        batch = processor(utterance.audio.read(16000), sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            ids = model.generate(batch["input_values"], num_beams=2, max_new_tokens=7)
        texts.append(processor.decode(ids[0], skip_special_tokens=True, group_tokens=False).strip())
    assert list(result.measured.raw) == texts
    assert len(set(texts)) > 1


@pytest.mark.parametrize("name", ["language", "num_beams", "max_new_tokens"])
def test_options_of_decoders_are_refused_by_ctc_models(bundle, corpus, name):
    value = "de" if name == "language" else 2
    with pytest.raises(EvaluationError, match=f"--{name.replace('_', '-')} is not for"):
        evaluate([bundle], open_set(corpus), Options(**{name: value}))


def test_a_damaged_bundle_is_one_line(bundle, corpus, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(bundle, folder)
    (folder / "single.onnx").write_bytes(b"nothing")
    with pytest.raises(EvaluationError, match=r"single\.onnx has 7 bytes"):
        evaluate([folder], open_set(corpus))


def test_a_process_that_dies_says_how(bundle):
    with (
        pytest.raises(
            EvaluationError, match=r"the process that ran .* ended by signal 9; it may have run out of memory"
        ),
        Worker(bundle, ONE_THREAD) as worker,
    ):
        worker._process.kill()
        worker.answer([np.zeros(1000, np.float32)], 1)


def test_a_bundle_is_run_without_torch():
    modules = "edgespeech_calib.evaluation.worker, edgespeech_calib.evaluation.evaluation"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False"


def test_latencies_by_length():
    found = latencies([(1.0, 0.1), (1.9, 0.3), (5.0, 1.0), (40.0, 9.0)])
    assert [(latency.shortest, latency.longest, latency.utterances) for latency in found] == [
        (0.0, 2.0, 2),
        (5.0, 10.0, 1),
        (30.0, math.inf, 1),
    ]
    assert found[0].percentiles[50] == pytest.approx(0.2)
    assert found[2].percentiles == {50: 9.0, 90: 9.0, 99: 9.0}


def test_results_are_json_without_infinities(bundle, mistaken):
    found = evaluate([bundle], open_set(mistaken), ONE_THREAD)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    (system,) = data["systems"]
    assert (system["substitutions"], system["insertions"], system["deletions"], system["words"]) == (1, 1, 1, 14)
    assert system["wer"] == 3 / 14
    assert len(system["results"]) == 5


class Page(HTMLParser):
    """Tags that are not closed in order, and whatever a page would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.marked = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "action")]
        self.marked += [value for name, value in attrs if tag == "span" and name == "class"]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


PAGES: list[str] = []  # made once, and only read


@pytest.fixture
def text(bundle, mistaken, tmp_path):
    if not PAGES:
        worse = deaf(bundle, tmp_path / 'a <deaf> & "bundle"')
        PAGES.append(page(evaluate([worse, bundle], open_set(mistaken), ONE_THREAD)))
    return PAGES[0]


def test_the_page_needs_nothing_from_outside(text):
    read = Page()
    read.feed(text)
    read.close()
    assert read.open == []
    assert read.fetched == []
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert "url(" not in text


def test_the_page_marks_every_error(text):
    read = Page()
    read.feed(text)
    assert {"substitution", "insertion", "deletion"} <= set(read.marked)
    assert '<span class="substitution">XX → AA</span>' in text
    assert "<deaf>" not in text
    assert 'a <deaf> & "bundle"' in html.unescape(text)


def test_the_chart_is_sound_svg_within_its_frame(text):
    svg = text[text.index("<svg") : text.index("</svg>") + len("</svg>")]
    tree = ElementTree.fromstring(svg)
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    circles = list(tree.iter("circle"))
    assert len(circles) == 2
    for circle in circles:
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height


def test_what_was_not_measured_is_not_drawn(text):
    section = text[text.index('<section id="layers">') : text.index("</section>")]
    assert "Not measured" in section
    assert "<svg" not in section
