"""Downloads that break, resume and are verified, from a server on this machine."""

import errno
import os
import shutil
from collections import namedtuple

import pytest
from edgespeech_calib.errors import ChecksumError, DataError, DownloadError
from edgespeech_calib.speech import fetch as module
from edgespeech_calib.speech.fetch import ATTEMPTS, fetch
from fetching import Mirror, serving

SUBSET = "dev-clean"


@pytest.fixture
def mirror(monkeypatch):
    with serving(Mirror()) as found:
        monkeypatch.setitem(module.MD5, SUBSET, found.md5)
        yield found


@pytest.fixture
def download(mirror, tmp_path):
    return lambda **options: fetch(SUBSET, tmp_path / "speech", mirror.url, pause=0.0, **options)


@pytest.fixture
def part(tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    return folder / "dev-clean.tar.gz.part"


def test_a_download_is_whole_and_verified(download, mirror, tmp_path):
    seen = []
    found = download(progress=lambda done, total: seen.append((done, total)))
    assert found.path == tmp_path / "speech" / "dev-clean.tar.gz"
    assert found.path.read_bytes() == mirror.content
    assert found.bytes == found.downloaded == len(mirror.content)
    assert seen[0] == (0, len(mirror.content))
    assert seen[-1] == (len(mirror.content), len(mirror.content))
    assert [path.name for path in (tmp_path / "speech").iterdir()] == ["dev-clean.tar.gz"]


def test_what_is_there_and_whole_is_not_fetched_again(download, mirror):
    download()
    assert download().downloaded == 0
    assert len(mirror.requests) == 1


def test_what_is_there_and_damaged_is_fetched_again(download, mirror):
    path = download().path
    path.write_bytes(b"damaged")
    assert download().path.read_bytes() == mirror.content


def test_a_connection_that_drops_half_way_is_taken_up_there(download, mirror):
    mirror.drops = [300_000, 200_000]
    assert download().path.read_bytes() == mirror.content
    assert mirror.requests == [None, "bytes=300000-", "bytes=500000-"]


def test_a_server_that_ignores_ranges_is_asked_for_everything(download, mirror):
    mirror.drops, mirror.knows_ranges = [300_000], False
    found = download()
    assert found.path.read_bytes() == mirror.content
    assert found.downloaded == 300_000 + len(mirror.content)


def test_a_server_that_says_no_length(download, mirror):
    mirror.says_length = False
    assert download().path.read_bytes() == mirror.content


def test_an_earlier_run_is_continued(download, mirror, part):
    part.write_bytes(mirror.content[:100])
    found = download()
    assert found.path.read_bytes() == mirror.content
    assert found.downloaded == len(mirror.content) - 100
    assert mirror.requests == ["bytes=100-"]


def test_an_earlier_run_that_lacked_only_its_end(download, mirror, part):
    part.write_bytes(mirror.content)
    assert download().path.read_bytes() == mirror.content


def test_an_earlier_run_that_is_longer_than_the_file_is_thrown_away(download, mirror, part):
    part.write_bytes(mirror.content + b"more")
    assert download().path.read_bytes() == mirror.content
    assert mirror.requests[-1] is None


def test_a_connection_that_always_drops_is_given_up_and_the_part_is_kept(download, mirror, part):
    mirror.drops = [50_000] + [0] * ATTEMPTS
    with pytest.raises(DownloadError, match="the connection ended after 50000 of 700000 bytes; the 50000 bytes that"):
        download()
    assert part.read_bytes() == mirror.content[:50_000]
    mirror.drops = []
    assert download().path.read_bytes() == mirror.content


def test_attempts_that_bring_something_do_not_count(download, mirror):
    mirror.drops = [10_000] * (3 * ATTEMPTS)
    assert download().path.read_bytes() == mirror.content


def test_a_server_that_is_busy_for_a_moment(download, mirror):
    mirror.failures = [503, 429, 500]
    assert download().path.read_bytes() == mirror.content


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_that_has_no_such_file(download, mirror, status):
    mirror.failures = [status]
    with pytest.raises(DownloadError, match=f"the server answers {status}.*--mirror"):
        download()
    assert len(mirror.requests) == 1


def test_a_wrong_checksum_leaves_nothing(download, mirror, tmp_path, monkeypatch):
    monkeypatch.setitem(module.MD5, SUBSET, "0" * 32)
    with pytest.raises(ChecksumError, match=f"has the MD5 sum {mirror.md5} where {'0' * 32} was published"):
        download()
    assert list((tmp_path / "speech").iterdir()) == []


def test_a_part_of_something_else_is_found_out_by_the_checksum(download, mirror, part):
    part.write_bytes(b"x" * 1000)
    with pytest.raises(ChecksumError):
        download()
    assert download().path.read_bytes() == mirror.content


def test_a_disk_that_is_too_small_is_refused_before_anything_comes(download, mirror, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(DownloadError, match="has 1 000 bytes free and 700 000 are needed; make room, or name"):
        download()
    assert list((tmp_path / "speech").iterdir()) == []


def test_a_disk_that_fills_up_keeps_what_came(download, mirror, part, monkeypatch):
    copy = module._Download._copy

    def fill(self, response, start, total):
        part.write_bytes(mirror.content[:4096])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module._Download, "_copy", fill)
    with pytest.raises(DownloadError, match="the disk is full; make room; the 4 096 bytes that came are kept"):
        download()
    monkeypatch.setattr(module._Download, "_copy", copy)
    assert download().path.read_bytes() == mirror.content
    assert mirror.requests[-1] == "bytes=4096-"


def test_a_folder_that_cannot_be_written(mirror, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DownloadError, match="file"):
        fetch(SUBSET, tmp_path / "file", mirror.url)


def test_nobody_answers(tmp_path, mirror):
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:1/dev-clean\.tar\.gz cannot be fetched: Connection refused"):
        fetch(SUBSET, tmp_path, "http://127.0.0.1:1", pause=0.0)
    with pytest.raises(DownloadError, match="is no address"):
        fetch(SUBSET, tmp_path, "nonsense", pause=0.0)


def test_an_unknown_subset(tmp_path):
    with pytest.raises(DataError, match="'dev' is no subset of LibriSpeech; it has dev-clean, dev-other"):
        fetch("dev", tmp_path)


def test_every_subset_has_a_checksum():
    assert len(module.MD5) == 7
    assert all(len(digest) == 32 and int(digest, 16) for digest in module.MD5.values())
