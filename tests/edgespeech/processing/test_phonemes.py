"""Vocabularies of phonemes against the reference library, and what a bundle makes of them."""

import json
import random
from itertools import product

import pytest
import torch
import transformers
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.greedy import collapse
from edgespeech_runtime.ctc.hypotheses import Hypothesis, WordSpan
from edgespeech_runtime.tasks.ctc_text import Clock, searched_transcript, spell

from edgespeech.errors import ProcessingError
from edgespeech.processing import AutoTokenizer, Wav2Vec2PhonemeCTCTokenizer, Wav2Vec2Processor
from edgespeech.processing.auto import ctc_tokenizer

PHONEMES = ["oʊ", "t", "s", "ɹ", "iː", "ə", "tʃ", "n", "t͡ɕ", "a", ",", "."]
VOCABULARY = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *PHONEMES, "|"])}
SETTINGS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "do_phonemize": True,
    "phonemizer_lang": "en-us",
    "phonemizer_backend": "espeak",
    "phone_delimiter_token": " ",
    "tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer",
}
KINDS = {
    "published": {},
    "words": {"word_delimiter_token": "|"},
    "words that no token separates": {"word_delimiter_token": "#"},
    "another phone delimiter": {"phone_delimiter_token": "-"},
    "clean up": {"clean_up_tokenization_spaces": True},
    "extra special": {"extra_special_tokens": ["<x>", "ə"]},
}
SWITCHES = ("skip_special_tokens", "group_tokens", "filter_word_delimiter_token", "clean_up_tokenization_spaces")


@pytest.fixture(params=KINDS)
def folder(request, tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps(VOCABULARY), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**SETTINGS, **KINDS[request.param]}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    return tmp_path


@pytest.fixture
def pair(folder):
    return AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)


def sequences(count=30):
    rng = random.Random(1)
    for _ in range(count):
        ids = []
        while len(ids) < rng.randint(1, 50):
            ids += [rng.choice([0, 0, rng.randrange(len(VOCABULARY)), 99])] * rng.choice([1, 1, 2, 3])
        yield ids


def test_auto_classes_give_it(folder):
    assert isinstance(AutoTokenizer.from_pretrained(folder), Wav2Vec2PhonemeCTCTokenizer)
    assert isinstance(ctc_tokenizer(folder), Wav2Vec2PhonemeCTCTokenizer)


def test_its_class_named_by_the_model_configuration_alone(folder):
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    name = settings.pop("tokenizer_class")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2", "tokenizer_class": name}))
    assert isinstance(ctc_tokenizer(folder), Wav2Vec2PhonemeCTCTokenizer)


@pytest.mark.parametrize("switches", list(product([False, True], repeat=len(SWITCHES))))
def test_phonemes_and_offsets(pair, switches):
    mine, theirs = pair
    options = dict(zip(SWITCHES, switches, strict=True))
    for ids in sequences():
        expected = theirs.decode([*ids, 4], output_char_offsets=True, **options)
        found = mine.decode([*ids, 4], output_char_offsets=True, **options)
        assert found.text == expected.text == mine.decode([*ids, 4], **options)
        plain = [{k: v if isinstance(v, str) else int(v) for k, v in entry.items()} for entry in expected.char_offsets]
        assert found.char_offsets == plain


def test_a_worked_example(pair):
    mine, _ = pair
    ids = mine.convert_tokens_to_ids(["oʊ", "oʊ", "<pad>", "t", "t", "<pad>", "t", "s"])
    assert mine.decode(ids) == "oʊ t t s"
    assert mine.batch_decode([ids, torch.tensor(ids[:3])]) == ["oʊ t t s", "oʊ"]
    both = mine.batch_decode([ids, ids[:3]], output_char_offsets=True)
    assert both.text == ["oʊ t t s", "oʊ"]
    assert both["char_offsets"][1] == [{"char": "oʊ", "start_offset": 0, "end_offset": 2}]
    assert mine.decode([]) == ""


