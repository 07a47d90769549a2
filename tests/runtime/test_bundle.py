"""Opening a bundle refuses whatever is not exactly what was exported."""

import hashlib

import numpy as np
import pytest
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.errors import BundleError, BundleMissingError


def test_an_untouched_bundle_opens(tiny_bundle, engine):
    folder = tiny_bundle(engine)
    bundle = open_bundle(str(folder))
    assert bundle.manifest.engine == engine
    assert bundle.path("golden.npz") == folder / "golden.npz"
    values, logits = bundle.arrays("golden.npz", "input_values", "logits")
    assert (values.shape, logits.shape) == ((1, 1600), (1, 5, 8))


def test_files_beside_the_listed_are_no_concern(tiny_bundle):
    folder = tiny_bundle()
    (folder / ".DS_Store").write_bytes(b"x")
    assert open_bundle(folder)


@pytest.mark.parametrize("name", ["single.onnx", "batch.onnx", "weights.data", "golden.npz"])
def test_one_altered_byte_is_refused(tiny_bundle, name):
    folder = tiny_bundle()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert str(caught.value) == f"{name} does not match its checksum in edgespeech.json; export the bundle again"


@pytest.mark.parametrize("change", [-1, 1])
def test_another_size_is_refused(tiny_bundle, change):
    folder = tiny_bundle()
    content = (folder / "weights.data").read_bytes()
    (folder / "weights.data").write_bytes((content + b"\0")[: len(content) + change])
    message = f"weights.data has {len(content) + change} bytes where edgespeech.json says {len(content)}; export"
    with pytest.raises(BundleError, match=message):
        open_bundle(folder)


def test_a_missing_file_is_named(tiny_bundle):
    folder = tiny_bundle()
    (folder / "batch.onnx").unlink()
    with pytest.raises(BundleMissingError, match=r"batch.onnx is listed in edgespeech.json but is not in the bundle"):
        open_bundle(folder)


def test_a_folder_in_place_of_a_file(tiny_bundle):
    folder = tiny_bundle()
    (folder / "batch.onnx").unlink()
    (folder / "batch.onnx").mkdir()
    with pytest.raises(FileNotFoundError, match=r"batch.onnx is listed in edgespeech.json but is not in the bundle"):
        open_bundle(folder)


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such bundle"):
        open_bundle(tmp_path / "nowhere")


def test_a_file_is_no_bundle(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(
        BundleError, match=r"model.onnx is not a folder: a bundle is a folder with edgespeech.json in it"
    ):
        open_bundle(tmp_path / "model.onnx")


def test_a_folder_without_a_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a bundle: it has no edgespeech.json"):
        open_bundle(tmp_path)


def test_a_manifest_that_is_no_text(tiny_bundle):
    folder = tiny_bundle()
    (folder / "edgespeech.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(BundleError, match=r"edgespeech.json is not UTF-8 text: export the bundle again"):
        open_bundle(folder)


def test_a_manifest_that_is_a_folder(tiny_bundle):
    folder = tiny_bundle()
    (folder / "edgespeech.json").unlink()
    (folder / "edgespeech.json").mkdir()
    with pytest.raises(BundleError, match=r"edgespeech.json cannot be read: "):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["weights.data", "edgespeech.json"])
def test_a_link_that_leaves_the_folder_is_refused(tiny_bundle, tmp_path, name):
    folder = tiny_bundle()
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(BundleError, match=rf"{name} is a link that leaves the bundle"):
        open_bundle(folder)


def test_a_linked_folder_inside_the_bundle_is_refused_too(tiny_bundle, rewrite, tmp_path):
    folder = tiny_bundle()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"x")
    (folder / "sub").symlink_to(tmp_path / "outside")
    rewrite(folder, lambda data: data["files"].update({"sub/x": {}}))
    with pytest.raises(BundleError, match="sub/x is a link that leaves the bundle"):
        open_bundle(folder)


def test_links_that_stay_inside_and_a_linked_bundle_open(tiny_bundle, tmp_path):
    folder = tiny_bundle()
    (folder / "weights.data").rename(folder / "real.data")
    (folder / "weights.data").symlink_to("real.data")
    (tmp_path / "alias").symlink_to(folder)
    assert open_bundle(tmp_path / "alias")


def test_a_path_outside_is_refused_before_it_is_read(tiny_bundle, rewrite):
    folder = tiny_bundle()
    rewrite(folder, lambda data: data["files"].update({"../secret": data["files"]["golden.npz"]}), relist=False)
    with pytest.raises(BundleError, match=r"'../secret' is not a plain path inside the bundle"):
        open_bundle(folder)


def test_an_unreadable_file(tiny_bundle, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("edgespeech_runtime.bundle.checksums.sha256", refuse)
    with pytest.raises(BundleError, match=r"\.\w+ cannot be read: Permission denied"):
        open_bundle(tiny_bundle())


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1])
def test_sha256_reads_in_chunks(tmp_path, size):
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "file").write_bytes(content)
    assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
