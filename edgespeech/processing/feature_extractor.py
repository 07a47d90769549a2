"""Audio to model input: waveforms checked, cut, normalised and padded. It reads no files and resamples nothing."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.audio import waveform

from edgespeech.checkpoint import read_json, write_json
from edgespeech.errors import MissingFileError, ProcessingError
from edgespeech.processing.batch import (
    BatchFeature,
    PaddingSide,
    PaddingStrategy,
    TensorType,
    as_columns,
    check_choice,
    is_torch,
    padding_strategy,
    round_up,
    to_numpy,
)
from edgespeech.processing.folder import PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, locate, read_optional

logger = logging.getLogger(__name__)

Samples = npt.NDArray[np.float32]
Mask = npt.NDArray[np.int32]
NESTED = ("feature_extractor", "audio_processor")  # keys of processor_config.json that may hold these settings


class Wav2Vec2FeatureExtractor:
    """Turns waveforms into `input_values`, and `attention_mask` where asked for.

    Args:
        feature_size: numbers per time step; waveforms have 1.
        sampling_rate: in Hz, what the model was trained on.
        padding_value: what padding is filled with.
        return_attention_mask: whether calls return a mask (1 = a true sample) unless they say otherwise. Set for models
            with layer norm in their conv stack; those with group norm were trained without a mask.
        do_normalize: whether each utterance gets zero mean and unit variance.
        padding_side: where padding goes.
        **extra: further settings of `preprocessor_config.json`, kept as attributes and written back.
    """

    model_input_names: Sequence[str] = ("input_values", "attention_mask")

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        return_attention_mask: bool = False,
        do_normalize: bool = True,
        padding_side: PaddingSide = "right",
        **extra: Any,
    ) -> None:
        self.feature_size = feature_size
        self.sampling_rate = sampling_rate
        self.padding_value = padding_value
        self.return_attention_mask = return_attention_mask
        self.do_normalize = do_normalize
        self.padding_side = padding_side
        extra.pop("processor_class", None)
        self.__dict__.update(extra)

    def __call__(
        self,
        raw_speech: Any,
        padding: bool | str = False,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: TensorType | None = None,
        sampling_rate: int | None = None,
    ) -> BatchFeature:
        """Prepare a waveform, an array or list `[samples]`, or several, a list of those or `[batch, samples]`.

        Always returns a batch: `input_values` float32 `[batch, samples]` and, where asked for, `attention_mask` int32
        of the same shape; without padding, rows keep their own lengths.

        With a mask, and without padding, the mean and variance are those of the true samples and padding is
        `padding_value`. Padded without a mask, they are those of the padded row, padding included, as in transformers.

        Args:
            raw_speech: the audio, mono.
            padding: True or "longest", "max_length", False or "do_not_pad".
            max_length: in samples, for "max_length" and `truncation`.
            truncation: cut what is longer than `max_length` (rounded up to `pad_to_multiple_of`).
            pad_to_multiple_of: pad to a multiple of so many samples.
            return_attention_mask: overrides the setting of the same name.
            return_tensors: "np", "pt", or None for a list of arrays.
            sampling_rate: of `raw_speech` in Hz; say it, so that a wrong one is noticed.

        Raises:
            ProcessingError: audio of another rate, with several channels or without samples, or contradictory options.
        """
        self._check_rate(sampling_rate)
        strategy = self._strategy(padding, max_length)
        has_mask = self.return_attention_mask if return_attention_mask is None else return_attention_mask
        rows = [_cut(row, max_length, truncation, pad_to_multiple_of) for row in _waveforms(raw_speech)]
        masks = [np.ones(len(row), np.int32) for row in rows] if has_mask else []
        is_exact = has_mask or strategy == "do_not_pad"
        if self.do_normalize and is_exact:
            rows = [waveform.normalize(row) for row in rows]
        rows, masks = self._pad_rows(rows, masks, strategy, max_length, pad_to_multiple_of)
        if self.do_normalize and not is_exact:
            rows = [waveform.normalize(row) for row in rows]
        batch = BatchFeature({"input_values": rows if self.do_normalize else to_numpy(rows)})
        if has_mask:
            batch["attention_mask"] = masks
        return batch.convert_to_tensors(return_tensors)

    def pad(
        self,
        processed_features: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: TensorType | None = None,
    ) -> BatchFeature:
        """Pad features that are prepared already: a mapping of columns, or a list of mappings, with `input_values`.

        Nothing is normalised here. Returns arrays, torch tensors if such came in, or what `return_tensors` says.
        An `attention_mask` among the features is padded too; other entries are stacked.

        Raises:
            ProcessingError: no `input_values`, columns of different sizes, or contradictory options.
        """
        columns = as_columns(processed_features, "input_values")
        strategy = self._strategy(padding, max_length)
        has_mask = self.return_attention_mask if return_attention_mask is None else return_attention_mask
        if len(columns["input_values"]) == 0:
            return BatchFeature({**columns, "attention_mask": []} if has_mask else columns)
        if return_tensors is None:
            return_tensors = "pt" if is_torch(columns["input_values"][0]) else "np"
        sizes = {name: len(column) for name, column in columns.items()}
        if len(set(sizes.values())) > 1:
            raise ProcessingError(f"expected columns of one size to pad, got {sizes}")
        has_mask = has_mask or "attention_mask" in columns
        rows = [_waveform(row) for row in columns.pop("input_values")]
        masks = [to_numpy(row) for row in columns.pop("attention_mask", [np.ones(len(row), np.int32) for row in rows])]
        rows = [_cut(row, max_length, truncation, pad_to_multiple_of) for row in rows]
        masks = [mask[: len(row)].astype(np.int32) for mask, row in zip(masks, rows, strict=True)]
        rows, masks = self._pad_rows(rows, masks, strategy, max_length, pad_to_multiple_of)
        batch = BatchFeature({"input_values": rows, **({"attention_mask": masks} if has_mask else {})})
        batch.update({name: _single(to_numpy(column)) for name, column in columns.items()})
        return batch.convert_to_tensors(return_tensors)

    @classmethod
    def from_pretrained(cls, checkpoint: str | os.PathLike[str], **overrides: Any) -> "Wav2Vec2FeatureExtractor":
        """Load the settings of a checkpoint: a folder, a hub id, or the JSON file itself.

        They stand in `preprocessor_config.json` or, as transformers 5 writes them, inside `processor_config.json`.
        `overrides` replace settings of the same name; others are ignored.

        Raises:
            MissingFileError: there is no such folder, or none of these files in it.
            CheckpointError: a file is not what it should be.
        """
        path = Path(checkpoint)
        settings = read_json(path) if path.is_file() else require_feature_extractor(locate(path, overrides))
        names = {*cls().__dict__, *settings}
        settings.update({name: value for name, value in overrides.items() if name in names})
        return cls(**settings)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any], **overrides: Any) -> "Wav2Vec2FeatureExtractor":
        """Build one from the content of `preprocessor_config.json`."""
        return cls(**{**settings, **overrides})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as `preprocessor_config.json` holds them."""
        return {**self.__dict__, "feature_extractor_type": type(self).__name__}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write `preprocessor_config.json` into a folder, which is made if need be; return the paths written."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / PREPROCESSOR_CONFIG
        write_json(path, self.to_dict())
        processor = read_optional(folder / PROCESSOR_CONFIG)
        if not set(NESTED).isdisjoint(processor):  # older settings in there would win over the file just written
            write_json(folder / PROCESSOR_CONFIG, {k: v for k, v in processor.items() if k not in NESTED})
        return [str(path)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    def _check_rate(self, sampling_rate: int | None) -> None:
        if sampling_rate is None:
            logger.warning("no sampling_rate was given; pass that of the audio, so that a wrong one is noticed")
        elif sampling_rate != self.sampling_rate:
            raise ProcessingError(
                f"expected audio at {self.sampling_rate} Hz, which the model was trained on, got {sampling_rate} Hz; "
                "resample it first"
            )

    def _strategy(self, padding: bool | str, max_length: int | None) -> PaddingStrategy:
        strategy = padding_strategy(padding)
        if strategy == "max_length" and max_length is None:
            raise ProcessingError("padding='max_length' needs max_length, the length to pad to in samples")
        if strategy != "do_not_pad" and cast("float | None", self.padding_value) is None:
            raise ProcessingError("padding needs a padding_value, but the feature extractor's is None; set it to 0.0")
        return strategy

    def _pad_rows(
        self,
        rows: list[Samples],
        masks: list[Mask],
        strategy: PaddingStrategy,
        max_length: int | None,
        multiple: int | None,
    ) -> tuple[list[Samples], list[Mask]]:
        """Pad each row `[n_i]` and its mask to the target length; rows that are longer stay as they are."""
        if strategy == "do_not_pad":
            return rows, masks
        longest = max(len(row) for row in rows)
        target = round_up(longest if strategy == "longest" or max_length is None else max_length, multiple)
        padded = [self._pad_row(row, target, self.padding_value) for row in rows]
        return padded, [self._pad_row(mask.astype(np.float32), target, 0.0).astype(np.int32) for mask in masks]

    def _pad_row(self, row: Samples, target: int, value: float) -> Samples:
        step = -1 if check_choice("padding_side", self.padding_side, PaddingSide) == "left" else 1
        return waveform.pad([row[::step]], value, max(target, len(row)))[0][0, ::step]


def read_feature_extractor(folder: Path) -> dict[str, Any] | None:
    """Read a folder's feature extractor settings, inside `processor_config.json` or in their own file; or None."""
    processor = read_optional(folder / PROCESSOR_CONFIG)
    for name in NESTED:
        if isinstance(processor.get(name), dict):
            return dict(processor[name])
    path = folder / PREPROCESSOR_CONFIG
    return read_json(path) if path.is_file() else None


def require_feature_extractor(folder: Path) -> dict[str, Any]:
    """Read a folder's feature extractor settings; raise MissingFileError if it has none."""
    settings = read_feature_extractor(folder)
    if settings is None:
        raise MissingFileError(f"{folder} holds no {PREPROCESSOR_CONFIG}; a checkpoint that takes audio has one")
    return settings


def _waveforms(raw_speech: Any) -> list[Samples]:
    """Split what a caller may pass as audio into waveforms `[samples]`."""
    if isinstance(raw_speech, (list, tuple)):
        if not raw_speech:
            raise ProcessingError("expected audio, got an empty list")
        is_batch = isinstance(raw_speech[0], (list, tuple, np.ndarray)) or is_torch(raw_speech[0])
        return [_waveform(item) for item in raw_speech] if is_batch else [_waveform(raw_speech)]
    array = to_numpy(raw_speech)
    return [_waveform(row) for row in array] if array.ndim == 2 else [_waveform(array)]


def _waveform(samples: Any) -> Samples:
    array = to_numpy(samples)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise ProcessingError(
            f"expected mono audio, numbers of shape [samples], got {array.dtype} of shape {list(array.shape)}; "
            "mix the channels down first"
        )
    if not array.size:
        raise ProcessingError("expected audio with at least one sample, got none")
    return array.astype(np.float32, copy=False)


def _cut(row: Samples, max_length: int | None, truncation: bool, multiple: int | None) -> Samples:
    if not truncation:
        return row
    if max_length is None:
        raise ProcessingError("truncation=True needs max_length, the length to cut to in samples")
    return row[: round_up(max_length, multiple)]


def _single(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float64 else array