def test_delimiters(pair):
    mine, theirs = pair
    assert mine.word_delimiter_token == theirs.word_delimiter_token
    assert mine.word_delimiter_token_id == theirs.word_delimiter_token_id
    assert mine.phone_delimiter_token == theirs.phone_delimiter_token
    assert mine.phone_delimiter_token_id == theirs.phone_delimiter_token_id
    assert mine.all_special_tokens == theirs.all_special_tokens
    assert mine.get_vocab() == theirs.get_vocab()


@pytest.mark.parametrize("text", ["oʊ t s", "  tʃ  a <pad> t ", "t | s q", "a , . n", ""])
def test_phonemes_to_ids(pair, text):
    mine, theirs = pair
    assert mine(text, do_phonemize=False)["input_ids"] == theirs(text, do_phonemize=False)["input_ids"]
    assert mine.do_phonemize is False


def test_text_is_refused_by_name(pair):
    with pytest.raises(ProcessingError, match=r"espeak \(en-us\), which edgespeech does not call"):
        pair[0]("notes")


def test_round_trip(pair, tmp_path):
    mine, _ = pair
    mine.save_pretrained(tmp_path / "again")
    for loaded in (AutoTokenizer, transformers.AutoTokenizer):
        again = loaded.from_pretrained(tmp_path / "again")
        assert (again.word_delimiter_token, again.phone_delimiter_token) == (
            mine.word_delimiter_token,
            mine.phone_delimiter_token,
        )
        assert again.get_vocab() == mine.get_vocab()
        assert [again.decode([*ids, 4]) for ids in sequences(5)] == [mine.decode([*ids, 4]) for ids in sequences(5)]


def test_saved_by_transformers(pair, tmp_path):
    pair[1].save_pretrained(tmp_path / "theirs")
    again = AutoTokenizer.from_pretrained(tmp_path / "theirs")
    assert again.word_delimiter_token == pair[0].word_delimiter_token
    assert again.phone_delimiter_token == pair[0].phone_delimiter_token


def test_a_bundle_writes_what_the_processor_writes(pair):
    """Special tokens but the blank stand for no text in a bundle: the reference is asked without their frames."""
    mine, theirs = pair
    facts = mine.vocabulary_facts(size=100)
    special = {*theirs.all_special_ids, 99} - {theirs.pad_token_id}
    for ids in sequences():
        expected = theirs.decode([*(token for token in ids if token not in special), 4])
        assert spell(collapse([*ids, 4], facts.blank, skip=facts.special), facts) == expected


def test_a_search_writes_one_space_between_words(pair):
    """Phonemes of two words, whose delimiter is written as nothing."""
    mine, theirs = pair
    facts = mine.vocabulary_facts()
    if facts.delimiter_id is None:
        pytest.skip("its words have no delimiter among the tokens")
    ids = [4, 0, 5, facts.delimiter_id, 6]
    spans = collapse(ids, facts.blank)
    groups = [tuple(spans[:2]), tuple(spans[3:])]
    words = tuple(WordSpan("", g[0].start_frame, g[-1].end_frame, 1.0, g, (1.0,) * len(g)) for g in groups)
    found = searched_transcript(
        [Hypothesis("", words, 0.0, 0.0)], Alphabet.from_vocabulary(facts), facts, Clock(0.02, 1.0)
    )
    assert found.text == theirs.decode(ids) == "oʊ t s"
    assert [word.text for word in found.words] == ["oʊ t", "s"]


def test_in_a_processor(folder):
    settings = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "feature_size": 1}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**settings, "padding_value": 0.0, "do_normalize": True})
    )
    processor = Wav2Vec2Processor.from_pretrained(folder)
    assert processor.batch_decode([[4, 4, 0, 5]]) == ["oʊ t"]


def test_outputs_are_mappings_as_in_the_reference_library(pair):
    mine, theirs = (tokenizer.batch_decode([[4, 5, 5, 0, 6]], output_char_offsets=True) for tokenizer in pair)
    assert list(mine) == list(theirs)
    assert dict(mine) == dict(theirs)
    assert mine[0] == mine["text"] == mine.text == theirs.text
    assert "char_offsets" in mine
    assert len(mine) == 2
