"""`Wav2Vec2ProcessorWithLM`: published folders, transformers' results, pools of every kind."""

import json
import multiprocessing
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ctc_beam_cases import ARPA, LETTERS, PIECES, case, words
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.fusion import Fusion, FusionWeights
from edgespeech_runtime.ctc.hotwords import checked_hotwords
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.errors import ArgumentError

from edgespeech import AutoProcessor, Wav2Vec2ProcessorWithLM, build_ctcdecoder
from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing.ctc_alphabet import build_alphabet

TOKENS = [{" ": "|", "": "<pad>"}.get(label, label) for label in LETTERS] + ["<s>", "</s>", "<unk>"]
LABELS = [*LETTERS, "<s>", "</s>", "⁇"]


@pytest.fixture
def folder(tmp_path):
    """A checkpoint as people publish it: the files that transformers and pyctcdecode write."""
    home = tmp_path / "published"
    (home / "language_model").mkdir(parents=True)
    write(home / "vocab.json", {token: token_id for token_id, token in enumerate(TOKENS)})
    write(home / "tokenizer_config.json", {"processor_class": "Wav2Vec2ProcessorWithLM", "pad_token": "<pad>"})
    write(home / "preprocessor_config.json", {"feature_extractor_type": "Wav2Vec2FeatureExtractor"})
    write(home / "config.json", {"model_type": "wav2vec2"})
    write(home / "alphabet.json", {"labels": LABELS, "is_bpe": False})
    attributes = {"alpha": 0.5, "beta": 1.5, "unk_score_offset": -10.0, "score_boundary": True}
    write(home / "language_model" / "attrs.json", attributes)
    (home / "language_model" / "unigrams.txt").write_text("\n".join(words()), encoding="utf-8")
    shutil.copy(ARPA, home / "language_model" / "3gram.arpa")
    return home


def write(path, document):
    path.write_text(json.dumps(document), encoding="utf-8")


def logits(seed):
    """Logits of a case of letters, with columns for the special tokens."""
    made = case(seed).logits
    return np.concatenate([made, np.full((len(made), 3), -30.0, np.float32)], axis=1)


def searched(values, hotwords=None, **weights):
    alphabet = Alphabet(tuple(LABELS))
    fusion = Fusion(open_language_model(ARPA), FusionWeights(**weights))
    chosen = None if hotwords is None else checked_hotwords(hotwords, alphabet)
    return BeamSearch(alphabet, fusion, chosen).decode(values)


def test_decoding_is_the_search_of_the_runtime(folder):
    processor = Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    for seed in (1, 4, 6):
        values = logits(seed)
        expected = searched(values)
        output = processor.decode(values, output_word_offsets=True)
        assert (output.text, output.lm_score) == (expected[0].text, expected[0].score)
        assert output["logit_score"] == expected[0].logit_score
        assert output.word_offsets == [
            {"word": w.text, "start_offset": w.start_frame, "end_offset": w.end_frame} for w in expected[0].words
        ]
        several = processor.decode(values, n_best=3)
        assert several.text == [hypothesis.text for hypothesis in expected[:3]]
        assert several.word_offsets is None
        assert list(several) == ["text", "logit_score", "lm_score"]


def test_options_of_a_call_hold_for_that_call(folder):
    processor, values = Wav2Vec2ProcessorWithLM.from_pretrained(folder), logits(4)
    plain = processor.decode(values).lm_score
    changed = processor.decode(values, alpha=1.25, beta=-0.5, unk_score_offset=-2.0, lm_score_boundary=False)
    weights = {"alpha": 1.25, "beta": -0.5, "unknown_offset": -2.0, "score_boundary": False}
    assert changed.lm_score == searched(values, **weights)[0].score
    assert processor.decode(values).lm_score == plain
    word = words()[3]
    assert processor.decode(values, hotwords=[word]).lm_score == searched(values, [word])[0].score
    assert processor.decode(values, hotwords=[word], hotword_weight=0.0).lm_score == plain


def test_probabilities_are_recognised(folder):
    processor, values = Wav2Vec2ProcessorWithLM.from_pretrained(folder), logits(4).astype(np.float64)
    probabilities = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    assert processor.decode(probabilities).text == processor.decode(values).text
    assert processor.decode(probabilities).lm_score == pytest.approx(processor.decode(values).lm_score)


@pytest.mark.parametrize("kind", ["none", "threads", "fork", "spawn"])
def test_batches_with_padding_and_with_every_kind_of_pool(folder, kind):
    processor = Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    rows = [logits(seed) for seed in (1, 4, 7)]
    batch = np.full((3, max(map(len, rows)), len(LABELS)), -100.0, np.float32)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    expected = [processor.decode(row, n_best=2, output_word_offsets=True) for row in rows]
    if kind == "none":
        output = processor.batch_decode(batch, n_best=2, output_word_offsets=True)
    elif kind == "threads":
        with ThreadPoolExecutor(2) as pool:
            output = processor.batch_decode(batch, pool, n_best=2, output_word_offsets=True)
    else:
        with multiprocessing.get_context(kind).Pool(1) as pool:
            output = processor.batch_decode(batch, pool, n_best=2, output_word_offsets=True)
    for name in ("text", "logit_score", "lm_score", "word_offsets"):
        assert output[name] == [each[name] for each in expected]


