"""Languages of mBART's tokenizers, against the reference, and the processor beside one."""

import numpy as np
import pytest
import text_vocabularies
import transformers
from edgespeech_runtime.errors import ArgumentError

from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing import AutoProcessor, AutoTokenizer, MBart50Tokenizer, Wav2Vec2Processor
from edgespeech.processing.tokenizers.sentencepiece_model import read_sentencepiece

TEXT = "Übergrößen führen häufig zu Ärger."


@pytest.fixture(params=["mbart", "mbart50"])
def folder(request, tmp_path):
    return text_vocabularies.write_checkpoint(tmp_path, request.param)


def test_languages_can_be_changed_at_any_time(folder):
    mine, theirs = AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for source, target in [("de_DE", "fr_XX"), ("en_XX", "de_DE"), ("zh_CN", "zh_CN")]:
        for tokenizer in (mine, theirs):
            tokenizer.src_lang, tokenizer.tgt_lang = source, target
        assert mine.src_lang == source
        assert mine(TEXT)["input_ids"] == theirs(TEXT)["input_ids"]
        assert dict(mine(TEXT, text_target="one two")) == dict(theirs(TEXT, text_target="one two"))
        assert mine(TEXT)["input_ids"] == theirs(TEXT)["input_ids"]  # the source's again
        assert source in mine.convert_ids_to_tokens(mine(TEXT)["input_ids"])
        mine.save_pretrained(folder / "saved")
        again = AutoTokenizer.from_pretrained(folder / "saved")
        assert (again.src_lang, again.tgt_lang) == (source, target)


def test_languages_may_be_chosen_when_loading(folder):
    options = {"src_lang": "ro_RO", "tgt_lang": "ru_RU"}
    mine = AutoTokenizer.from_pretrained(folder, **options)
    theirs = transformers.AutoTokenizer.from_pretrained(folder, **options)
    assert mine(TEXT, text_target=TEXT)["labels"] == theirs(TEXT, text_target=TEXT)["labels"]
    assert mine.lang_code_to_id == theirs.lang_code_to_id


def test_an_unknown_language_is_refused_with_the_known_ones(folder):
    mine = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ProcessingError, match="'xx_YY' is not in the vocabulary; choose one of ar_AR, cs_CZ"):
        mine.src_lang = "xx_YY"
    mine.tgt_lang = "xx_YY"
    with pytest.raises(ProcessingError, match="xx_YY"):
        mine(text_target=TEXT)
    assert mine(TEXT)["input_ids"] == AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    with pytest.raises(CheckpointError, match="xx_YY"):
        AutoTokenizer.from_pretrained(folder, src_lang="xx_YY")


def test_the_device_knows_the_languages(folder):
    mine = AutoTokenizer.from_pretrained(folder)
    device = mine.detokenizer_facts()
    assert device.languages == mine.lang_code_to_id
    assert device.language_id("de") == mine.convert_tokens_to_ids("de_DE")
    with pytest.raises(ArgumentError, match="ar_AR, "):
        device.language_id("tlh")
    assert mine.detokenizer_facts(10).languages == {}  # a model with fewer ids cannot say them


def test_languages_of_other_vocabularies_are_found_among_the_special_tokens(tmp_path):
    mine = AutoTokenizer.from_pretrained(text_vocabularies.write_checkpoint(tmp_path, "words"))
    mine.add_tokens(["fr_XX"])  # not special
    mine.add_tokens(["deu_Latn", "<|fi|>", "<|notimestamps|>"], special_tokens=True)
    assert mine.detokenizer_facts().languages == {
        "de": 4,
        "en": 5,
        "deu_Latn": mine.convert_tokens_to_ids("deu_Latn"),
        "fi": mine.convert_tokens_to_ids("<|fi|>"),
    }


@pytest.mark.parametrize("options", [{}, {"byte_fallback": True}, {"normalization_rule_name": "identity"}])
def test_sentencepiece_models_are_read_as_their_library_reads_them(options, tmp_path):
    import sentencepiece

    text_vocabularies.write_sentencepiece(tmp_path, user_defined_symbols=["<x>"], **options)
    path = tmp_path / "sentencepiece.bpe.model"
    found, expected = read_sentencepiece(path), sentencepiece.SentencePieceProcessor(model_file=str(path))
    assert [piece.text for piece in found.pieces] == [expected.IdToPiece(i) for i in range(len(expected))]
    np.testing.assert_allclose([p.score for p in found.pieces], [expected.GetScore(i) for i in range(len(expected))])
    assert [piece.text for piece in found.pieces if piece.kind == 3] == ["<s>", "</s>"]
    assert [piece.text for piece in found.pieces if piece.kind == 4] == ["<x>"]
    assert (found.normalizer is None) == (options.get("normalization_rule_name") == "identity")


def test_a_sentencepiece_model_that_is_none(tmp_path):
    path = tmp_path / "sentencepiece.bpe.model"
    with pytest.raises(MissingFileError, match=r"sentencepiece\.bpe\.model"):
        read_sentencepiece(path)
    for content in (b"", b"no model", b"\x00" * 40):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is no sentencepiece model"):
            read_sentencepiece(path)


@pytest.mark.parametrize("named", [True, False])
def test_a_processor_with_an_mbart_tokenizer(named, tmp_path):
    folder = text_vocabularies.write_checkpoint(tmp_path, "mbart50")
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000}
    text_vocabularies.write_json(folder / "preprocessor_config.json", extractor)
    config = {
        "model_type": "speech-encoder-decoder",
        "encoder": {"model_type": "wav2vec2"},
        "decoder": {"model_type": "mbart"},
        **({"processor_class": "Wav2Vec2Processor"} if named else {}),
    }
    text_vocabularies.write_json(folder / "config.json", config)
    mine = AutoProcessor.from_pretrained(folder)
    theirs = transformers.Wav2Vec2Processor(
        transformers.Wav2Vec2FeatureExtractor(), transformers.AutoTokenizer.from_pretrained(folder)
    )
    assert type(mine) is Wav2Vec2Processor
    assert type(mine.tokenizer) is MBart50Tokenizer
    audio = [np.linspace(-1, 1, 900, dtype=np.float32), np.linspace(0, 1, 700, dtype=np.float32)]
    options = {"sampling_rate": 16000, "padding": True, "return_tensors": "np"}
    found, expected = mine(audio, text=["one", TEXT], **options), theirs(audio, text=["one", TEXT], **options)
    assert set(found) == set(expected)
    np.testing.assert_array_equal(found["labels"], expected["labels"])
    np.testing.assert_allclose(found["input_values"], expected["input_values"], atol=1e-5)
    assert mine(text=TEXT)["input_ids"] == theirs(text=TEXT)["input_ids"]
    ids = expected["labels"]
    assert mine.batch_decode(ids, skip_special_tokens=True) == theirs.batch_decode(ids, skip_special_tokens=True)
    assert mine.decode(ids[1], skip_special_tokens=True) == theirs.decode(ids[1], skip_special_tokens=True)
    mine.save_pretrained(tmp_path / "saved")
    assert AutoProcessor.from_pretrained(tmp_path / "saved")(text=TEXT)["input_ids"] == theirs(text=TEXT)["input_ids"]
