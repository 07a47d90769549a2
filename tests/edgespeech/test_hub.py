"""Hub ids: what is downloaded, and what is said where nothing can be."""

import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checkpoints import make_checkpoint
from safetensors.torch import load_file, save_file

import edgespeech
from edgespeech import AutoModelForCTC, Wav2Vec2ForCTC
from edgespeech.errors import MissingFileError

HUB_ID = "someone/something"


class Hub:
    """Stands for the hub's client: one repository, whose files come into the cache when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.cache = folder / "repository", folder / "cache"
        self.options: dict[str, Any] = {}

    def snapshot_download(self, name: str, *, allow_patterns: list[str], **options: Any) -> str:
        assert name == HUB_ID
        self.options = options
        self.cache.mkdir(exist_ok=True)
        for path in self.repository.iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, self.cache)
        return str(self.cache)

    @property
    def downloaded(self) -> set[str]:
        return {path.name for path in self.cache.iterdir()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A repository with everything twice, and adapters for two languages."""
    hub = Hub(tmp_path)
    options = {"do_stable_layer_norm": True, "adapter_attn_dim": 4}
    weights = load_file(make_checkpoint(hub.repository, **options) / "model.safetensors")
    torch.save(weights, hub.repository / "pytorch_model.bin")
    adapter = {name: value for name, value in weights.items() if "adapter_layer" in name or name.startswith("lm_head")}
    for language in ("deu", "fra"):
        save_file(adapter, hub.repository / f"adapter.{language}.safetensors")
        torch.save(adapter, hub.repository / f"adapter.{language}.bin")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


PROCESSOR = {"vocab.json", "tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json"}


def test_weights_are_downloaded_once_and_adapters_not_at_all(hub: Hub) -> None:
    model = AutoModelForCTC.from_pretrained(HUB_ID)
    assert hub.downloaded == PROCESSOR | {"config.json", "model.safetensors"}
    assert model.name_or_path == HUB_ID


def test_what_the_client_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    asked = {"revision": "v2", "token": "t", "cache_dir": tmp_path, "local_files_only": True, "force_download": True}
    model = AutoModelForCTC.from_pretrained(HUB_ID, **asked)
    assert hub.options == asked
    AutoModelForCTC.from_pretrained(HUB_ID, revision=None, token=None)
    assert hub.options == {}
    Wav2Vec2ForCTC.config_class.from_pretrained(HUB_ID, revision="v3")
    assert hub.options == {"revision": "v3"}
    model.load_adapter("fra", revision="v4")
    assert hub.options == {"revision": "v4"}


@pytest.mark.parametrize("kind", ["AutoProcessor", "AutoTokenizer", "AutoFeatureExtractor", "Wav2Vec2CTCTokenizer"])
def test_what_the_client_is_asked_for_by_processors(hub: Hub, tmp_path: Path, kind: str) -> None:
    asked = {"revision": "v2", "token": "t", "cache_dir": tmp_path, "local_files_only": True, "force_download": True}
    getattr(edgespeech, kind).from_pretrained(HUB_ID, **asked, trust_remote_code=False)
    assert hub.options == asked


def test_pickled_weights_are_downloaded_where_there_are_no_others(hub: Hub) -> None:
    (hub.repository / "model.safetensors").unlink()
    Wav2Vec2ForCTC.from_pretrained(HUB_ID)
    assert hub.downloaded == PROCESSOR | {"config.json", "pytorch_model.bin"}


def test_the_adapter_that_is_asked_for_is_downloaded(hub: Hub) -> None:
    model = AutoModelForCTC.from_pretrained(HUB_ID, target_lang="deu")
    assert "adapter.deu.safetensors" in hub.downloaded
    assert "adapter.fra.safetensors" not in hub.downloaded
    model.load_adapter("fra")
    assert "adapter.fra.safetensors" in hub.downloaded
    with pytest.raises(MissingFileError, match="no adapter for 'eng'"):
        model.load_adapter("eng")


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "with space", "../up"])
def test_a_folder_that_does_not_exist(name: str, hub: Hub) -> None:
    with pytest.raises(MissingFileError, match=r"no checkpoint folder at .*; check the path"):
        Wav2Vec2ForCTC.from_pretrained(name)


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingFileError, match=r"at someone/something; .* pip install 'edgespeech\[hub\]'"):
        AutoModelForCTC.from_pretrained(HUB_ID)


@pytest.mark.parametrize(
    ("text", "said"), [("no route to host\nand a page of advice", "no route to host"), ("", "OSError")]
)
def test_without_the_network(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    def fail(name: str, **options: Any) -> str:
        raise OSError(text)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=fail))
    with pytest.raises(MissingFileError, match=f"something, and the hub gave none of that id: {said}$"):
        Wav2Vec2ForCTC.from_pretrained(HUB_ID)
