"""An encoder-decoder from waveform to text, on both engines; the formula of `tone_translator` says what is right."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from edgespeech_runtime import EncoderDecoderModel, load
from edgespeech_runtime.errors import ArgumentError, AudioError, BundleError, EngineError, SelfCheckError
from edgespeech_runtime.generation import GenerationOptions, generate
from tone_translator import DETOKENIZER, FACTS, LONGEST, SIZE, START, expected, write_bundle

SPOKEN = ["ABC", "AB|C|A", "C|B", "A", "B_A_C|A|B", "ABCA|BCAB|CABC|A"]


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """`pristine(engine)`: the bundle, made once."""
    made = {}

    def build(name):
        if name not in made:
            made[name] = write_bundle(tmp_path_factory.mktemp(name), name)
        return made[name]

    return build


@pytest.fixture
def model(pristine, engine):
    with load(pristine(engine), threads=1) as loaded:
        yield loaded


@pytest.fixture
def bundle(pristine, tmp_path):
    """A copy of the ONNX bundle to damage."""
    return shutil.copytree(pristine("onnx"), tmp_path / "bundle")


class Formula:
    """A decoder for the loop that works out the logits of every hypothesis from its whole sequence."""

    def __init__(self, samples):
        self._samples = samples

    def start(self, prompt):
        self._rows = [[list(row)] for row in prompt.tolist()]
        return np.stack([expected(self._samples[b], row[0]) for b, row in enumerate(self._rows)])

    def extend(self, tokens, parents):
        self._rows = [
            [[*rows[parent], token] for token, parent in zip(*pair, strict=True)]
            for rows, pair in zip(self._rows, zip(tokens.tolist(), parents.tolist(), strict=True), strict=True)
        ]
        return np.stack([[expected(self._samples[b], row) for row in rows] for b, rows in enumerate(self._rows)])


def right(samples, **options):
    """What generation gives by the formula: hypotheses of each of several inputs."""
    chosen = GenerationOptions.from_defaults(FACTS.generation, **options)
    return generate(Formula(samples), chosen.prompt(len(samples)), chosen, limit=LONGEST)


OPTIONS = [
    {},
    {"num_beams": 4},
    {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 0.3},
    {"do_sample": True, "seed": 3, "temperature": 2.0},
    {"num_beams": 2, "do_sample": True, "seed": 1},
    {"max_new_tokens": 30, "min_new_tokens": 25, "no_repeat_ngram_size": 3},
    {"language": "bb"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_tokens_and_scores_are_those_of_the_formula(model, say, options):
    samples = [say(text, tail=7 * i) for i, text in enumerate(SPOKEN)]
    named = {"forced_bos_token_id": 6} if "language" in options else options
    found = model.hypotheses(samples, **options)
    alone = [model.hypotheses(sample, **options) for sample in samples]
    truth = [right([sample], **named)[0] for sample in samples]
    for results in (alone, found) if "do_sample" not in options else (alone,):  # chance is drawn for a whole batch
        assert [[h.tokens for h in row] for row in results] == [[h.tokens for h in row] for row in truth]
        scores, logprobs = ([[h.score for h in row] for row in rows] for rows in (results, truth))
        np.testing.assert_allclose(scores, logprobs, atol=1e-4)
    assert len({row[0].tokens for row in truth}) > 3  # or nothing would be compared


def test_numpy_s_source_of_chance_is_imported_by_sampling_alone(pristine):
    code = (
        "import sys, numpy, edgespeech_runtime\n"
        "model = edgespeech_runtime.load(sys.argv[1], threads=1)\n"
        "for options in ({}, {'num_beams': 2}, {'do_sample': True}):\n"
        "    model.generate(numpy.zeros(4000, numpy.float32), max_new_tokens=2, **options)\n"
        "    print('numpy.random' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, pristine("onnx")], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


def test_languages_are_listed(model):
    assert model.languages == ["aa_XX", "bb_XX"]


def test_generate_gives_ids_with_the_start_token(model, say):
    samples = [say("AB"), say("C|A")]
    truth = right(samples, num_beams=2)
    ids = [[START, *row[0].tokens] for row in truth]
    assert model.generate(samples, num_beams=2) == ids
    assert model.generate(samples[0], num_beams=2) == ids[0]
    several = model.generate(samples, num_beams=2, num_return_sequences=2)
    assert several == [[[START, *h.tokens] for h in row] for row in right(samples, num_beams=2, num_return_sequences=2)]


def test_text_is_what_the_tokens_say(model, say):
    samples = say("AB|C")
    transcript = model.transcribe(samples, num_beams=2)
    assert transcript.text == DETOKENIZER.decode(right([samples], num_beams=2)[0][0].tokens).strip() != ""
    assert (transcript.words, transcript.characters, transcript.duration) == ([], [], 4 * 320 / 16000)
    assert model.transcribe([samples, say("A")], num_beams=2)[0].text == transcript.text


@pytest.mark.parametrize("options", [{}, {"num_beams": 4}, {"language": "aa"}])
def test_pieces_of_text_make_the_text(model, say, options):
    for text in SPOKEN:
        pieces = []
        transcript = model.transcribe(say(text), on_text=pieces.append, **options)
        assert "".join(pieces).strip() == transcript.text
        assert all(pieces)


def test_logits_at_every_step_are_the_formulas(model, say):
    rng = np.random.default_rng(0)
    samples = [say(text, tail=11) for text in SPOKEN]
    tokens = np.concatenate((np.full((len(samples), 1), START), rng.integers(0, SIZE, (len(samples), 9))), axis=1)
    found = model.step_logits(samples, tokens)
    for row, sample, ids in zip(found, samples, tokens.tolist(), strict=True):
        truth = [expected(sample, ids[: n + 1]) for n in range(len(ids))]
        np.testing.assert_allclose(row, truth, atol=1e-4)


def test_a_sequence_as_long_as_the_table_of_positions(model, say):
    sample = say("ABC|" * 10)
    found = model.generate(sample, max_length=LONGEST, min_length=LONGEST, num_beams=3)
    assert len(found) == LONGEST
    assert found == [START, *right([sample], max_length=LONGEST, min_length=LONGEST, num_beams=3)[0][0].tokens]


def test_many_threads_get_what_each_gets_alone(model, say):
    samples = [say(text) for text in SPOKEN] * 4
    expected_ids = [model.generate(sample, num_beams=3) for sample in samples[: len(SPOKEN)]] * 4
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda sample: model.generate(sample, num_beams=3), samples)) == expected_ids


def test_self_check(model):
    assert 0 <= model.self_check() < 1e-4


def test_self_check_on_a_device_that_computes_something_else(bundle, rewrite):
    with np.load(bundle / "golden.npz") as archive:
        arrays = dict(archive)
    arrays["logits"] = arrays["logits"] + np.float32(2e-4)
    np.savez(bundle / "golden.npz", **arrays)
    rewrite(bundle, lambda data: None)
    with (
        load(bundle, self_check="never") as model,
        pytest.raises(SelfCheckError, match=r"differ by 0\.0002\d* where 0\.0001 is allowed"),
    ):
        model.self_check()


def test_without_a_batch_graph_utterances_run_one_by_one(bundle, rewrite, say):
    rewrite(bundle, lambda data: data["graphs"].pop("encoder_batch"))
    samples = [say(text) for text in SPOKEN]
    with load(bundle) as model:
        assert model.generate(samples) == [model.generate(sample) for sample in samples]


def test_the_bundles_own_options_can_be_replaced(bundle, rewrite, say):
    rewrite(bundle, lambda data: data["decoder"]["generation"].update(num_beams=3, num_return_sequences=2))
    sample = say("B_A_C|A|B")
    with load(bundle) as model:
        assert [h.tokens for h in model.hypotheses(sample)] == [
            h.tokens for h in right([sample], num_beams=3, num_return_sequences=2)[0]
        ]
        assert model.options().num_beams == 3
        assert model.options(num_beams=5).num_beams == 5
        text = DETOKENIZER.decode(right([sample])[0][0].tokens).strip()
        assert model.transcribe(sample, num_beams=1).text == text  # it wants one text, however many are to be returned


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_beam": 2}, "there is no generation option 'num_beam': did you mean num_beams"),
        (
            {"max_length": LONGEST + 1},
            f"max_length: sequences of {LONGEST + 1} tokens are above the {LONGEST} positions",
        ),
        ({"max_new_tokens": LONGEST}, f"max_new_tokens: sequences of {LONGEST + 1} tokens are above"),
        ({"do_sample": True, "temperature": 0.0}, "temperature: sampling needs a number above 0"),
        ({"num_return_sequences": 2}, r"num_return_sequences \(2\) is above num_beams \(1\)"),
        ({"forced_bos_token_id": SIZE}, f"forced_bos_token_id: there is no token {SIZE}"),
        ({"language": "cc"}, "language 'cc' is unknown; this model knows aa_XX, bb_XX"),
        ({"language": "aa", "forced_bos_token_id": 4}, "both name the first token"),
    ],
    ids=str,
)
def test_options_are_judged_before_anything_is_heard(bundle, options, said):
    with load(bundle) as model:
        for call in (model.transcribe, model.generate, model.hypotheses):
            with pytest.raises(ArgumentError, match=said):
                call("there is no such file.wav", **options)
        with pytest.raises(ArgumentError, match=said):
            model.options(**options)


def test_what_it_cannot_give_is_refused(bundle, say):
    with load(bundle) as model:
        with pytest.raises(ArgumentError, match="timestamps: an encoder-decoder gives none, got 'word'"):
            model.transcribe(say("A"), timestamps="word")
        with pytest.raises(ArgumentError, match="on_text takes one input at a time, got 2"):
            model.transcribe([say("A"), say("B")], on_text=print)
        with pytest.raises(AudioError, match="10 samples"):
            model.transcribe(np.zeros(10, np.float32))
        with pytest.raises(ArgumentError, match=r"tokens: expected \[1, tokens\], got \[2, 1\]"):
            model.step_logits([say("A")], [[1], [1]])


def test_a_closed_model_says_so(bundle, say):
    model = load(bundle)
    assert isinstance(model, EncoderDecoderModel)
    model.close()
    model.close()
    with pytest.raises(EngineError, match="the model is closed"):
        model.transcribe(say("A"))


def test_a_bundle_with_one_byte_altered_is_refused(bundle):
    content = bytearray((bundle / FACTS.text).read_bytes())
    content[20] ^= 1
    (bundle / FACTS.text).write_bytes(content)
    with pytest.raises(BundleError, match=r"detokenizer\.json does not match its checksum"):
        load(bundle)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1}'])
def test_a_table_of_tokens_that_is_none_is_refused(bundle, rewrite, text):
    (bundle / FACTS.text).write_text(text, encoding="utf-8")
    rewrite(bundle, lambda data: None)
    with pytest.raises(BundleError, match=r"^detokenizer\.json: "):
        load(bundle)


@pytest.mark.parametrize("fact", ["heads", "head_dim"])
def test_facts_that_contradict_the_graphs(bundle, rewrite, say, fact):
    rewrite(bundle, lambda data: data["decoder"].update({fact: 3}))
    with pytest.raises((EngineError, BundleError)), load(bundle) as model:
        model.transcribe(say("A"))


def test_logits_that_are_no_numbers_are_an_error(bundle, say):
    samples = say("AB")
    with load(bundle) as model, pytest.raises(EngineError, match="NaN logits: run self_check"):
        model._cached(
            {
                name: np.full_like(array, np.nan)
                for name, array in model._encode(samples[None], np.array([640])).items()
            },
            [640],
        ).start(np.array([[START]]))


def test_transcribing_loads_no_torch(bundle):
    code = (
        "import sys, numpy, edgespeech_runtime\n"
        "model = edgespeech_runtime.load(sys.argv[1])\n"
        "model.transcribe(numpy.ones(3200, numpy.float32), num_beams=2)\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code, bundle], check=True, capture_output=True, text=True, timeout=60)
    assert not {"torch", "transformers", "tokenizers", "edgespeech"} & set(done.stdout.split())
    assert "edgespeech_runtime" in done.stdout


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 0}], ids=str)
def test_a_text_that_ends_at_the_limit_says_so(model, say, options):
    whole = model.transcribe(say("ABC"), **options)
    tokens = model.generate(say("ABC"), **options)
    assert whole.is_complete == (tokens[-1] == 2)  # the end token
    assert options or whole.is_complete
    cut, _ = model.transcribe([say("ABC"), say("A")], max_new_tokens=1, **options)
    assert (cut.is_complete, cut.to_dict()["is_complete"]) == (False, False)
    assert "is_complete" not in model.transcribe(say("ABC")).to_dict()
    forced = model.transcribe(say("ABC"), max_new_tokens=2, forced_eos_token_id=2, **options)
    assert not forced.is_complete
