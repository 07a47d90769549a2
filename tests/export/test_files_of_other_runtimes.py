"""Files beside the graphs, in the formats of a checkpoint folder: libraries that read those open the bundle."""

import json
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers
import transformers
from edgespeech_export.sources.other_runtimes import serialized
from edgespeech_runtime.bundle.manifest import Manifest, Vocabulary
from edgespeech_runtime.ctc.greedy import collapse
from edgespeech_runtime.tasks.ctc_text import spell

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "'", "É")
VOCABULARIES = {
    "letters": Vocabulary(LETTERS, blank=0, special=(0, 1, 2, 3)),
    "lower-case": Vocabulary(LETTERS, blank=0, special=(0, 1, 2, 3), lower_case=True),
    "blank-last": Vocabulary(("x", "y", "<unk>", "_", " ", "<pad>"), blank=5, special=(2, 5), word_delimiter=" "),
    "another-delimiter": Vocabulary(
        ("[PAD]", "-", "a", "bc", ".", "n't"), 0, "-", replace_word_delimiter="_", special=(0,)
    ),
    "no-words": Vocabulary(("<blank>", "ka", "ra", "ka ra"), 0, word_delimiter=None),
    "ids-without-token": Vocabulary(("", "<pad>", "a", "", "b"), 1, word_delimiter=None, special=(0, 1, 3)),
    "phonemes": Vocabulary(
        ("<pad>", "|", "a", "aː", "tʃ", "<unk>"), 0, "|", replace_word_delimiter="", special=(0, 5), separator=" "
    ),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_library_tokenizers_writes_the_runtimes_text(name: str) -> None:
    vocabulary = VOCABULARIES[name]
    read = tokenizers.Tokenizer.from_str(json.dumps(serialized(vocabulary, "<unk>")))
    generator = np.random.default_rng(0)
    texts = set()
    for _ in range(200):
        ids = generator.integers(0, len(vocabulary.tokens), generator.integers(1, 12)).repeat(2)[1:]
        text = spell(collapse(ids, vocabulary.blank, skip=vocabulary.special), vocabulary)
        assert read.decode(ids.tolist(), skip_special_tokens=True).strip() == text
        texts.add(text)
    assert len(texts) > 20


def test_text_becomes_the_ids_of_its_letters() -> None:
    read = tokenizers.Tokenizer.from_str(json.dumps(serialized(VOCABULARIES["letters"], "<unk>")))
    assert read.encode("AB ÉA").ids == [5, 6, 4, 8, 5]


def test_transformers_reads_the_bundle_as_it_reads_the_checkpoint(case_of: Any) -> None:
    case = case_of("wav2vec2-group", "onnx")
    theirs, ours = (transformers.AutoProcessor.from_pretrained(path) for path in (case.checkpoint, case.bundle))
    assert type(ours) is type(theirs) is transformers.Wav2Vec2Processor
    ids = np.random.default_rng(0).integers(0, 32, (3, 50))
    assert ours.batch_decode(ids) == theirs.batch_decode(ids)
    audio = np.random.default_rng(1).standard_normal(1000)
    values = [each(audio, sampling_rate=16000).input_values[0] for each in (ours, theirs)]
    np.testing.assert_array_equal(*values)
    config = transformers.AutoConfig.from_pretrained(case.bundle)
    assert (config.model_type, config.vocab_size) == ("wav2vec2", 32)
    settings = {"dtype": "fp32", "use_external_data_format": True}
    assert getattr(config, "transformers.js_config") == settings


@pytest.mark.parametrize("kind", ["wav2vec2-group", "xvector"])
def test_the_graph_of_the_hub_is_listed_and_has_its_libraries_names(case_of: Any, kind: str) -> None:
    case = case_of(kind, "onnx")
    manifest = Manifest.from_json((case.bundle / "edgespeech.json").read_text(encoding="utf-8"))
    hub = manifest.graphs["hub"]
    assert (hub.file, hub.weights) == ("onnx/model.onnx", "onnx/model.onnx_data")
    assert {hub.file, hub.weights} <= manifest.files.keys()
    stored = onnx.load(case.bundle / hub.file, load_external_data=False).graph
    assert [value.name for value in stored.input] == ["input_values"]
    assert [value.name for value in stored.output] == [tensor.name for tensor in hub.outputs]
    assert [tensor.name for tensor in hub.outputs] == (["logits", "embeddings"] if kind == "xvector" else ["logits"])


@pytest.mark.parametrize("engine", ["openvino", "numpy"])
def test_other_engines_have_the_configurations_but_no_such_graph(case_of: Any, engine: str) -> None:
    bundle = case_of("wav2vec2-group", engine).bundle
    assert not (bundle / "onnx").exists()
    assert "transformers.js_config" not in json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    assert transformers.AutoProcessor.from_pretrained(bundle)
