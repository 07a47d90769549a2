import json
import string

import pytest
import text_vocabularies
import transformers

import edgespeech.processing as ours

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "|"]
PLAIN = {token: index for index, token in enumerate([*SPECIAL, *string.ascii_uppercase, "'"])}
SEVERAL = {token: index for index, token in enumerate([*SPECIAL, *"ABCDEFGH", "CH", "CHA", "'", ".", "n't", " "])}
NO_SPECIAL = {token: index for index, token in enumerate("abcdefghi|")}
LOWER = {token: index for index, token in enumerate(["[PAD]", "[UNK]", "|", *string.ascii_lowercase, "é", "日"])}
HOLES = {"<pad>": 0, "|": 4, "A": 5, "B": 9, "CC": 12, "<unk>": 3}
NESTED = {
    "eng": {token: index for index, token in enumerate([*SPECIAL, *string.ascii_lowercase, "ch"])},
    "fra": {
        token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "é", "|", *"abcdefgh", "eau"])
    },
    "tpi": {token: index for index, token in enumerate([*SPECIAL, *"xyz"])},
}
VOCABULARIES = {
    "plain": (PLAIN, {}),
    "lower case": (PLAIN, {"do_lower_case": True}),
    "several": (SEVERAL, {"unk_token": "<unk>"}),
    "no special tokens": (NO_SPECIAL, {}),
    "renamed": (LOWER, {"pad_token": "[PAD]", "unk_token": "[UNK]"}),
    "holes": (HOLES, {}),
    "nested": (NESTED, {"target_lang": "fra"}),
    "delimiter": (PLAIN, {"word_delimiter_token": "E", "replace_word_delimiter_char": "_"}),
    "no text for delimiter": (PLAIN, {"replace_word_delimiter_char": ""}),
    "clean up": (SEVERAL, {"clean_up_tokenization_spaces": True}),
    "extra special": (SEVERAL, {"extra_special_tokens": ["<x>", "A"]}),
    "other settings": (PLAIN, {"padding_side": "left", "truncation_side": "left", "model_max_length": 7}),
    "mask token": (PLAIN, {"mask_token": "<mask>", "cls_token": None}),
}


@pytest.fixture
def vocabularies():
    return VOCABULARIES


@pytest.fixture(params=VOCABULARIES)
def kind(request):
    return request.param


@pytest.fixture
def make(tmp_path):
    """Build our tokenizer and the reference's from one vocabulary."""

    def build(kind="plain", **options):
        vocab, settings = VOCABULARIES[kind]
        path = tmp_path / "vocab.json"
        path.write_text(json.dumps(vocab), encoding="utf-8")
        settings = {**settings, **options}
        return ours.Wav2Vec2CTCTokenizer(path, **settings), transformers.Wav2Vec2CTCTokenizer(str(path), **settings)

    return build


@pytest.fixture
def write(tmp_path):
    """Write JSON files into a fresh folder and return it."""

    def build(**files):
        folder = tmp_path / "checkpoint"
        folder.mkdir(exist_ok=True)
        for name, value in files.items():
            text = value if isinstance(value, str) else json.dumps(value)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
        return folder

    return build


@pytest.fixture(scope="session", params=text_vocabularies.CHECKPOINTS)
def text_checkpoint(request, tmp_path_factory):
    """A folder with a text tokenizer in its slow files."""
    return text_vocabularies.write_checkpoint(tmp_path_factory.mktemp("slow"), request.param)


@pytest.fixture(scope="session")
def serialized_checkpoint(text_checkpoint, tmp_path_factory):
    """The same tokenizer with tokenizer.json, as the reference writes it."""
    folder = tmp_path_factory.mktemp("serialized")
    transformers.AutoTokenizer.from_pretrained(text_checkpoint).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["slow files", "tokenizer.json"])
def text_pair(request, text_checkpoint, serialized_checkpoint):
    """Our tokenizer and the reference's, loaded from one folder."""
    folder = text_checkpoint if request.param == "slow files" else serialized_checkpoint
    return ours.AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)
