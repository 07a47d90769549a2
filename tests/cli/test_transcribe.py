"""`edgespeech transcribe`: every form of result against the runtime's own, files and folders, and bad input."""

import json
import re
import shutil
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.tasks.batches import HeadRunner

soundfile = pytest.importorskip("soundfile")

RATE = 16000


@pytest.fixture
def heard(bundle):
    """`heard(path)`: the runtime's transcript."""
    with edgespeech_runtime.load(bundle) as model:
        yield lambda path: model.transcribe(path, timestamps="char")


def test_the_tiny_model_hears_words(heard, recordings):
    assert all(heard(path).words for path in recordings)  # or the tests below would compare nothing


def test_the_text_of_one_file_stands_alone(run, bundle_of, engine, heard, recordings):
    result = run("transcribe", bundle_of(engine), recordings[0], "--threads", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == heard(recordings[0]).text + "\n"


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_several_texts_stand_behind_their_names_in_order(run, bundle, heard, recordings, batch_size):
    result = run("transcribe", bundle, *reversed(recordings), "--batch-size", batch_size)
    assert result.stdout == "".join(f"{path}\t{heard(path).text}\n" for path in reversed(recordings))


@pytest.mark.parametrize("kind", ["word", "char"])
def test_times(run, bundle, heard, recordings, kind):
    result = run("transcribe", bundle, recordings[1], "--timestamps", kind)
    transcript = heard(recordings[1])
    parts = transcript.words if kind == "word" else transcript.characters
    lines = result.stdout.splitlines()
    assert len(lines) == len(parts)
    for line, part in zip(lines, parts, strict=True):
        start, end, confidence, text = re.fullmatch(r" *([\d.]+) +([\d.]+)  ([\d.]+)  (.*)", line).groups()
        assert text == part.text
        found = [float(start), float(end), float(confidence)]
        assert found == pytest.approx([part.start, part.end, part.confidence], abs=0.0051)


def test_times_of_several_files_stand_below_their_names(run, bundle, recordings):
    single = [run("transcribe", bundle, path, "--timestamps", "word").stdout for path in recordings]
    result = run("transcribe", bundle, *recordings, "--timestamps", "word")
    assert result.stdout == "".join(f"{path}\n{text}\n" for path, text in zip(recordings, single, strict=True))


@pytest.mark.parametrize("kind", [None, "char"])
def test_json_is_one_line_a_file(run, bundle, heard, recordings, kind):
    result = run("transcribe", bundle, *recordings, "--json", *(["--timestamps", kind] if kind else []))
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["audio"] for line in lines] == [str(path) for path in recordings]
    for line, path in zip(lines, recordings, strict=True):
        expected = heard(path)
        assert line["text"] == expected.text
        assert line["duration"] == round(expected.duration, 3)
        assert [word["text"] for word in line["words"]] == [word.text for word in expected.words]
        assert ("characters" in line) == (kind == "char")
        for word, true in zip(line["words"], expected.words, strict=True):
            assert [word["start"], word["end"]] == pytest.approx([true.start, true.end], abs=5e-4)
            assert word["confidence"] == pytest.approx(true.confidence, abs=1e-3)


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_of_one_file_go_to_stdout(run, bundle, heard, recordings, form):
    render = {"srt": edgespeech_runtime.to_srt, "vtt": edgespeech_runtime.to_vtt}[form]
    assert run("transcribe", bundle, recordings[0], f"--{form}").stdout == render(heard(recordings[0]))


def test_subtitles_of_several_files_go_beside_them(run, bundle, heard, recordings):
    result = run("transcribe", bundle, *recordings, "--srt")
    assert (result.exit_code, result.stdout) == (0, "")
    for path in recordings:
        assert path.with_suffix(".srt").read_text(encoding="utf-8") == edgespeech_runtime.to_srt(heard(path))


