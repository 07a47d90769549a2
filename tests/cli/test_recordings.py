"""Where recordings come from and results go to: stdin, pipes, folders, channels, cut-off files, resuming, odd names."""

import json
import os
import subprocess
import sys
import time

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
from edgespeech_runtime.cli.display import progress
from edgespeech_runtime.cli.recordings import SUFFIXES
from sounds import media

RATE = 16000


@pytest.fixture
def texts(bundle, recordings):
    with edgespeech_runtime.load(bundle) as model:
        return [each.text for each in model.transcribe(recordings)]


def cli(*arguments, script="", **options):
    """The program as a process, through a shell where a `script` is given, which has "$@" for the command."""
    command = [sys.executable, "-m", "edgespeech.cli", *map(str, arguments)]
    if script:
        command = ["bash", "-c", script, "edgespeech", *command]
    return subprocess.run(command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options)


def test_stdin(bundle, recordings, texts):
    for path, text in zip(recordings[:2], texts, strict=False):
        done = cli("transcribe", bundle, "-", input=path.read_bytes())
        assert (done.returncode, done.stdout.decode(), done.stderr) == (0, text + "\n", b"")


def test_pipes_of_a_shell(bundle, recordings, texts, tmp_path):
    for script in ('"$@" <(cat "$SOUND")', 'cat "$SOUND" | "$@" /dev/stdin', '"$@" - < "$SOUND"'):
        os.environ["SOUND"] = str(recordings[1])
        done = cli("transcribe", bundle, script=script)
        assert done.stdout.decode().strip() == texts[1], done.stderr
    done = cli("transcribe", bundle, "-", recordings[0], "--output", tmp_path / "out", input=recordings[1].read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out" / "stdin.txt").read_text(encoding="utf-8").strip() == texts[1]


def test_stdin_that_brings_nothing(bundle, recordings):
    done = cli("transcribe", bundle, "-", script='"$@" <&-')
    assert (done.returncode, done.stderr) == (2, b"edgespeech: -: stdin is closed: give a sound file\n")
    done = cli("transcribe", bundle, "-", input=b"")
    assert (done.returncode, done.stderr) == (2, b"edgespeech: <stdin>: the file is empty\n")


def test_subtitles_of_stdin_among_others_need_a_folder(refused, bundle, recordings):
    said = refused("transcribe", bundle, "-", recordings[0], "--srt")
    assert said == "what comes from stdin has no folder: give --output for its result"


def test_a_closed_stdout_is_no_traceback(bundle, recordings, tmp_path):
    done = cli("transcribe", bundle, recordings[0], script='"$@" >&-')
    said = b"edgespeech: stdout is closed, and there is nowhere to print results to\n"
    assert (done.returncode, done.stderr) == (2, said)
    done = cli("transcribe", bundle, recordings[0], "--output", tmp_path / "out", script='"$@" >&- 2>&-')
    assert done.returncode == 0
    assert (tmp_path / "out" / "a.txt").exists()


@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".3gp"])
def test_media(run, bundle, speech, tmp_path, suffix):
    pytest.importorskip("av")
    path = tmp_path / f"x{suffix}"
    path.write_bytes(media(suffix, speech(1.0)))
    with edgespeech_runtime.load(bundle) as model:
        assert run("transcribe", bundle, path).stdout.strip() == model.transcribe(path).text


def test_a_folder_takes_all_formats_and_names_what_it_leaves_out(run, bundle, recordings):
    pytest.importorskip("av")
    folder = recordings[0].parent
    (folder / "d.m4a").write_bytes(media(".m4a", soundfile.read(recordings[0])[0]))
    (folder / "notes.txt").write_text("no sound")
    (folder / "older").mkdir()
    result = run("transcribe", bundle, folder)
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [
        *map(str, recordings),
        str(folder / "d.m4a"),
    ]
    reason = "left out, since their names are not those of sound files"
    assert result.stderr == f"edgespeech: {folder}: {reason}: notes.txt, older/\n"
    assert run("transcribe", bundle, folder, "--quiet").stderr == ""
    assert {".m4a", ".mp4", ".webm", ".wma", ".amr", ".w64", ".caf"} <= set(SUFFIXES)


