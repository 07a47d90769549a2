"""Small real vocabularies, trained on the sentences below, and checkpoint folders that hold them as people do."""

import io
import json
import random
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.implementations import BertWordPieceTokenizer, ByteLevelBPETokenizer

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "I can't say that we've seen them; they're gone, he's late and I'm here. Do not wait!",
    "Übergrößen führen häufig zu Ärger, sagte die Verkäuferin schließlich.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "Le garçon a mangé une crème brûlée à Noël, n'est-ce pas ?",
    "El niño comió piñas y ñandúes en la montaña. ¿Verdad? ¡Sí!",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "Η γρήγορη καφέ αλεπού πηδάει πάνω από τον τεμπέλη σκύλο. ΣΟΦΟΣ",
    "我能吞下玻璃而不伤身体。日本語の文章を書きます。한국어 문장도 있습니다.",
    "नमस्ते दुनिया, यह एक परीक्षण है। ตัวอย่างภาษาไทย",
    "Emoji 😀 and 👩‍👩‍👧‍👦 families 🇩🇪 don't fit in one byte ❤️.",
    "ﬁne ligatures, ½ fractions, ２０ full width, ①② circled, Ａ Ｂ Ｃ",
    "“Quotes” — dashes – and … ellipses ' single ' ones .",
    "e-mail: someone@example.org , price: $1,234.56 (or 7% off) # 3 * 2 = 6",
    "one two three four five six seven eight nine zero",
    "eins zwei drei vier fünf sechs sieben acht neun null",
]
SENTENCES += [unicodedata.normalize("NFD", sentence) for sentence in SENTENCES[2:6]]

# What texts may hold beside words: white space of all sorts, controls, pieces of tokens, lone combining marks.
AWKWARD = ["", " ", "  ", "\t", "\n", "\u00a0", "\u3000", "\u200b", "\u0000", "\ufffd", "\u0301", "##", "▁", "@@", "Ġ"]
AWKWARD += ["<s>", "</s>", "<unk>", "<mask>", "[MASK]", "[CLS]", "<|endoftext|>", "de_DE", "<0x41>", "<ent>", "</w>"]
AWKWARD += ["<add>", "Added Token", "lower", "LOWER", " n't", " 's", " .", "do not", "İ", "ß", "\U0001f9d1"]


def texts(count, seed=0):
    """Random texts of words from the sentences and of awkward ones."""
    rng = random.Random(seed)
    words = [word for sentence in SENTENCES for word in sentence.split()]
    return [
        rng.choice(["", " "]).join(
            rng.choice(words) + rng.choice(["", " ", " ", " ", "  "]) if rng.random() < 0.7 else rng.choice(AWKWARD)
            for _ in range(rng.randint(0, 12))
        )
        for _ in range(count)
    ]


def random_ids(size, special, count, seed=0, longest=12):
    """Random id sequences below `size`, one id in four special."""
    rng = random.Random(seed)
    special = [token_id for token_id in special if token_id is not None] or [0]

    def one():
        return special[int(rng.random() * len(special))] if rng.random() < 0.25 else int(rng.random() * size)

    return [[one() for _ in range(int(rng.random() * (longest + 1)))] for _ in range(count)]


def write_json(path, value):
    Path(path).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_bert(
    folder, lower=True, strip_accents=None, size=500, special=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
):
    """Write vocab.txt."""
    trained = BertWordPieceTokenizer(lowercase=lower, strip_accents=strip_accents)
    trained.train_from_iterator(
        SENTENCES, vocab_size=size, min_frequency=1, special_tokens=list(special), show_progress=False
    )
    trained.save_model(str(folder))


def write_byte_pairs(folder, special=(), size=600):
    """Write vocab.json and merges.txt."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        SENTENCES, vocab_size=size, min_frequency=1, special_tokens=list(special), show_progress=False
    )
    trained.save_model(str(folder))


def sentencepiece_model(**options):
    """Train a sentencepiece unigram model; return the content of its file."""
    import sentencepiece

    written = io.BytesIO()
    defaults = {
        "vocab_size": 700,
        "model_type": "unigram",
        "normalization_rule_name": "nmt_nfkc",
        "character_coverage": 0.98,
        "hard_vocab_limit": False,
        "minloglevel": 3,
        "num_threads": 1,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=written, **{**defaults, **options}
    )
    return written.getvalue()


def write_sentencepiece(folder, **options):
    """Write sentencepiece.bpe.model."""
    (Path(folder) / "sentencepiece.bpe.model").write_bytes(sentencepiece_model(**options))


def serialized(kind):
    """Train a tokenizer of the `tokenizers` library that belongs to no model's class."""
    special = ["<unk>", "<s>", "</s>", "<pad>", "__de__", "__en__"]
    shared = {"special_tokens": special, "show_progress": False}
    if kind == "words":
        built = tokenizers.Tokenizer(models.WordLevel({}, unk_token="<unk>"))
        built.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=200, **shared)
    elif kind == "suffix":
        built = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
        built.pre_tokenizer = pre_tokenizers.Whitespace()
        built.decoder = decoders.BPEDecoder("</w>")
        trainer = trainers.BpeTrainer(vocab_size=400, end_of_word_suffix="</w>", **shared)
    else:
        built = tokenizers.Tokenizer(models.Unigram())
        built.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.UnigramTrainer(vocab_size=600, unk_token="<unk>", special_tokens=pieces, show_progress=False)
    built.train_from_iterator(SENTENCES, trainer)
    if kind == "byte fallback":
        vocab = json.loads(built.to_str())["model"]["vocab"]
        built.model = models.Unigram([(text, score) for text, score in vocab], 0, True)
        built = tokenizers.Tokenizer.from_str(_without_added_bytes(built.to_str()))
        strip = decoders.Strip(" ", 1, 0)
        built.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    built.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return built


