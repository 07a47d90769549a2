"""When the files of a bundle are read to check them: always, once until they change, never; while engines load."""

import os
import shutil

import pytest
from edgespeech_runtime import load
from edgespeech_runtime.bundle.checksums import Check
from edgespeech_runtime.bundle.folder import LARGE, begin_opening, open_bundle
from edgespeech_runtime.errors import ArgumentError, BundleError, BundleMissingError
from tones import spoken

DAMAGED = "does not match its checksum in edgespeech.json"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESPEECH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def large(tiny_bundle, rewrite):
    """A bundle with a file of more than `LARGE` bytes, which no graph reads."""
    folder = tiny_bundle()
    (folder / "large.bin").write_bytes(os.urandom(LARGE + 1))
    rewrite(folder, lambda data: data["files"].update({"large.bin": {}}))
    return folder


def damage(path, keep=True):
    """Change one byte, and let the file system say that nothing has changed if it is to be kept."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(before.st_size // 2)
        byte = stream.read(1)
        stream.seek(before.st_size // 2)
        stream.write(bytes([byte[0] ^ 1]))
    if keep:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("checksums", ["always", "once"])
def test_a_damaged_file_is_refused(large, checksums):
    load(large, checksums=checksums).close()
    damage(large / "large.bin")
    with pytest.raises(BundleError, match=f"large.bin {DAMAGED}"):
        load(large, checksums=checksums)


def test_never_looks_at_sizes_alone(large):
    damage(large / "large.bin", keep=False)
    with load(large, checksums="never") as model:
        assert model.transcribe(spoken("A_B")).text == "AB"
    (large / "large.bin").write_bytes(b"short")
    with pytest.raises(BundleError, match=r"large.bin has 5 bytes where edgespeech.json says"):
        load(large, checksums="never")
    (large / "large.bin").unlink()
    with pytest.raises(BundleMissingError, match=r"large.bin is listed in edgespeech.json but is not in the bundle"):
        load(large, checksums="never")


def test_once_is_remembered_for_the_file_alone(large, tmp_path, monkeypatch):
    read = []
    original = "edgespeech_runtime.bundle.checksums.sha256"
    from edgespeech_runtime.bundle import checksums

    sha256 = checksums.sha256
    monkeypatch.setattr(original, lambda path: read.append(path.name) or sha256(path))
    begin_opening(large, "once").end_checks()
    assert "large.bin" in read
    read.clear()
    begin_opening(large, "once").end_checks()
    assert read == []
    shutil.copy2(large / "large.bin", tmp_path / "copy")
    (tmp_path / "copy").replace(large / "large.bin")  # the same content in another file
    begin_opening(large, "once").end_checks()
    assert read == ["large.bin"]
    read.clear()
    begin_opening(large).end_checks()
    assert "large.bin" in read


def test_a_damaged_file_is_never_remembered(large):
    damage(large / "large.bin")
    for _ in range(2):
        with pytest.raises(BundleError, match=DAMAGED):
            begin_opening(large, "once").end_checks()


def test_opening_waits_for_all(large):
    damage(large / "large.bin")
    with pytest.raises(BundleError, match=DAMAGED):
        open_bundle(large)


@pytest.mark.parametrize("checksums", ["sometimes", None, True])
def test_another_word(tiny_bundle, checksums):
    with pytest.raises(ArgumentError, match="checksums: expected 'always', 'once' or 'never', got"):
        load(tiny_bundle(), checksums=checksums)


def test_a_check_raises_in_the_thread_that_waits():
    def fail():
        raise BundleError("damaged")

    with pytest.raises(BundleError, match="damaged"):
        Check(fail).wait()
    Check(lambda: None).wait()