def test_channels(run, refused, bundle, speech, tmp_path):
    left, path = speech(0.6), tmp_path / "x.wav"
    soundfile.write(path, np.stack([left, -left], 1), RATE, subtype="FLOAT")
    with edgespeech_runtime.load(bundle) as model:
        texts = [model.transcribe(samples).text for samples in (left, -left)]
    result = run("transcribe", bundle, path)
    assert result.stdout.strip() == texts[0]
    said = "the 2 channels cancel each other in their mean; channel 1 alone is taken; --channel chooses another"
    assert result.stderr == f"edgespeech: {path}: {said}\n"
    for channel in (1, 2):
        result = run("transcribe", bundle, path, "--channel", channel)
        assert (result.stdout.strip(), result.stderr) == (texts[channel - 1], "")
    assert "expected a number from 1 to 2" in refused("transcribe", bundle, path, "--channel", 3)


def test_cut_off_files_on_request(run, refused, bundle, recordings):
    whole = recordings[0].read_bytes()
    recordings[0].write_bytes(whole[: len(whole) * 3 // 5])
    assert "truncated WAVE file" in refused("transcribe", bundle, recordings[0])
    result = run("transcribe", bundle, recordings[0], "--allow-truncated", "--json")
    assert json.loads(result.stdout)["duration"] == pytest.approx(0.3, abs=0.01)


def test_skip_existing_goes_on_where_it_ended(run, refused, bundle, recordings, tmp_path):
    out = tmp_path / "out"
    run("transcribe", bundle, recordings[1], "--output", out)
    (out / "b.txt").write_text("kept")
    result = run("transcribe", bundle, *recordings, "--output", out, "--skip-existing")
    assert (result.exit_code, result.stderr) == (0, "edgespeech: 1 result of 3 are there already\n")
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "b.txt", "c.txt"]
    assert (out / "b.txt").read_text() == "kept"
    result = run("transcribe", bundle, *recordings, "--output", out, "--skip-existing")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "--skip-existing is for results in files" in refused("transcribe", bundle, *recordings, "--skip-existing")
    said = refused("transcribe", bundle, *recordings, "--output", out, "--skip-existing", "--force")
    assert said.startswith("--skip-existing and --force exclude each other")


def test_a_result_that_cannot_be_written_ends_one_file(run, bundle, recordings, tmp_path):
    long = recordings[0].with_name("x" * 251 + ".wav")
    recordings[0].rename(long)
    result = run("transcribe", bundle, long, *recordings[1:], "--output", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert result.stderr.endswith("x.json cannot be written: File name too long\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.json", "c.json"]
    result = run("transcribe", bundle, long, *recordings[1:], "--output", tmp_path / "texts")
    assert result.exit_code == 0  # 255 letters with .txt
    assert len(list((tmp_path / "texts").iterdir())) == 3


def test_a_folder_in_the_way_of_a_result_ends_one_file(run, bundle, recordings, tmp_path):
    (tmp_path / "out" / "a.txt").mkdir(parents=True)
    result = run("transcribe", bundle, *recordings, "--output", tmp_path / "out", "--force")
    assert result.exit_code == 1
    assert result.stderr == f"edgespeech: {tmp_path / 'out' / 'a.txt'} cannot be written: Is a directory\n"
    assert (tmp_path / "out" / "b.txt").is_file()


def test_a_null_byte_in_an_argument(refused, bundle):
    for arguments in (("transcribe", bundle, "a\0b.wav"), ("inspect", "a\0b"), ("export", "a\0b", "bundle")):
        said = refused(*arguments)
        assert said.endswith("cannot be the name of a file: it has a null byte")


def test_names_that_are_no_text(bundle, recordings, tmp_path):
    odd = os.fsencode(recordings[0].parent) + b"/\xff\xfe.wav"
    try:
        recordings[0].rename(os.fsdecode(odd))
    except OSError:
        pytest.skip("this file system takes no such names")
    folder = recordings[0].parent
    done = cli("transcribe", bundle, folder, "--json", "--output", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, b"")
    written = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "out").iterdir()]
    assert len(written) == 3


def test_lines_of_progress_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST_LINE", 0.01)
    monkeypatch.setattr(progress, "NEXT_LINE", 60)
    with progress.Counter(3) as counter:
        with counter.one_more():
            pass
        said = ""
        while not said:
            time.sleep(0.01)
            said = capsys.readouterr().err
    assert said in ("  transcribing: 1 of 3 files in 0 s\n", "  transcribing: 0 of 3 files in 0 s\n")
    with progress.Counter(3, quiet=True):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
