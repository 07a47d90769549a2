"""`edgespeech classify`, and the other commands on bundles of heads: every form of result against the runtime's own."""

import json
import re
import shutil

import edgespeech_runtime
import numpy as np
import pytest
import tone_bundles
import tone_heads
from checkpoints import make_checkpoint
from edgespeech_runtime.cli.commands import device_check
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.tasks.batches import HeadRunner
from tones import RATE, spoken

soundfile = pytest.importorskip("soundfile")

CLASSES, FRAMES, EMBEDDING = tone_heads.TASKS


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for task in tone_heads.TASKS:
        tone_heads.build_head("onnx", task, make(folder / task))
    for task in (CLASSES, FRAMES):
        tone_heads.build_static_head(task, make(folder / f"static-{task}"))
    tone_bundles.build("onnx", make(folder / "ctc"))
    return folder


def make(folder):
    folder.mkdir()
    return folder


@pytest.fixture
def classes(pristine):
    return pristine / CLASSES


@pytest.fixture
def frames(pristine):
    return pristine / FRAMES


@pytest.fixture
def sounds(tmp_path):
    """Three recordings of different lengths, each mostly another label."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    paths = [folder / name for name in ("a.wav", "b.flac", "c.wav")]
    for path, said in zip(paths, ("AAB", "CBBBBA", "CC"), strict=True):
        soundfile.write(path, spoken(said), RATE)
    return paths


@pytest.fixture
def heard(classes, sounds):
    """The runtime's results of the three."""
    with edgespeech_runtime.load(classes) as model:
        return model.classify(sounds)


@pytest.fixture
def segments(frames, sounds):
    """The runtime's segments of the three."""
    with edgespeech_runtime.load(frames) as model:
        return [each.segments() for each in model.frames(sounds)]


def test_the_label_of_one_file_stands_alone(run, classes, sounds, heard):
    result = run("classify", classes, sounds[0], "--threads", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"A\t{heard[0].score:.3f}\n"


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_several_labels_stand_behind_their_names_in_order(run, classes, sounds, heard, batch_size):
    assert [found.label for found in heard] == ["A", "B", "C"]
    result = run("classify", classes, *sounds, "--batch-size", batch_size)
    lines = [f"{path}\t{found.label}\t{found.score:.3f}\n" for path, found in zip(sounds, heard, strict=True)]
    assert result.stdout == "".join(lines)


def test_the_best_labels(run, classes, sounds, heard):
    two = [f"{each.label}\t{each.score:.3f}\n" for each in heard[0].scores[:2]]
    assert run("classify", classes, sounds[0], "--top-k", 2).stdout == "".join(two)
    assert len(run("classify", classes, sounds[0], "--top-k", 9).stdout.splitlines()) == 3
    several = run("classify", classes, *sounds[:2], "--top-k", 2).stdout
    assert several.startswith(f"{sounds[0]}\n{''.join(two)}\n{sounds[1]}\nB\t")


def test_labels_in_json(run, classes, sounds, heard):
    lines = [json.loads(line) for line in run("classify", classes, *sounds, "--json").stdout.splitlines()]
    for line, path, found in zip(lines, sounds, heard, strict=True):
        assert set(line) == {"audio", "label", "score", "scores"}
        assert (line["audio"], line["label"]) == (str(path), found.label)
        assert line["score"] == pytest.approx(found.score, abs=1e-6)
        assert [each["label"] for each in line["scores"]] == [each.label for each in found.scores]
        scores = [each["score"] for each in line["scores"]]
        assert scores == pytest.approx([each.score for each in found.scores], abs=1e-6)
    (best,) = json.loads(run("classify", classes, sounds[0], "--json", "--top-k", 1).stdout)["scores"]
    assert best["label"] == "A"


def test_segments_with_times(run, frames, sounds, segments):
    result = run("classify", frames, sounds[1])
    lines = result.stdout.splitlines()
    assert [each.label for each in segments[1]] == ["C", "B", "A"]
    for line, part in zip(lines, segments[1], strict=True):
        start, end, score, label = re.fullmatch(r" *([\d.]+) +([\d.]+)  ([\d.]+)  (.*)", line).groups()
        assert label == part.label
        assert [float(start), float(end), float(score)] == pytest.approx([part.start, part.end, part.score], abs=0.0051)
    single = [run("classify", frames, path).stdout for path in sounds]
    several = "".join(f"{path}\n{text}\n" for path, text in zip(sounds, single, strict=True))
    assert run("classify", frames, *sounds).stdout == several


def test_segments_in_json(run, frames, sounds, segments):
    found = json.loads(run("classify", frames, sounds[0], "--json").stdout)
    assert {name: found[name] for name in ("audio", "duration", "threshold")} == {
        "audio": str(sounds[0]),
        "duration": 0.06,
        "threshold": 0.5,
    }
    for shown, part in zip(found["segments"], segments[0], strict=True):
        assert shown["label"] == part.label
        assert [shown["start"], shown["end"]] == pytest.approx([part.start, part.end], abs=5e-4)
        assert shown["score"] == pytest.approx(part.score, abs=5e-4)


def test_the_threshold(run, frames, sounds):
    assert run("classify", frames, sounds[0], "--threshold", 1).stdout == ""
    everything = run("classify", frames, sounds[0], "--threshold", 0).stdout.splitlines()
    assert [line.split()[-1] for line in everything] == ["A", "B", "C"]  # the whole of it, each
    assert json.loads(run("classify", frames, sounds[0], "--threshold", 0, "--json").stdout)["threshold"] == 0


def test_files_go_into_a_folder(run, refused, classes, sounds, tmp_path):
    result = run("classify", classes, sounds[0].parent, "--output", tmp_path / "out", "--json")
    assert (result.exit_code, result.stdout) == (0, "")
    labels = [json.loads((tmp_path / "out" / f"{name}.json").read_text())["label"] for name in "abc"]
    assert labels == ["A", "B", "C"]
    assert "exists" in refused("classify", classes, *sounds, "--output", tmp_path / "out", "--json")
    assert run("classify", classes, *sounds, "--output", tmp_path / "out", "--json", "--force").exit_code == 0


def test_a_bad_file_costs_the_others_nothing(run, classes, sounds):
    sounds[1].write_bytes(b"no sound")
    result = run("classify", classes, *sounds, "--json")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("label") for line in lines] == ["A", None, "C"]
    assert result.stderr == f"edgespeech: {lines[1]['error']}\n"


