import json

import pytest
import transformers

from edgespeech.errors import CheckpointError, EdgeSpeechError, MissingFileError, ProcessingError
from edgespeech.processing import AddedToken, Wav2Vec2CTCTokenizer

TEXT = "HELLO <x> wor\u00e9 CHA <y>|a ch eau"


def assert_same(mine, theirs):
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine.all_special_tokens == theirs.all_special_tokens
    assert mine.target_lang == theirs.target_lang
    for name in ("do_lower_case", "replace_word_delimiter_char", "padding_side", "model_max_length", "pad_token_id"):
        assert getattr(mine, name) == getattr(theirs, name)
    for token_id, token in theirs.added_tokens_decoder.items():
        assert mine.added_tokens_decoder[token_id] == AddedToken.of(token)
    assert mine.tokenize(TEXT) == theirs.tokenize(TEXT)
    for text in ("HELLO", TEXT):
        ids = theirs.convert_tokens_to_ids(theirs.tokenize(text))
        if None not in ids:
            assert mine.encode(text) == ids
    ids = [*range(40), *range(40)]
    assert mine.decode(ids) == theirs.decode(ids)


def extend(*tokenizers):
    for tokenizer in tokenizers:
        tokenizer.add_tokens(["<x>"])
        tokenizer.add_tokens(["<y>"], special_tokens=True)


class TestSaved:
    def test_ours_loads_in_the_reference(self, make, kind, tmp_path):
        mine, theirs = make(kind)
        extend(mine, theirs)
        mine.save_pretrained(tmp_path / "ours")
        loaded = transformers.Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "ours")
        if kind == "delimiter":  # the reference forgets it when it loads
            assert loaded.word_delimiter_token != mine.word_delimiter_token
        else:
            assert_same(mine, loaded)
            assert_same(mine, theirs)

    def test_the_references_loads_here(self, make, kind, tmp_path):
        _, theirs = make(kind)
        extend(theirs)
        theirs.save_pretrained(tmp_path / "theirs")
        assert_same(Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "theirs"), theirs)

    def test_what_the_reference_loaded_and_saved_again_loads_here(self, make, kind, tmp_path):
        make(kind)[1].save_pretrained(tmp_path / "1")
        again = transformers.Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "1")
        again.save_pretrained(tmp_path / "2")
        mine = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "2")
        assert mine.all_special_tokens == again.all_special_tokens
        assert mine.get_vocab() == again.get_vocab()

    def test_ours_loads_here(self, make, kind, tmp_path):
        mine, _ = make(kind)
        extend(mine)
        written = mine.save_pretrained(tmp_path / "ours")
        assert {str(path) for path in (tmp_path / "ours").iterdir()} == set(written)
        again = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "ours")
        assert_same(again, mine)
        assert again.word_delimiter_token == mine.word_delimiter_token
        again.save_pretrained(tmp_path / "again")
        for path in (tmp_path / "ours").iterdir():
            assert (tmp_path / "again" / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")

    def test_vocabulary_file_equals_the_references(self, make, kind, tmp_path):
        mine, theirs = make(kind)
        for name, tokenizer in (("mine", mine), ("theirs", theirs)):
            (tmp_path / name).mkdir()
            written = tokenizer.save_vocabulary(str(tmp_path / name), filename_prefix="x")
            assert written == (str(tmp_path / name / "x-vocab.json"),)
        assert (tmp_path / "mine" / "x-vocab.json").read_bytes() == (tmp_path / "theirs" / "x-vocab.json").read_bytes()

    def test_settings_that_are_unset_stay_so(self, make, tmp_path):
        mine, _ = make(unk_token=None, word_delimiter_token=None)
        mine.save_pretrained(tmp_path / "ours")
        again = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "ours")
        assert again.unk_token is again.word_delimiter_token is None

    def test_changes_since_it_was_made_are_saved(self, make, tmp_path):
        mine, _ = make()
        mine.pad_token, mine.word_delimiter_token, mine.do_lower_case = "A", "E", True
        mine.save_pretrained(tmp_path / "ours", filename_prefix=None)
        again = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "ours")
        assert (again.pad_token, again.word_delimiter_token, again.do_lower_case) == ("A", "E", True)

    def test_there_must_be_a_folder_for_the_vocabulary(self, make, tmp_path):
        with pytest.raises(ProcessingError, match="nowhere"):
            make()[0].save_vocabulary(tmp_path / "nowhere")