def test_saving_and_loading_keeps_everything(folder, tmp_path):
    processor = Wav2Vec2ProcessorWithLM.from_pretrained(folder, alpha=0.8, beta=0.25)
    written = processor.save_pretrained(tmp_path / "again")
    assert all(Path(path).is_file() for path in written)
    assert sorted(path.name for path in (tmp_path / "again" / "language_model").iterdir()) == [
        *("3gram.arpa", "attrs.json", "unigrams.txt")
    ]
    again = AutoProcessor.from_pretrained(tmp_path / "again")
    assert isinstance(again, Wav2Vec2ProcessorWithLM)
    assert (again.decoder.weights.alpha, again.decoder.weights.beta) == (0.8, 0.25)
    assert again.decode(logits(4)).lm_score == processor.decode(logits(4)).lm_score
    alphabet = json.loads((tmp_path / "again" / "alphabet.json").read_text(encoding="utf-8"))
    assert alphabet == {"labels": LABELS, "is_bpe": False}


def test_a_decoder_can_be_built_of_a_vocabulary_and_a_file(folder):
    published = Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    decoder = build_ctcdecoder(TOKENS, ARPA)
    assert decoder.alphabet == published.decoder.alphabet
    own = Wav2Vec2ProcessorWithLM(published.feature_extractor, published.tokenizer, decoder)
    assert own.decode(logits(4)).lm_score == published.decode(logits(4)).lm_score
    bare = Wav2Vec2ProcessorWithLM(published.feature_extractor, published.tokenizer, build_ctcdecoder(TOKENS))
    assert bare.language_model is None
    assert bare.decode(logits(4)).lm_score == bare.decode(logits(4)).logit_score


@pytest.mark.parametrize(
    ("labels", "spelled", "is_bpe"),
    [
        (["<pad>", "|", "a", "<unk>"], ("", " ", "a", "⁇"), False),
        (["[PAD]", " ", "b"], ("", " ", "b"), False),
        (["_", "a"], ("", "a"), False),
        (["a", " "], ("a", " ", ""), False),
        (["<pad>", "▁he", "llo", "<unk>"], ("", "▁he", "llo", "▁⁇▁"), True),
        (["[PAD]", "he", "##llo", "[UNK]", "[CLS]"], ("", "▁he", "llo", "▁⁇▁", "[CLS]"), True),
    ],
)
def test_labels_are_spelled_as_pyctcdecode_spells_them(labels, spelled, is_bpe):
    alphabet = build_alphabet(labels)
    assert (alphabet.labels, alphabet.is_bpe) == (spelled, is_bpe)


def test_word_pieces(folder):
    made = case(8)
    assert made.labels == PIECES
    write(folder / "alphabet.json", {"labels": list(PIECES), "is_bpe": True})
    write(folder / "vocab.json", {token or "<pad>": i for i, token in enumerate(PIECES)})
    settings = {"unk_token": "▁⁇▁", "word_delimiter_token": None, "bos_token": None, "eos_token": None}
    write(folder / "tokenizer_config.json", {"processor_class": "Wav2Vec2ProcessorWithLM", **settings})
    processor = Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    expected = BeamSearch(Alphabet(PIECES, True), Fusion(open_language_model(ARPA))).decode(made.logits)
    assert processor.decode(made.logits).text == expected[0].text
    assert " " in expected[0].text


def damaged(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "alphabet.json").unlink(), MissingFileError, "alphabet.json is missing"),
        (lambda f: damaged(f, "alphabet.json", "{}"), CheckpointError, "must hold labels"),
        (lambda f: write(f / "alphabet.json", {"labels": ["a"], "is_bpe": False}), CheckpointError, "one blank"),
        (lambda f: (f / "language_model/attrs.json").unlink(), MissingFileError, "attrs.json is missing"),
        (lambda f: damaged(f, "language_model/attrs.json", '{"alpha": 1}'), CheckpointError, "must hold alpha, beta"),
        (lambda f: (f / "language_model/3gram.arpa").unlink(), CheckpointError, "must hold one n-gram file"),
        (lambda f: damaged(f, "language_model/other.arpa", ""), CheckpointError, "got 3gram.arpa, other.arpa"),
        (lambda f: damaged(f, "language_model/3gram.arpa", "nothing"), CheckpointError, "3gram.arpa"),
        (
            lambda f: write(f / "alphabet.json", {"labels": LABELS[1:], "is_bpe": False}),
            ProcessingError,
            "labels lack tokens of the tokenizer: ' '",
        ),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(folder, damage, error, message):
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        Wav2Vec2ProcessorWithLM.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_bad_options_are_refused(folder):
    processor, values = Wav2Vec2ProcessorWithLM.from_pretrained(folder), logits(1)
    with pytest.raises(ProcessingError, match="n_best: expected a number from 1 on, got 0"):
        processor.decode(values, n_best=0)
    with pytest.raises(ProcessingError, match="pool and num_processes exclude each other"):
        processor.batch_decode([values], pool=ThreadPoolExecutor(1), num_processes=2)
    with pytest.raises(ArgumentError, match="has letters that the vocabulary lacks: 'z'"):
        processor.decode(values, hotwords=["zebra"])
    with pytest.raises(ArgumentError, match=r"expected \[frames, 17\]"):
        processor.decode(values[:, :5])
    with pytest.raises(ProcessingError, match="expected a CtcDecoder"):
        Wav2Vec2ProcessorWithLM(processor.feature_extractor, processor.tokenizer, "decoder")