@pytest.mark.parametrize(
    ("flag", "suffix"), [(None, ".txt"), ("--json", ".json"), ("--srt", ".srt"), ("--vtt", ".vtt")]
)
def test_every_form_can_go_to_a_folder(run, bundle, recordings, tmp_path, flag, suffix):
    flags = [flag] if flag else []
    out = tmp_path / "new" / "out"
    result = run("transcribe", bundle, *recordings[:2], "--output", out, *flags)
    assert (result.exit_code, result.stdout) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [f"a{suffix}", f"b{suffix}"]
    for path in recordings[:2]:
        alone = run("transcribe", bundle, path, *flags).stdout
        assert (out / path.name).with_suffix(suffix).read_text(encoding="utf-8") == alone


def test_files_that_are_there_are_kept_but_for_force(run, refused, bundle, recordings, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.txt").write_text("mine", encoding="utf-8")
    assert "b.txt exists" in refused("transcribe", bundle, *recordings[:2], "--output", out)
    assert [path.name for path in out.iterdir()] == ["b.txt"]
    assert (out / "b.txt").read_text(encoding="utf-8") == "mine"
    assert run("transcribe", bundle, *recordings[:2], "--output", out, "--force").exit_code == 0
    assert (out / "b.txt").read_text(encoding="utf-8") != "mine"
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "b.txt"]


def test_a_folder_stands_for_the_sound_files_in_it(run, bundle, recordings):
    folder = recordings[0].parent
    (folder / "notes.txt").write_text("no sound", encoding="utf-8")
    (folder / "._a.wav").write_text("another system's notes", encoding="utf-8")
    (folder / "below").mkdir()
    shutil.copy(recordings[0], folder / "below" / "D.WAV")
    flat = run("transcribe", bundle, folder)
    assert [line.split("\t")[0] for line in flat.stdout.splitlines()] == [str(path) for path in recordings]
    deep = run("transcribe", bundle, folder, "--recursive")
    expected = sorted([*recordings, folder / "below" / "D.WAV"])
    assert [line.split("\t")[0] for line in deep.stdout.splitlines()] == [str(path) for path in expected]


def test_folders_below_stay_apart_in_the_output(run, bundle, recordings, tmp_path):
    for name in ("one", "two"):
        (recordings[0].parent / name).mkdir()
        shutil.copy(recordings[0], recordings[0].parent / name / "a.wav")
    run("transcribe", bundle, recordings[0].parent, "--recursive", "--output", tmp_path / "out")
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.txt")}
    assert written == {"a.txt", "b.txt", "c.txt", "one/a.txt", "two/a.txt"}


def test_a_file_that_is_named_twice_is_heard_once(run, bundle, recordings):
    result = run("transcribe", bundle, recordings[0], recordings[0].parent)
    assert len(result.stdout.splitlines()) == 3


def test_options_that_contradict_each_other(refused, bundle, recordings):
    for arguments in (["--srt", "--vtt"], ["--json", "--srt"], ["--timestamps", "word", "--vtt"]):
        assert "exclude each other" in refused("transcribe", bundle, recordings[0], *arguments)