class TestOlderLayouts:
    def test_vocabulary_alone_with_overrides(self, write, vocabularies):
        folder = write(vocab=vocabularies["renamed"][0])
        options = {"unk_token": "[UNK]", "pad_token": "[PAD]", "word_delimiter_token": "|"}
        mine = Wav2Vec2CTCTokenizer.from_pretrained(folder, **options)
        assert_same(mine, transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder, **options))
        assert mine.pad_token_id == 0

    def test_added_tokens_and_special_tokens_map(self, write, vocabularies):
        flags = {"lstrip": False, "rstrip": False, "normalized": True, "single_word": False}
        folder = write(
            vocab=vocabularies["renamed"][0],
            tokenizer_config={"unk_token": "[UNK]", "pad_token": "wrong", "tokenizer_class": "Wav2Vec2CTCTokenizer"},
            special_tokens_map={"pad_token": {"content": "[PAD]", **flags}, "bos_token": "<s>", "eos_token": "</s>"},
            added_tokens={"<s>": 31, "</s>": 32, "<x>": 33},
        )
        mine = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        assert_same(mine, transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder))
        assert (mine.pad_token, mine.bos_token_id) == ("[PAD]", 31)
        assert mine.convert_tokens_to_ids(["<x>"]) == [33]

    def test_additional_special_tokens(self, write, vocabularies):
        # The reference takes the text of such an entry's JSON for the token.
        entry = {"content": "<s>", "lstrip": False, "rstrip": False, "normalized": True, "single_word": False}
        special = {"additional_special_tokens": [entry, {**entry, "content": "<z>"}, "</s>"]}
        folder = write(vocab=vocabularies["plain"][0], special_tokens_map=special)
        mine = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        assert mine.all_special_tokens == ["<s>", "</s>", "<unk>", "<pad>", "|", "<z>"]
        assert len(mine) == mine.vocab_size + 1

    def test_overrides_beat_the_older_file(self, write, vocabularies):
        folder = write(vocab=vocabularies["plain"][0], special_tokens_map={"pad_token": "A"})
        assert Wav2Vec2CTCTokenizer.from_pretrained(folder, pad_token="B").pad_token == "B"
        assert Wav2Vec2CTCTokenizer.from_pretrained(folder).pad_token == "A"

    def test_older_files_do_not_count_beside_an_added_tokens_decoder(self, write, vocabularies):
        token = {"content": "<x>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
        folder = write(
            vocab=vocabularies["plain"][0],
            tokenizer_config={"added_tokens_decoder": {"32": {**token, "special": False}}},
            special_tokens_map={"pad_token": "A"},
            added_tokens={"<y>": 32},
        )
        mine = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        assert_same(mine, transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder))
        assert mine.pad_token == "<pad>"

    def test_settings_of_other_versions_do_no_harm(self, write, vocabularies):
        config = {
            "bos_token": {
                "__type": "AddedToken",
                "content": "<s>",
                "lstrip": False,
                "rstrip": False,
                "normalized": True,
            },
            "return_attention_mask": False,
            "do_normalize": True,
            "name_or_path": "somebody/model",
            "special_tokens_map_file": None,
            "tokenizer_file": None,
            "vocab_file": "/somewhere/else.json",
            "sep_token": None,
            "add_bos_token": True,
        }
        folder = write(vocab=vocabularies["plain"][0], tokenizer_config=config)
        mine = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        assert mine.bos_token_id == 1
        assert mine.vocab_size == 32
        mine.save_pretrained(folder.parent / "again")
        assert "somebody" not in (folder.parent / "again" / "tokenizer_config.json").read_text(encoding="utf-8")


