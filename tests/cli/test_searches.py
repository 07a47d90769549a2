"""`transcribe` and `evaluate` with a search over a CTC model's output."""

import json

import edgespeech_runtime
import pytest

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def arpa(bundle_of, tmp_path_factory):
    """A language model of some words of the vocabulary's letters."""
    with edgespeech_runtime.load(bundle_of("onnx")) as model:
        letters = [token for token in model.manifest.vocabulary.tokens if len(token) == 1 and token.isalpha()]
    words = [*letters[:6], letters[0] + letters[1]]
    grams = "".join(f"-1.5\t{word}\t0\n" for word in words)
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    counts = f"\\data\\\nngram 1={3 + len(words)}\nngram 2=1\n\n"
    path.write_text(
        f"{counts}\\1-grams:\n-2\t<unk>\t0\n-99\t<s>\t0\n-1\t</s>\t0\n{grams}\n"
        f"\\2-grams:\n-0.5\t<s> {words[0]}\n\n\\end\\\n",
        encoding="utf-8",
    )
    return path


def test_transcribe_writes_what_the_runtime_finds(run, bundle, recordings, arpa):
    with edgespeech_runtime.load(bundle) as model:
        expected = model.transcribe(recordings[0], beams=7, language_model=arpa, n_best=3, alpha=0.25, beta=0.5)
    options = ("--beams", 7, "--lm", arpa, "--n-best", 3, "--alpha", 0.25, "--beta", 0.5)
    result = run("transcribe", bundle, recordings[0], *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "".join(f"{a.score:10.2f}  {a.text}\n" for a in expected.alternatives)
    found = json.loads(run("transcribe", bundle, recordings[0], *options, "--json").stdout)
    assert [one["text"] for one in found["alternatives"]] == [one.text for one in expected.alternatives]
    assert found["alternatives"][0]["words"] == found["words"]


def test_hotwords_have_weights(run, bundle, recordings, arpa):
    with edgespeech_runtime.load(bundle) as model:
        letter = next(token for token in model.manifest.vocabulary.tokens if len(token) == 1 and token.isalpha())
        expected = model.transcribe(recordings[0], hotwords={letter: 3.5, letter * 2: 10.0}).text
    result = run("transcribe", bundle, recordings[0], "--hotword", f"{letter}=3.5", "--hotword", letter * 2)
    assert result.stdout == expected + "\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--hotword", "a=much"), "--hotword a=much: expected PHRASE or PHRASE=WEIGHT"),
        (("--lm", "x.arpa", "--no-lm"), "--lm and --no-lm exclude each other"),
        (("--lm", "x.arpa"), "x.arpa"),
        (("--n-best", 2, "--srt"), "--n-best and --srt exclude each other"),
        (("--n-best", 2, "--timestamps", "word"), "--n-best and --timestamps exclude each other"),
        (("--n-best", 2, "--stream"), "--stream and --n-best exclude each other"),
        (("--alpha", 0.5), "alpha weighs a language model, and there is none"),
        (("--hotword", "#7"), "letters that the vocabulary lacks: '#', '7'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(refused, bundle, recordings, options, said):
    assert said in refused("transcribe", bundle, recordings[0], *options)


def test_an_encoder_decoder_is_searched_otherwise(refused, translator_bundle, recordings):
    assert "--beams is not for" in refused("transcribe", translator_bundle, recordings[0], "--beams", 5)
    assert "use --num-beams" in refused("transcribe", translator_bundle, recordings[0], "--hotword", "a")


def test_evaluate_reports_with_and_without(run, bundle, labelled, arpa):
    data = labelled("test.tsv")
    found = json.loads(run("evaluate", bundle, "--data", data, "--beams", 5, "--lm", arpa, "--json").stdout)
    assert [system["name"] for system in found["systems"]] == [f"{bundle}, 5 beams, lm.arpa", str(bundle)]
    assert len(found["comparisons"]) == 1
    for system, options in zip(found["systems"], (("--beams", 5, "--lm", arpa), ()), strict=True):
        lines = run("transcribe", bundle, data.parent, *options, "--json").stdout.splitlines()
        assert [result["heard"] for result in system["results"]] == [json.loads(line)["text"] for line in lines]


def test_a_checkpoint_is_searched_too(run, checkpoint, bundle, labelled, arpa):
    data = labelled("test.tsv")
    systems = [
        json.loads(run("evaluate", folder, "--data", data, "--lm", arpa, "--json").stdout)["systems"][0]
        for folder in (checkpoint, bundle)
    ]
    assert [r["heard"] for r in systems[0]["results"]] == [r["heard"] for r in systems[1]["results"]]


def test_weights_are_tuned(run, bundle, labelled, arpa):
    data = labelled("test.tsv")
    found = json.loads(
        run("evaluate", bundle, "--data", data, "--beams", 5, "--lm", arpa, "--tune-lm", "--json").stdout
    )
    rates = {(trial["alpha"], trial["beta"]): trial["word_error_rate"] for trial in found["trials"]}
    assert found["utterances"] == 3
    assert len(rates) == len(found["trials"]) > 30
    assert found["best"]["word_error_rate"] == min(rates.values())
    best = found["best"]["alpha"], found["best"]["beta"]
    weights = ("--alpha", best[0], "--beta", best[1])
    again = json.loads(run("evaluate", bundle, "--data", data, "--beams", 5, "--lm", arpa, *weights, "--json").stdout)
    assert again["systems"][0]["wer"] == pytest.approx(rates[best])
    text = run("evaluate", bundle, "--data", data, "--beams", 5, "--lm", arpa, "--tune-lm").stdout.splitlines()
    assert text[-1] == f"best on 3 utterances: --alpha {best[0]:g} --beta {best[1]:g}"


def test_tuning_needs_a_language_model(refused, bundle, labelled, translator_bundle, arpa):
    data = labelled("test.tsv")
    assert "there is none; give one too" in refused("evaluate", bundle, "--data", data, "--tune-lm")
    weighed = ("--lm", arpa, "--tune-lm", "--alpha", 1)
    assert "--tune-lm and --alpha exclude" in refused("evaluate", bundle, "--data", data, *weighed)
    assert "--lm is not for" in refused("evaluate", translator_bundle, "--data", data, "--lm", arpa)
