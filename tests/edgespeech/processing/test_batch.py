import copy
import pickle
import sys

import numpy as np
import pytest
import torch

import edgespeech.processing
from edgespeech.errors import ProcessingError
from edgespeech.processing import BatchFeature, Wav2Vec2FeatureExtractor, Wav2Vec2Processor


def test_entries_are_attributes():
    batch = BatchFeature({"input_values": [1.0]})
    batch["labels"] = [2]
    assert batch.input_values is batch["input_values"]
    assert {**batch} == {"input_values": [1.0], "labels": [2]}
    with pytest.raises(AttributeError, match=r"'x'; it holds \['input_values', 'labels'\]"):
        _ = batch.x
    with pytest.raises(KeyError):
        batch["x"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda batch: pickle.loads(pickle.dumps(batch))])  # noqa: S301
def test_it_can_be_copied(duplicate):
    batch = BatchFeature({"input_ids": [[1, 2]]})
    assert duplicate(batch).input_ids == [[1, 2]]


def test_moves_and_casts_tensors():
    batch = BatchFeature({"input_values": torch.ones(2), "labels": torch.ones(2, dtype=torch.int64), "names": ["a"]})
    assert batch.to("cpu", torch.float16) is batch
    assert (batch.input_values.dtype, batch.labels.dtype) == (torch.float16, torch.int64)
    batch.to(torch.float64)
    assert (batch.input_values.dtype, batch.labels.dtype) == (torch.float64, torch.int64)
    batch.to("meta")
    assert batch.labels.device.type == batch.input_values.device.type == "meta"
    batch.to(device="meta")
    assert batch.names == ["a"]


def test_tensors_of_either_kind():
    data = {"a": [[1, 2], [3, 4]], "b": [np.ones(2, np.float32)] * 2, "c": [torch.ones(2)] * 2, "d": []}
    arrays = BatchFeature(data, "np")
    tensors = BatchFeature(data, "pt")
    for name in data:
        assert isinstance(arrays[name], np.ndarray)
        assert isinstance(tensors[name], torch.Tensor)
        assert arrays[name].shape == tuple(tensors[name].shape)
        assert arrays[name].dtype == tensors[name].numpy().dtype
    assert BatchFeature(tensors).convert_to_tensors("pt")["a"] is tensors["a"]
    with pytest.raises(ProcessingError, match="'np', 'pt', got 'tf'"):
        BatchFeature(data, "tf")


def test_all_names_what_can_be_imported():
    for name in edgespeech.processing.__all__:
        assert getattr(edgespeech.processing, name).__name__ == name


def test_without_torch_all_but_its_tensors_work(make, monkeypatch):
    tokenizer, _ = make()
    monkeypatch.setitem(sys.modules, "torch", None)  # makes every import of it fail
    processor = Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer)
    batch = processor(np.ones(400), "HELLO", sampling_rate=16000, return_tensors="np")
    assert batch.labels.shape == (1, 5)
    assert processor.batch_decode(batch.labels, group_tokens=False) == ["HELLO"]
    with pytest.raises(ImportError):
        processor(np.ones(400), sampling_rate=16000, return_tensors="pt")