class TestLanguages:
    def test_switching_equals_the_reference(self, make):
        mine, theirs = make("nested")
        for language in ("fra", "tpi", "eng", "fra"):
            mine.set_target_lang(language)
            theirs.set_target_lang(language)
            assert mine.get_vocab() == theirs.get_vocab()
            assert mine.target_lang == mine.init_kwargs["target_lang"] == language
            assert mine.encode("abc ch eau") == theirs.encode("abc ch eau")
            assert mine.decode(range(20)) == theirs.decode(range(20))
            assert mine.all_special_ids == theirs.all_special_ids

    def test_target_lang_when_loading(self, make, tmp_path):
        mine, theirs = make("nested")
        theirs.save_pretrained(tmp_path / "theirs")
        loaded = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "theirs", target_lang="tpi")
        assert loaded.get_vocab().items() >= mine.vocab["tpi"].items()
        assert mine.target_lang == "fra"

    def test_ids_of_the_language_it_was_saved_with_do_not_stay(self, make, tmp_path):
        # In "fra" the delimiter has the id 5, in "eng" 4, which is "\u00e9" there. The reference keeps 5.
        make("nested")[1].save_pretrained(tmp_path / "theirs")
        loaded = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "theirs", target_lang="eng")
        fresh, _ = make("nested", target_lang="eng")
        assert loaded.word_delimiter_token_id == fresh.word_delimiter_token_id == 4
        assert loaded.encode("a ch b") == fresh.encode("a ch b")

    def test_all_languages_are_saved(self, make, tmp_path, vocabularies):
        mine, _ = make("nested")
        mine.set_target_lang("tpi")
        mine.save_pretrained(tmp_path / "ours")
        assert json.loads((tmp_path / "ours" / "vocab.json").read_text(encoding="utf-8")) == vocabularies["nested"][0]
        for cls in (Wav2Vec2CTCTokenizer, transformers.Wav2Vec2CTCTokenizer):
            assert cls.from_pretrained(tmp_path / "ours").target_lang == "tpi"

    def test_facts_are_those_of_the_language(self, make):
        mine, _ = make("nested")
        assert mine.vocabulary_facts(8).tokens == ("<pad>", "<s>", "</s>", "<unk>", "\u00e9", "|", "a", "b")

    def test_unknown_languages_are_named(self, make):
        mine, _ = make("nested")
        with pytest.raises(ProcessingError, match=r"'deu'.*choose one of eng, fra, tpi"):
            mine.set_target_lang("deu")
        assert mine.target_lang == "fra"
        with pytest.raises(ProcessingError, match=r"None.*choose one of eng, fra, tpi"):
            make("nested", target_lang=None)
        with pytest.raises(ProcessingError, match="no languages"):
            make()[0].set_target_lang("eng")


class TestBadFiles:
    @pytest.mark.parametrize(
        ("vocab", "message"),
        [
            ("{", "valid JSON"),
            ("[]", "JSON object"),
            ("{}", "give each token an id"),
            ('{"a": "b"}', "give each token an id"),
            ('{"a": -1}', "give each token an id"),
            ('{"a": 0.5}', "give each token an id"),
            ('{"a": true}', "give each token an id"),
            ('{"a": null}', "give each token an id"),
        ],
    )
    def test_malformed_vocabulary(self, write, vocab, message):
        with pytest.raises(CheckpointError, match=message) as caught:
            Wav2Vec2CTCTokenizer.from_pretrained(write(vocab=vocab))
        assert isinstance(caught.value, ValueError)
        assert "\n" not in str(caught.value)

    def test_malformed_language(self, write):
        with pytest.raises(CheckpointError, match="give each token an id"):
            Wav2Vec2CTCTokenizer.from_pretrained(write(vocab={"eng": {"a": "b"}}), target_lang="eng")

    def test_missing_files(self, write, tmp_path):
        with pytest.raises(MissingFileError, match=r"vocab\.json"):
            Wav2Vec2CTCTokenizer.from_pretrained(write(config={}))
        with pytest.raises(FileNotFoundError):
            Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "nowhere")

    @pytest.mark.parametrize("entries", [[1], {"x": "<x>"}, {"32": {"lstrip": True}}, 5])
    def test_malformed_added_tokens(self, write, vocabularies, entries):
        folder = write(vocab=vocabularies["plain"][0], tokenizer_config={"added_tokens_decoder": entries})
        with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
            Wav2Vec2CTCTokenizer.from_pretrained(folder)

    def test_malformed_settings(self, write, vocabularies):
        folder = write(vocab=vocabularies["plain"][0], tokenizer_config="nonsense")
        with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
            Wav2Vec2CTCTokenizer.from_pretrained(folder)

    @pytest.mark.parametrize("option", [{"trust_remote_code": True}, {"proxies": {"https": "localhost"}}])
    def test_options_that_are_not_done(self, write, vocabularies, option):
        folder = write(vocab=vocabularies["plain"][0])
        with pytest.raises(EdgeSpeechError, match=rf"{next(iter(option))}=.* is not possible: .*; leave it out"):
            Wav2Vec2CTCTokenizer.from_pretrained(folder, **option)