def _without_added_bytes(text):
    content = json.loads(text)
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    return json.dumps(content)


def suffix_pairs(special):
    """Train byte pairs as Speech2Text2 has them; return `{token: id}`, "@@" at pieces that go on, and the merges."""
    built = tokenizers.Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=450, end_of_word_suffix="</w>", show_progress=False)
    built.train_from_iterator(SENTENCES, trainer)
    model = json.loads(built.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    tokens = [piece.removesuffix("</w>") if piece.endswith("</w>") else f"{piece}@@" for piece in pieces]
    return {token: index for index, token in enumerate(dict.fromkeys([*special, *tokens]))}, merges


SPECIAL_OF_BART = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
MASK = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": True}
PLAIN = {"unk_token": "<unk>", "pad_token": "<pad>", "additional_special_tokens": ["<ent>"], "model_max_length": 64}


def flags(content, **given):
    """The JSON form of an added token."""
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": False}
    return {"content": content, **plain, **given}


def added_tokens(first, **special):
    """Added tokens of all sorts, by id from `first` on, and special ones by id and text."""
    tokens = [
        flags("<ent>", special=True, rstrip=True),
        flags("<add>", lstrip=True, normalized=True),
        flags("Added Token", rstrip=True),
        flags("single", single_word=True, normalized=True),
        flags("Größe", normalized=True),
    ]
    found = {str(first + number): token for number, token in enumerate(tokens)}
    return {**found, **{token_id.lstrip("_"): flags(text, special=True) for token_id, text in special.items()}}


# Checkpoints by name: the function that writes the vocabulary, its options, and tokenizer_config.json.
CHECKPOINTS = {
    "bert": (write_bert, {}, {"tokenizer_class": "BertTokenizer", "model_max_length": 16}),
    "bert cased": (
        write_bert,
        {"lower": False},
        {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "clean_up_tokenization_spaces": True},
    ),
    "bert accents": (
        write_bert,
        {},
        {"tokenizer_class": "BertTokenizer", "strip_accents": False, "tokenize_chinese_chars": False},
    ),
    "bert added": (
        write_bert,
        {},
        {
            "tokenizer_class": "BertTokenizer",
            "added_tokens_decoder": added_tokens(500, _0="[PAD]", _4="[MASK]"),
            "additional_special_tokens": ["<ent>"],
            "padding_side": "left",
        },
    ),
    "gpt2": (write_byte_pairs, {"special": ["<|endoftext|>"]}, {"tokenizer_class": "GPT2Tokenizer"}),
    "gpt2 prefix": (
        write_byte_pairs,
        {"special": ["<|endoftext|>"]},
        {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True, "add_bos_token": True},
    ),
    "gpt2 added": (
        write_byte_pairs,
        {"special": ["<|endoftext|>"]},
        {
            "tokenizer_class": "GPT2Tokenizer",
            "added_tokens_decoder": added_tokens(600, _0="<|endoftext|>"),
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": True,
            "truncation_side": "left",
        },
    ),
    "gpt2 cleaned": (
        write_byte_pairs,
        {"special": ["<|endoftext|>"]},
        {
            "tokenizer_class": "GPT2Tokenizer",
            "clean_up_tokenization_spaces": True,
            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True,
        },
    ),
    "bart": (
        write_byte_pairs,
        {"special": SPECIAL_OF_BART},
        {"tokenizer_class": "BartTokenizer", "mask_token": MASK, "model_max_length": 20},
    ),
    "bart prefix": (
        write_byte_pairs,
        {"special": SPECIAL_OF_BART},
        {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True},
    ),
    "mbart": (write_sentencepiece, {}, {"tokenizer_class": "MBartTokenizer", "model_max_length": 20}),
    "mbart bytes": (
        write_sentencepiece,
        {"byte_fallback": True},
        {"tokenizer_class": "MBartTokenizerFast", "src_lang": "de_DE", "tgt_lang": "fr_XX"},
    ),
    "mbart50": (
        write_sentencepiece,
        {},
        {"tokenizer_class": "MBart50Tokenizer", "src_lang": None, "tgt_lang": "de_DE"},
    ),
    "mbart50 bytes": (
        write_sentencepiece,
        {"byte_fallback": True},
        {"tokenizer_class": "MBart50TokenizerFast", "src_lang": "de_DE", "clean_up_tokenization_spaces": True},
    ),
    "mbart50 symbols": (
        write_sentencepiece,
        {"normalization_rule_name": "identity", "user_defined_symbols": ["<ent>", "lower"]},
        {"tokenizer_class": "MBart50Tokenizer", "additional_special_tokens": ["de_DE", "en_XX", "<x>"]},
    ),
    "words": ("words", {}, {"tokenizer_class": "PreTrainedTokenizerFast", **PLAIN}),
    "suffix": ("suffix", {}, {"tokenizer_class": "TokenizersBackend", **PLAIN}),
    "byte fallback": ("byte fallback", {}, {"tokenizer_class": "PreTrainedTokenizerFast", **PLAIN}),
}


def write_checkpoint(folder, name):
    """Write the files of a checkpoint of CHECKPOINTS: the slow ones, or tokenizer.json where it has no others."""
    write, options, config = CHECKPOINTS[name]
    if isinstance(write, str):
        serialized(write).save(str(Path(folder) / "tokenizer.json"))
    else:
        write(folder, **options)
    write_json(Path(folder) / "tokenizer_config.json", config)
    return Path(folder)