def test_a_file_that_the_engine_fails_on_costs_the_others_nothing(run, classes, sounds, monkeypatch):
    real, culprit = HeadRunner.run_batch, 6 * tone_heads.FRAME

    def fail(self, waveforms):
        if any(len(waveform) == culprit for waveform in waveforms):
            raise EngineError("out of memory")
        return real(self, waveforms)

    monkeypatch.setattr(HeadRunner, "run_batch", fail)
    result = run("classify", classes, *sounds)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert result.stderr == f"edgespeech: {sounds[1]}: out of memory\n"


def test_a_file_that_no_graph_holds_costs_the_others_nothing(run, refused, pristine, sounds):
    soundfile.write(sounds[1], spoken("B" * 11), RATE)
    result = run("classify", pristine / f"static-{CLASSES}", *sounds)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert result.stderr.startswith(f"edgespeech: {sounds[1]}: expected at most 0.2 s of audio")
    assert "expected at most" in refused("classify", pristine / f"static-{CLASSES}", sounds[1])
    assert run("classify", pristine / f"static-{FRAMES}", sounds[1]).stdout.split() == ["0.00", "0.22", "1.00", "B"]


@pytest.mark.parametrize(
    ("task", "option", "value", "said"),
    [
        (CLASSES, "--threshold", 0.3, "a classifier of utterances: it gives the whole one label; leave it out"),
        (FRAMES, "--top-k", 3, "a classifier of frames: it judges each label by itself; leave it out"),
    ],
)
def test_options_of_the_other_kind(refused, pristine, sounds, task, option, value, said):
    assert refused("classify", pristine / task, sounds[0], option, value) == (
        f"{option} is not for {pristine / task}, which is {said}"
    )


@pytest.mark.parametrize("arguments", [("--top-k", 0), ("--threshold", 1.5), ("--threshold", "high")])
def test_values_that_are_none(refused, classes, sounds, arguments):
    assert f"Invalid value for '{arguments[0]}'" in refused("classify", classes, sounds[0], *arguments)


