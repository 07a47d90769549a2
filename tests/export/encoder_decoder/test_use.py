"""Exported encoder-decoders as they are used: text, pieces of it as it comes, languages, many threads, the end."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import transformers
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE
from edgespeech_runtime.errors import ArgumentError, BundleError, EdgeSpeechRuntimeError, EngineError
from exported_models import ENGINES, Pairs, sounds

LONG: dict[str, Any] = {"max_length": 30, "eos_token_id": None}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["bert", "mbart"])
@pytest.mark.parametrize("beams", [1, 4])
def test_text_is_what_transformers_makes_of_its_tokens(pairs: Pairs, family: str, engine: str, beams: int) -> None:
    pair = pairs.pair(family, engine)
    tokenizer = transformers.AutoTokenizer.from_pretrained(pair.checkpoint)
    waveforms = sounds(9000, 8000, 3000)
    texts = [found.text for found in pair.runtime.transcribe(waveforms, num_beams=beams, max_length=30)]
    for text, waveform in zip(texts, waveforms, strict=True):
        (row,) = pair.expected(waveform, num_beams=beams, max_length=30)
        assert text == tokenizer.decode(row, skip_special_tokens=True).strip()
        assert pair.runtime.transcribe(waveform, num_beams=beams, max_length=30).text == text
    assert any(texts)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["bert", "gpt2", "mbart", "speech2text2-odd"])
def test_pieces_are_the_text_and_come_before_its_end(pairs: Pairs, family: str, engine: str) -> None:
    runtime = pairs.pair(family, engine).runtime
    most = 16 if "odd" in family else 30
    several = 0
    for waveform in sounds(9000, 4000, 7000):
        for options in (
            {},
            {"num_beams": 4},
            {"do_sample": True, "seed": 1},
            {"num_beams": 2, "num_return_sequences": 2},
        ):
            options = {"num_beams": 1, **options, "max_length": most, "no_repeat_ngram_size": None}
            pieces: list[str] = []
            text = runtime.transcribe(waveform, on_text=pieces.append, **options).text
            assert "".join(pieces).strip() == text == runtime.transcribe(waveform, **options).text
            assert all(pieces)
            several += len(pieces) > 1
    assert several >= 6
    with pytest.raises(ArgumentError, match="on_text takes one input at a time, got 2"):
        runtime.transcribe(sounds(3000, 3000), on_text=print)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_piece_comes_while_tokens_are_still_to_come(pairs: Pairs, engine: str) -> None:
    runtime = pairs.pair("gpt2", engine).runtime
    (waveform,) = sounds(5000)
    steps: list[int] = []
    seen: list[int] = []
    bind = runtime._graphs.bind

    def counting(*arguments: Any) -> Any:
        binding = bind(*arguments)
        run = binding.run
        binding.run = lambda: (steps.append(1), run())[1]
        return binding

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime._graphs, "bind", counting)
        runtime.transcribe(waveform, on_text=lambda piece: seen.append(len(steps)), **LONG)
    assert seen[0] < len(steps) // 2


@pytest.mark.parametrize("engine", ENGINES)
def test_languages(pairs: Pairs, engine: str) -> None:
    pair = pairs.pair("mbart", engine)
    tokenizer = transformers.AutoTokenizer.from_pretrained(pair.checkpoint)
    (waveform,) = sounds(5000)
    for name, code in (("de_DE", "de_DE"), ("fr", "fr_XX"), ("de-de", "de_DE")):
        token = tokenizer.convert_tokens_to_ids(code)
        for beams in (1, 3):
            row = pair.runtime.generate(waveform, language=name, num_beams=beams, max_length=20)
            assert row[:2] == [2, token]
            assert [row] == pair.expected(waveform, forced_bos_token_id=token, num_beams=beams, max_length=20)
        text = pair.runtime.transcribe(waveform, language=name, max_length=20).text
        greedy = pair.expected(waveform, forced_bos_token_id=token, max_length=20)[0]
        assert text == tokenizer.decode(greedy, skip_special_tokens=True).strip()
    with pytest.raises(
        ArgumentError, match=r"language 'tlh' is unknown; this model knows af_ZA, ar_AR, .*de_DE.*, zh_CN"
    ):
        pair.runtime.transcribe(waveform, language="tlh")
    with pytest.raises(ArgumentError, match="leave one out"):
        pair.runtime.transcribe(waveform, language="de_DE", forced_bos_token_id=5)
    with pytest.raises(ArgumentError, match="no tokens for languages"):
        pairs.pair("gpt2", engine).runtime.transcribe(waveform, language="de_DE")


@pytest.mark.parametrize("engine", ENGINES)
def test_many_threads_at_once(pairs: Pairs, engine: str) -> None:
    runtime = pairs.pair("bart", engine).runtime
    rng = np.random.default_rng(3)
    jobs = []
    for seed in range(40):
        lengths = rng.integers(1000, 9000, int(rng.integers(1, 4))).tolist()
        options = {"num_beams": int(rng.choice([1, 2, 4])), "max_length": int(rng.integers(5, 30))}
        jobs.append((sounds(*lengths, seed=seed), options))

    def run(job: Any) -> Any:
        return runtime.generate(job[0], **job[1])

    expected = [run(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            assert list(pool.map(run, jobs)) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_model_says_so(pairs: Pairs, engine: str) -> None:
    with edgespeech_runtime.load(pairs.pair("bart", engine).bundle, threads=1) as runtime:
        (waveform,) = sounds(3000)
        expected = runtime.generate(waveform, max_length=5)
        assert expected == pairs.pair("bart", engine).runtime.generate(waveform, max_length=5)
    for call in (runtime.generate, runtime.transcribe, runtime.hypotheses):
        with pytest.raises(EngineError, match="the model is closed"):
            call(waveform)
    with pytest.raises(EngineError, match="the model is closed"):
        runtime.self_check()
    runtime.close()


def copied(pairs: Pairs, tmp_path: Path, engine: str) -> Path:
    return Path(shutil.copytree(pairs.pair("bart", engine).bundle, tmp_path / "bundle"))


def refused(bundle: Path, match: str = "") -> str:
    """The message, of one line, with which a damaged bundle is refused when it is loaded or when it checks itself."""
    with pytest.raises(EdgeSpeechRuntimeError, match=match) as caught, edgespeech_runtime.load(bundle) as runtime:
        runtime.self_check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_byte_that_is_not_as_it_was(pairs: Pairs, tmp_path: Path, engine: str) -> None:
    bundle = copied(pairs, tmp_path, engine)
    manifest = json.loads((bundle / MANIFEST_FILE).read_text("utf-8"))
    assert {path.name for path in bundle.iterdir()} == {*manifest["files"], MANIFEST_FILE}
    for name in manifest["files"]:
        content = (bundle / name).read_bytes()
        middle = len(content) // 2
        (bundle / name).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(BundleError, match=name.replace(".", r"\.")):
            edgespeech_runtime.load(bundle)
        (bundle / name).write_bytes(content)
    edgespeech_runtime.load(bundle).close()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "is no JSON"),
        ("[]", "expected an object"),
        ('{"format": 99}', "reads up to 1: upgrade"),
        ('{"format": 1}', "is missing"),
    ],
)
def test_a_damaged_detokenizer(pairs: Pairs, tmp_path: Path, content: str, match: str) -> None:
    bundle = copied(pairs, tmp_path, "onnx")
    (bundle / "detokenizer.json").write_text(content, "utf-8")
    relist(bundle)
    with pytest.raises(BundleError, match=rf"detokenizer\.json: .*{match}"):
        edgespeech_runtime.load(bundle)


def relist(bundle: Path, **decoder: Any) -> None:
    """List the files as they are now; `decoder` replaces facts of the decoder."""
    from edgespeech_runtime.bundle.checksums import sha256

    manifest = json.loads((bundle / MANIFEST_FILE).read_text("utf-8"))
    for name in manifest["files"]:
        manifest["files"][name] = {"bytes": (bundle / name).stat().st_size, "sha256": sha256(bundle / name)}
    manifest["decoder"] |= decoder
    (bundle / MANIFEST_FILE).write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "facts",
    [
        {"layers": 2},
        {"layers": 4},
        {"heads": 2, "head_dim": 12},
        {"head_dim": 8},
        {"vocabulary_size": 51},
        {"vocabulary_size": 49},
        {"heads": 0},
        {"text": "missing.json"},
        {"generation": {"decoder_start_token_id": 50}},
        {"generation": {"num_beams": "many", "decoder_start_token_id": 2}},
        {"generation": {}},
    ],
    ids=str,
)
def test_facts_that_contradict_the_graph(pairs: Pairs, tmp_path: Path, engine: str, facts: dict[str, Any]) -> None:
    bundle = copied(pairs, tmp_path, engine)
    relist(bundle, **facts)
    with pytest.raises(EdgeSpeechRuntimeError) as caught:
        edgespeech_runtime.load(bundle).generate(sounds(3000)[0])
    assert "\n" not in str(caught.value)
