import pytest

from edgespeech.errors import CheckpointError, MissingFileError
from edgespeech.processing import (
    AutoFeatureExtractor,
    AutoProcessor,
    AutoTokenizer,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
    auto,
)

VOCABULARY = {"<pad>": 0, "|": 1, "a": 2}
PART = {"processor": AutoProcessor, "feature extractor": AutoFeatureExtractor, "tokenizer": AutoTokenizer}


@pytest.mark.parametrize("model_type", ["wav2vec2", "hubert", "unispeech"])
def test_by_model_type(write, model_type):
    folder = write(vocab=VOCABULARY, preprocessor_config={"sampling_rate": 8000}, config={"model_type": model_type})
    assert type(AutoProcessor.from_pretrained(folder)) is Wav2Vec2Processor
    assert type(AutoTokenizer.from_pretrained(folder)) is Wav2Vec2CTCTokenizer
    assert type(AutoFeatureExtractor.from_pretrained(folder)) is Wav2Vec2FeatureExtractor


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config": {"tokenizer_class": "Wav2Vec2CTCTokenizer"}},
        {"tokenizer_config": {"tokenizer_class": "Wav2Vec2CTCTokenizerFast"}},
        {"config": {"tokenizer_class": "Wav2Vec2CTCTokenizer", "model_type": "bert"}},
        {"config": {"model_type": "speech-encoder-decoder", "decoder": {"model_type": "hubert"}}},
    ],
)
def test_tokenizer_by_name(write, files):
    tokenizer = AutoTokenizer.from_pretrained(write(vocab=VOCABULARY, **files), pad_token="a")
    assert type(tokenizer) is Wav2Vec2CTCTokenizer
    assert tokenizer.pad_token == "a"


@pytest.mark.parametrize(
    "files",
    [
        {"preprocessor_config": {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 8000}},
        {"processor_config": {"feature_extractor": {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}}},
        {
            "preprocessor_config": {},
            "config": {"model_type": "speech-encoder-decoder", "encoder": {"model_type": "wav2vec2"}},
        },
    ],
)
def test_feature_extractor_by_name(write, files):
    extractor = AutoFeatureExtractor.from_pretrained(write(**files), do_normalize=False)
    assert type(extractor) is Wav2Vec2FeatureExtractor
    assert extractor.do_normalize is False


@pytest.mark.parametrize("name", ["processor_config", "preprocessor_config", "tokenizer_config", "config"])
def test_processor_by_name_in_any_file(write, name):
    files = {
        "vocab": VOCABULARY,
        "preprocessor_config": {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
        "tokenizer_config": {"tokenizer_class": "Wav2Vec2CTCTokenizer"},
    }
    files[name] = {**files.get(name, {}), "processor_class": "Wav2Vec2Processor"}
    assert type(AutoProcessor.from_pretrained(write(**files))) is Wav2Vec2Processor


def test_processor_of_a_checkpoint_with_one_part_is_that_part(write):
    folder = write(preprocessor_config={"sampling_rate": 8000}, config={"model_type": "hubert"})
    extractor = AutoProcessor.from_pretrained(folder, do_normalize=False)
    assert type(extractor) is Wav2Vec2FeatureExtractor
    assert extractor.do_normalize is False


def test_processor_of_a_tokenizer_alone(write):
    folder = write(vocab=VOCABULARY, tokenizer_config={"tokenizer_class": "Wav2Vec2CTCTokenizer"})
    assert AutoProcessor.from_pretrained(folder, pad_token="a").pad_token == "a"


def test_subfolder(write):
    folder = write(vocab=VOCABULARY, preprocessor_config={}, config={"model_type": "wav2vec2"})
    for cls in PART.values():
        loaded = cls.from_pretrained(folder.parent, subfolder=folder.name)
        assert type(loaded) is type(cls.from_pretrained(folder))


@pytest.mark.parametrize(
    ("part", "files", "message"),
    [
        (
            "tokenizer",
            {"tokenizer_config": {"tokenizer_class": "XTokenizer"}},
            "tokenizer 'XTokenizer', expected one of",
        ),
        ("tokenizer", {"config": {"model_type": "x"}}, "does not say which tokenizer"),
        ("feature extractor", {"preprocessor_config": {"feature_extractor_type": "X"}}, "feature extractor 'X'"),
        ("feature extractor", {"preprocessor_config": {}, "config": {}}, "does not say which feature extractor"),
        ("feature extractor", {"config": {"model_type": "hubert"}}, r"holds no preprocessor_config\.json"),
        ("processor", {"preprocessor_config": {"processor_class": "XProcessor"}}, "processor 'XProcessor'"),
        ("processor", {"config": {"model_type": "x"}}, "does not say which processor"),
    ],
)
def test_what_is_unknown_is_named(write, part, files, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        PART[part].from_pretrained(write(**files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", PART)
def test_missing_folder(part, tmp_path):
    with pytest.raises(MissingFileError):
        PART[part].from_pretrained(tmp_path / "nowhere")


def test_the_tables_name_what_is_there():
    for table in (auto.PROCESSORS, auto.FEATURE_EXTRACTORS, auto.TOKENIZERS):
        for name, module in table.items():
            assert hasattr(auto.import_module(module), name)
    for parts in auto.MODEL_TYPES.values():
        assert parts.processor in {None, *auto.PROCESSORS}
        assert parts.feature_extractor in {None, *auto.FEATURE_EXTRACTORS}
        assert parts.tokenizer in {None, *auto.TOKENIZERS}