def test_two_recordings_for_one_file(refused, bundle, recordings, tmp_path):
    soundfile.write(recordings[0].with_suffix(".flac"), np.zeros(1000), RATE)
    line = refused("transcribe", bundle, recordings[0].parent, "--output", tmp_path / "out")
    assert "would both be written to" in line
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(refused, bundle, recordings, tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    assert "is not a folder" in refused("transcribe", bundle, recordings[0], "--output", tmp_path / "out")


def test_a_folder_without_sound(refused, bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no sound files" in refused("transcribe", bundle, tmp_path / "empty")


def test_a_device_that_there_is_not(refused, bundle, recordings):
    assert "'npu'" in refused("transcribe", bundle, recordings[0], "--device", "npu")


def nothing(path):
    path.unlink()


def empty_file(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("This is a text.\n", encoding="utf-8")


def no_samples(path):
    soundfile.write(path, np.zeros(0), RATE)


def shorter_than_a_frame(path):
    soundfile.write(path, np.zeros(60), RATE)


def not_a_number(path):
    soundfile.write(path, np.array([0.0, np.nan] * 4000), RATE, subtype="FLOAT")


def infinite(path):
    soundfile.write(path, np.array([0.0, np.inf] * 4000), RATE, subtype="FLOAT")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-500])


def truncated_flac(path):
    soundfile.write(path.with_suffix(".flac"), np.random.default_rng(0).uniform(-1, 1, 16000), RATE)
    path.write_bytes(path.with_suffix(".flac").read_bytes()[:-2000])
    path.with_suffix(".flac").unlink()


def a_folder_of_that_name(path):
    path.unlink()
    path.mkdir()


BAD = [
    (nothing, "no such audio file"),
    (empty_file, ""),
    (text, "not a WAVE file"),
    (no_samples, "0 samples"),
    (shorter_than_a_frame, "60 samples"),
    (not_a_number, "not all finite"),
    (infinite, "not all finite"),
    (truncated, "truncated"),
    (a_folder_of_that_name, "holds no sound files"),
]
IDS = [damage.__name__ for damage, _ in BAD]


@pytest.mark.parametrize(("damage", "said"), BAD, ids=IDS)
def test_a_bad_file_alone(refused, bundle, recordings, damage, said):
    damage(recordings[0])
    line = refused("transcribe", bundle, recordings[0])
    assert line.startswith(f"{recordings[0]}")
    assert said in line


@pytest.mark.parametrize(("damage", "said"), BAD[:-1], ids=IDS[:-1])
def test_a_bad_file_among_many(run, bundle, heard, recordings, damage, said):
    damage(recordings[0])
    result = run("transcribe", bundle, *recordings)
    assert result.exit_code == 1
    assert result.stdout == "".join(f"{path}\t{heard(path).text}\n" for path in recordings[1:])
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"edgespeech: {recordings[0]}")
    assert said in line


def test_a_truncated_flac_file(run, bundle, recordings):
    truncated_flac(recordings[1])
    result = run("transcribe", bundle, *recordings)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.startswith(f"edgespeech: {recordings[1]}: ")


def test_a_bad_file_among_many_in_json_is_a_line_too(run, bundle, recordings):
    text(recordings[1])
    result = run("transcribe", bundle, *recordings, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [set(line) for line in lines[1:2]] == [{"audio", "error"}]
    assert f"edgespeech: {lines[1]['error']}\n" == result.stderr
    assert all("text" in line for line in (lines[0], lines[2]))


def test_a_bad_file_among_many_writes_nothing_in_its_place(run, bundle, recordings, tmp_path):
    text(recordings[1])
    assert run("transcribe", bundle, *recordings, "--output", tmp_path / "out").exit_code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "c.txt"]


def test_all_files_bad(run, bundle, recordings):
    for path in recordings:
        empty_file(path)
    result = run("transcribe", bundle, *recordings)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 3


def test_a_file_that_the_engine_fails_on_costs_the_others_nothing(run, bundle, heard, recordings, monkeypatch):
    real, culprit = HeadRunner.run_batch, len(edgespeech_runtime.read_audio(recordings[1], RATE))

    def fail(self, waveforms):
        if any(len(waveform) == culprit for waveform in waveforms):
            raise EngineError("out of memory")
        return real(self, waveforms)

    expected = [heard(path).text for path in recordings]
    monkeypatch.setattr(HeadRunner, "run_batch", fail)
    result = run("transcribe", bundle, *recordings)
    assert result.exit_code == 1
    assert result.stdout == f"{recordings[0]}\t{expected[0]}\n{recordings[2]}\t{expected[2]}\n"
    assert result.stderr == f"edgespeech: {recordings[1]}: out of memory\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_cannot_be_written(start, bundle, recordings):
    with Path("/dev/full").open("w") as full:
        process = start("transcribe", bundle, recordings[0], stdout=full)
        assert process.wait(timeout=60) == 2
    assert process.stderr.read() == "edgespeech: No space left on device\n"