def test_the_wrong_command(refused, pristine, sounds):
    for task, kind in ((CLASSES, "a classifier of utterances"), (FRAMES, "a classifier of frames")):
        said = f"{pristine / task} is {kind}, which transcribes nothing: use edgespeech classify"
        assert refused("transcribe", pristine / task, sounds[0]) == said
    said = f"{pristine / 'ctc'} is a CTC model, which classifies nothing: use edgespeech transcribe"
    assert refused("classify", pristine / "ctc", sounds[0]) == said
    for command, verb in (("transcribe", "transcribes"), ("classify", "classifies")):
        place = pristine / EMBEDDING
        said = f"{place} is a model that embeds, which {verb} nothing: use edgespeech features"
        assert refused(command, place, sounds[0]) == said


@pytest.mark.parametrize(
    ("task", "row", "field", "value"),
    [
        (CLASSES, "labels 3 labels: A, B, C", "labels", ["A", "B", "C"]),
        (FRAMES, "labels 3 labels: A, B, C", "labels", ["A", "B", "C"]),
        (EMBEDDING, "embedding 3 dimensions", "dimensions", 3),
    ],
)
def test_inspect_a_bundle(run, pristine, task, row, field, value):
    shown = run("inspect", pristine / task).stdout
    assert row in " ".join(shown.split())
    assert task in shown
    assert json.loads(run("inspect", pristine / task, "--json").stdout)[field] == value


@pytest.mark.parametrize(
    ("family", "head", "exports_as"),
    [
        ("wav2vec2", "ForSequenceClassification", "Wav2Vec2ForSequenceClassification"),
        ("hubert", "ForSequenceClassification", "HubertForSequenceClassification"),
        ("wav2vec2", "ForAudioFrameClassification", "Wav2Vec2ForAudioFrameClassification"),
        ("wav2vec2", "ForXVector", "Wav2Vec2ForXVector"),
        ("wav2vec2", "ForPreTraining", "Wav2Vec2Model"),
        ("wavlm", "Model", "WavLMModel"),
        ("wavlm", "ForXVector", "WavLMForXVector"),
    ],
)
def test_inspect_a_checkpoint(run, tmp_path, family, head, exports_as):
    names = {0: "yes", 1: "no", 2: "perhaps"}
    folder = make_checkpoint(tmp_path / "checkpoint", family, head=head, weights="edgespeech", id2label=names)
    found = json.loads(run("inspect", folder, "--json").stdout)
    shown = run("inspect", folder).stdout
    assert found["exports_as"] == exports_as
    assert found["labels"] == (["yes", "no", "perhaps"] if head.endswith("Classification") else [])
    assert ("3 labels: yes, no, perhaps" in shown) == head.endswith("Classification")
    assert (found["dimensions"] is not None) == (head == "ForXVector")
    assert ("nothing: it has no head that can be exported" in shown) == (exports_as is None)


@pytest.mark.parametrize("task", tone_heads.TASKS)
def test_a_bundle_on_each_device(run, pristine, task):
    (found,) = json.loads(run("devices", "--check", pristine / task, "--json").stdout)
    assert (found["works"], found["same_answer"], found["error"]) == (True, True, None)
    assert found["difference"] < 1e-4


@pytest.mark.parametrize(
    ("answer", "other"), [("yes", "no"), ([[True, False]], [[True, True]]), ([[True]], [[True]] * 2)]
)
def test_answers_are_one_if_they_are_equal(answer, other):
    assert device_check._agree(answer, answer)
    assert not device_check._agree(other, answer)


def test_embeddings_agree_within_what_low_precision_costs():
    answer = [1.0, -20.0, 3.0]
    assert device_check._agree([1.9, -20.9, 3.0], answer)
    assert not device_check._agree([1.0, -20.0, 4.1], answer)
    assert not device_check._agree([np.nan, -20.0, 3.0], answer)


def test_a_manifest_without_labels(refused, classes, sounds, tmp_path):
    folder = shutil.copytree(classes, tmp_path / "bundle")
    data = json.loads((folder / "edgespeech.json").read_text())
    del data["labels"]
    (folder / "edgespeech.json").write_text(json.dumps(data))
    said = "edgespeech.json: labels: a bundle of the task 'audio-classification' must have it"
    assert refused("classify", folder, sounds[0]) == said
    assert refused("inspect", folder) == said
