"""The bundle's folder exists whole or not at all, and nothing that was there is lost."""

import errno
import os
from collections import namedtuple
from pathlib import Path

import pytest
from edgespeech_export import ExportError, TargetExistsError
from edgespeech_export.folder import check_space, check_target, written_whole


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "bundle"
    with written_whole(target, force=False) as partial:
        (partial / "file").write_text("new")
        assert not target.exists()
    assert entries(target) == ["file"]
    assert entries(target.parent) == ["bundle"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interruption_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), written_whole(tmp_path / "a" / "bundle", force=False) as partial:
        (partial / "file").write_text("new")
        raise error
    assert entries(tmp_path) == []


def test_a_failed_replacement_keeps_the_old_bundle(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(RuntimeError), written_whole(target, force=True):
        raise RuntimeError
    assert entries(target) == ["old"]
    assert entries(tmp_path) == ["bundle"]


def test_a_rename_that_fails_puts_the_old_bundle_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old").write_text("old")
    rename = Path.rename

    def refuse(self: Path, other: Path) -> Path:
        if self.name.startswith(".bundle.partial-"):
            raise OSError(errno.EIO, "input/output error")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ExportError, match="input/output error"), written_whole(target, force=True):
        pass
    assert entries(target) == ["old"]
    assert entries(tmp_path) == ["bundle"]


def test_force_replaces_the_bundle_whole(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old").write_text("old")
    with written_whole(target, force=True) as partial:
        (partial / "new").write_text("new")
        assert entries(target) == ["old"]
    assert entries(target) == ["new"]
    assert entries(tmp_path) == ["bundle"]


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with pytest.raises(TargetExistsError), written_whole(target, force=False):
        target.mkdir()
    assert entries(tmp_path) == ["bundle"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the disk is full"), written_whole(tmp_path / "bundle", force=False):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert entries(tmp_path) == []


def test_too_little_room_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 0, 3 * 2**20))
    check_space(tmp_path / "not" / "yet", 2 * 2**20)
    with pytest.raises(ExportError, match=r"needs about 5\.0 MB, the disk has 3\.0 MB free"):
        check_space(tmp_path / "not" / "yet", 5 * 2**20)


def test_targets_that_must_not_be_replaced(tmp_path: Path) -> None:
    checkpoint = tmp_path / "models" / "checkpoint"
    checkpoint.mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(checkpoint)
    check_target(tmp_path / "new", force=False, keep=checkpoint)
    with pytest.raises(TargetExistsError, match="--force"):
        check_target(checkpoint.parent, force=False, keep=tmp_path / "elsewhere")
    for target in (tmp_path / "file", tmp_path / "link"):
        with pytest.raises(ExportError, match="is not a folder"):
            check_target(target, force=True, keep=checkpoint)
    for target in (checkpoint, checkpoint.parent):
        with pytest.raises(ExportError, match="holds the checkpoint"):
            check_target(target, force=True, keep=checkpoint)
