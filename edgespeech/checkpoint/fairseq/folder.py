"""A checkpoint file of fairseq as a folder in the Hugging Face layout, written once and kept while the process runs.

Of a model with a CTC head it has a tokenizer, of MMS also an adapter for each language, and always the settings of a
feature extractor. No code of fairseq is needed, and none that the file may carry is run.
"""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from edgespeech.checkpoint.fairseq.dictionary import DELIMITER, OWN, read_vocabulary
from edgespeech.checkpoint.fairseq.languages import Language, read_languages
from edgespeech.checkpoint.fairseq.names import configuration, renamed
from edgespeech.checkpoint.fairseq.settings import Settings, is_setting
from edgespeech.checkpoint.folder import SAFETENSORS, refuse_pointer, write_json
from edgespeech.checkpoint.pickled import read_pickle
from edgespeech.errors import CheckpointError

HEADS = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}  # how names of classes begin
FOLDERS: dict[tuple[Path, int, int], Path] = {}  # folders by file, its time and its size


def fairseq_folder(path: Path) -> Path:
    """Return a folder in the Hugging Face layout for a checkpoint file of fairseq.

    It lies among the temporary files and is gone when the process ends; `save_pretrained` writes one that stays.

    Raises:
        WeightsError: the file is damaged, or asks to run code.
        MissingFileError: a CTC model without its dictionary.
        CheckpointError: it is no checkpoint of fairseq, or of a model that is not known here.
    """
    status = path.stat()
    key = (path.resolve(), status.st_mtime_ns, status.st_size)
    if key not in FOLDERS:
        above = tempfile.mkdtemp(prefix="edgespeech-fairseq-")
        atexit.register(shutil.rmtree, above, ignore_errors=True)
        folder = Path(above) / path.stem
        folder.mkdir()
        _write(path, folder)
        FOLDERS[key] = folder
    return FOLDERS[key]


def _write(path: Path, folder: Path) -> None:
    refuse_pointer(path)
    state = read_pickle(path, is_setting)
    model = state.get("model") if isinstance(state, dict) else None
    if not isinstance(model, dict) or not all(isinstance(value, Tensor) for value in model.values()):
        raise CheckpointError(f"{path} is no checkpoint of fairseq: it has no table of weights under the name model")
    settings = Settings.of(state)
    family = settings.family(model, path)
    languages = read_languages(state.get("adapter"), family, path)
    weights = renamed(model, family)
    if languages:
        weights |= next(iter(languages.values())).weights
    config = configuration(weights, family, settings, path)
    config["architectures"] = [HEADS[family] + _head(weights)]
    normalize = settings.task.get("normalize") is True
    rate = settings.task.get("sample_rate") or 16000
    if languages:
        _write_languages(folder, languages, settings.labels)
    elif "lm_head.weight" in weights:
        tokens = read_vocabulary(path, settings.labels, config["vocab_size"])
        write_json(folder / "vocab.json", tokens)
        write_json(folder / "tokenizer_config.json", _tokenizer(tokens, settings.labels))
    write_json(folder / "preprocessor_config.json", _audio(rate, normalize, config["feat_extract_norm"] == "layer"))
    write_json(folder / "config.json", config)
    _save(folder / SAFETENSORS, weights)


def _write_languages(folder: Path, languages: dict[str, Language], labels: str | None) -> None:
    usual = next(iter(languages))
    write_json(folder / "vocab.json", {name: language.tokens for name, language in languages.items()})
    tokenizer = _tokenizer(languages[usual].tokens, labels) | {"target_lang": usual}
    write_json(folder / "tokenizer_config.json", tokenizer)
    for name, language in languages.items():
        _save(folder / f"adapter.{name}.safetensors", language.weights)


def _save(path: Path, weights: dict[str, Tensor]) -> None:
    stored = {name: tensor.detach().contiguous().clone() for name, tensor in weights.items()}
    safetensors.torch.save_file(stored, path, metadata={"format": "pt"})


def _head(weights: dict[str, Tensor]) -> str:
    if "lm_head.weight" in weights:
        return "ForCTC"
    return "ForPreTraining" if "quantizer.codevectors" in weights else "Model"


def _audio(rate: int, normalize: bool, mask: bool) -> dict[str, Any]:
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "do_normalize": normalize,
        "return_attention_mask": mask,
    }


def _tokenizer(tokens: dict[str, int], labels: str | None) -> dict[str, Any]:
    """Settings of a tokenizer of letters or, where no token separates words and labels are no letters, of phonemes."""
    of_letters = DELIMITER in tokens or labels in (None, "ltr", "chr")
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), OWN, strict=True))
    if of_letters:
        delimiter = DELIMITER if DELIMITER in tokens else None
        return {**names, "word_delimiter_token": delimiter, "tokenizer_class": "Wav2Vec2CTCTokenizer"}
    return {**names, "do_phonemize": False, "tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}
