"""`edgespeech calib fetch` and `draw`."""

import json
import sys

import pytest
from edgespeech_calib.speech import fetch as module
from edgespeech_calib.speech import lists
from fetching import Mirror, serving

soundfile = pytest.importorskip("soundfile")
ARCHIVE = "dev-clean.tar.gz"


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESPEECH_DATA", str(tmp_path / "home"))
    with serving(Mirror()) as found:
        monkeypatch.setitem(module.MD5, "dev-clean", found.md5)
        yield found


def test_fetch_keeps_the_archive_in_its_place(run, mirror, tmp_path):
    result = run("calib", "fetch", "dev-clean", "--mirror", mirror.url)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'home' / ARCHIVE}: 700.0 kB, the checksum holds\n"
    assert (tmp_path / "home" / ARCHIVE).read_bytes() == mirror.content
    again = run("calib", "fetch", "dev-clean", "--mirror", mirror.url)
    assert again.stdout == f"{tmp_path / 'home' / ARCHIVE}: there already, 700.0 kB, the checksum holds\n"


def test_fetch_goes_on_after_a_connection_that_dropped(run, mirror, tmp_path):
    mirror.drops = [400_000]
    result = run("calib", "fetch", "dev-clean", "--mirror", mirror.url, "--output", tmp_path / "x", "--json")
    assert json.loads(result.stdout) == {
        "archive": str(tmp_path / "x" / ARCHIVE),
        "bytes": 700_000,
        "downloaded": 700_000,
    }
    assert mirror.requests == [None, "bytes=400000-"]


def test_fetch_refuses_a_wrong_checksum(refused, mirror, monkeypatch):
    monkeypatch.setitem(module.MD5, "dev-clean", "0" * 32)
    assert "was published; nothing was kept" in refused("calib", "fetch", "dev-clean", "--mirror", mirror.url)


def test_fetch_knows_its_subsets(refused):
    assert "'dev' is not one of" in refused("calib", "fetch", "dev")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_fetch_on_a_full_disk_is_one_line_and_goes_on_later(start, run, mirror, tmp_path):
    """The system itself refuses to write more than 100 000 bytes."""
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = start(
        *("calib", "fetch", "dev-clean", "--mirror", mirror.url, "--output", tmp_path / "x"), preexec_fn=limit
    )
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    there = (tmp_path / "x" / f"{ARCHIVE}.part").stat().st_size
    assert errors.startswith(f"edgespeech: {tmp_path / 'x'}: the disk is full; make room; the ")
    assert len(errors.splitlines()) == 1
    assert 0 < there <= 100_000
    assert run("calib", "fetch", "dev-clean", "--mirror", mirror.url, "--output", tmp_path / "x").exit_code == 0
    assert mirror.requests[-1] == f"bytes={there}-"


def test_draw_writes_a_list(run, refused, recordings, tmp_path):
    target = tmp_path / "lists" / "two.tsv"
    arguments = ("calib", "draw", recordings[0].parent, target, "--samples", "2", "--seed", "5")
    result = run(*arguments, "--name", "My set")
    assert result.exit_code == 0, result.output
    found = lists.read(target)
    assert len(found.entries) == 2
    assert found.facts["set"] == "My set"
    assert found.facts["drawn"] == "spread over speakers and lengths, 2 of 3 utterances, seed 5"
    assert "exists; name another file" in refused(*arguments)
    first = target.read_bytes()
    assert run(*arguments, "--name", "My set", "--force").exit_code == 0
    assert target.read_bytes() == first


def test_draw_names_what_it_left_out(run, recordings, tmp_path):
    recordings[1].write_bytes(b"")
    result = run("calib", "draw", recordings[0].parent, tmp_path / "x.tsv", "--json")
    assert json.loads(result.stdout)["utterances"] == 2
    assert result.stderr == "edgespeech: left out 1 utterance: b\n"


def test_draw_from_nothing(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no sound files" in refused("calib", "draw", tmp_path / "empty", tmp_path / "x.tsv")
    assert not (tmp_path / "x.tsv").exists()
