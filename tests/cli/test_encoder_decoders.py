"""Encoder-decoders on the command line: the same commands as for CTC models, with options of their own."""

import json
import re
import shutil
from pathlib import Path

import edgespeech_runtime
import pytest
from decoders import FAMILIES
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.cli.display import live
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.generation.cache.decoder import CachedDecoder
from edgespeech_runtime.text import DETOKENIZER_FILE
from encoder_decoders import make_encoder_decoder
from safetensors.torch import load_file

soundfile = pytest.importorskip("soundfile")

OPTIONS = {
    (): {},
    ("--num-beams", 4): {"num_beams": 4},
    ("--language", "de_DE"): {"language": "de_DE"},
    ("--language", "fr", "--max-new-tokens", 7): {"language": "fr_XX", "max_new_tokens": 7},
}


@pytest.fixture
def said(translator_bundle):
    """`said(path, **options)`: the runtime's text."""
    with edgespeech_runtime.load(translator_bundle) as model:
        yield lambda path, **options: model.transcribe(path, **options).text


def everything(folder):
    """Names and contents of all files below a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_the_options_matter(said, recordings):
    texts = {said(path, **options) for path in recordings for options in OPTIONS.values()}
    assert len(texts) > len(OPTIONS)  # or the tests below would compare nothing


@pytest.mark.parametrize("flags", OPTIONS, ids=lambda flags: " ".join(map(str, flags)) or "none")
def test_texts_are_those_of_the_runtime(run, translator_bundle, said, recordings, flags):
    expected = [said(path, **OPTIONS[flags]) for path in recordings]
    alone = run("transcribe", translator_bundle, recordings[0], *flags)
    assert (alone.exit_code, alone.stdout, alone.stderr) == (0, f"{expected[0]}\n", "")
    several = run("transcribe", translator_bundle, *recordings, *flags)
    assert several.stdout == "".join(f"{path}\t{text}\n" for path, text in zip(recordings, expected, strict=True))


@pytest.mark.parametrize("flags", OPTIONS, ids=lambda flags: " ".join(map(str, flags)) or "none")
def test_a_stream_ends_as_what_it_would_be_without(run, translator_bundle, recordings, flags):
    expected = run("transcribe", translator_bundle, *recordings, *flags)
    streamed = run("transcribe", translator_bundle, *recordings, *flags, "--stream")
    assert (streamed.exit_code, streamed.stdout, streamed.stderr) == (0, expected.stdout, "")


def test_a_stream_comes_while_the_decoder_is_at_work(run, translator_bundle, recordings, monkeypatch):
    events = []
    extend = CachedDecoder.extend
    monkeypatch.setattr(live, "write", events.append)
    monkeypatch.setattr(CachedDecoder, "extend", lambda *given: (events.append(None), extend(*given))[1])
    run("transcribe", translator_bundle, recordings[0], "--stream", "--language", "de_DE")
    pieces = [event for event in events if event is not None]
    assert len(pieces) > 3
    assert None in events[events.index(pieces[0]) : events.index(pieces[-2])]  # a step between two pieces


def test_the_loop_in_the_documentation(translator_bundle, recordings):
    text = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def write" in block]
    names = {}
    exec(compile(code, "docs/bundle.md", "exec"), names)  # noqa: S102  (it is ours)
    with edgespeech_runtime.load(translator_bundle) as model:
        for path in recordings:
            expected = model.generate(path, max_length=20)
            assert names["write"](str(translator_bundle), edgespeech_runtime.read_audio(path, 16000), 20) == expected
            assert len(expected) > 5


def test_json_has_text_and_duration_and_no_words(run, translator_bundle, said, recordings):
    lines = run("transcribe", translator_bundle, *recordings, "--json").stdout.splitlines()
    durations = [len(edgespeech_runtime.read_audio(path, 16000)) / 16000 for path in recordings]
    found = [json.loads(line) for line in lines]
    segments = [each.pop("segments") for each in found]
    assert found == [
        {"audio": str(path), "text": said(path), "words": [], "duration": round(duration, 3)}
        for path, duration in zip(recordings, durations, strict=True)
    ]
    assert [[part["text"] for part in parts] for parts in segments] == [[said(path)] for path in recordings]


def test_texts_can_go_to_a_folder(run, translator_bundle, said, recordings, tmp_path):
    result = run("transcribe", translator_bundle, *recordings[:2], "--output", tmp_path / "out", "--num-beams", 2)
    assert (result.exit_code, result.stdout) == (0, "")
    for path in recordings[:2]:
        written = (tmp_path / "out" / path.name).with_suffix(".txt").read_text(encoding="utf-8")
        assert written == said(path, num_beams=2) + "\n"


@pytest.mark.parametrize("flag", ["--stream", None])
def test_a_bad_file_among_many(run, translator_bundle, said, recordings, flag):
    recordings[1].write_bytes(b"no sound")
    result = run("transcribe", translator_bundle, *recordings, *([flag] if flag else []))
    assert result.exit_code == 1
    assert result.stdout == "".join(f"{path}\t{said(path)}\n" for path in (recordings[0], recordings[2]))
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"edgespeech: {recordings[1]}")


def test_an_engine_that_fails_in_the_middle_of_a_stream(run, translator_bundle, said, recordings, monkeypatch):
    extend, steps = CachedDecoder.extend, []

    def fail(self, tokens, parents):
        steps.append(self)
        if len(steps) == 6:
            raise EngineError("out of memory")
        return extend(self, tokens, parents)

    whole = said(recordings[0], language="de_DE")
    other = said(recordings[1], language="de_DE")
    monkeypatch.setattr(CachedDecoder, "extend", fail)
    result = run("transcribe", translator_bundle, *recordings[:2], "--stream", "--language", "de_DE")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert second == f"{recordings[1]}\t{other}"
    assert first.startswith(f"{recordings[0]}\t")
    assert whole.startswith(first.partition("\t")[2])
    assert result.stderr == f"edgespeech: {recordings[0]}: out of memory\n"


@pytest.mark.parametrize("flags", [["--timestamps", "word"], ["--srt"], ["--vtt"], ["--timestamps", "char", "--json"]])
def test_times_that_it_does_not_know_are_refused(refused, translator_bundle, recordings, flags):
    before = everything(recordings[0].parent)
    line = refused("transcribe", translator_bundle, *recordings, *flags)
    assert line.startswith(f"{flags[0]} is not for {translator_bundle}, which is an encoder-decoder")
    assert everything(recordings[0].parent) == before


@pytest.mark.parametrize(
    "flags", [["--num-beams", 4], ["--language", "de"], ["--max-new-tokens", 5], ["--language", ""]]
)
def test_what_a_ctc_model_cannot_do_is_refused(refused, bundle, recordings, tmp_path, flags):
    line = refused("transcribe", bundle, *recordings, *flags, "--output", tmp_path / "out")
    assert line.startswith(f"{flags[0]} is not for {bundle}, which is a CTC model")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--language", "tlh"], r"language 'tlh' is unknown; this model knows af_ZA, ar_AR"),
        (["--language", ""], "language '' is unknown"),
        (["--max-new-tokens", 4000], "max_new_tokens: sequences of 4001 tokens are above the 40 positions"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_options_that_the_model_cannot_honour_are_told_once(
    refused, translator_bundle, recordings, tmp_path, flags, said, stream
):
    recordings[0].write_bytes(b"no sound")  # nothing is read before the options are known to be good
    place = ["--stream"] if stream else ["--output", tmp_path / "out"]
    assert said in refused("transcribe", translator_bundle, *recordings, *flags, *place)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flags",
    [["--json"], ["--srt"], ["--vtt"], ["--timestamps", "word"], ["--output", "out"]],
    ids=lambda flags: flags[0],
)
def test_a_stream_is_plain_text(refused, bundle, translator_bundle, recordings, flags):
    for folder in (bundle, translator_bundle):
        line = refused("transcribe", folder, recordings[0], "--stream", *flags)
        assert line.startswith(f"--stream and {flags[0]} exclude each other")


def test_a_ctc_model_streams_too(run, bundle, recordings):
    expected = run("transcribe", bundle, *recordings).stdout
    assert run("transcribe", bundle, *recordings, "--stream").stdout == expected
    assert (
        run("transcribe", bundle, recordings[0], "--stream").stdout
        == expected.splitlines()[0].partition("\t")[2] + "\n"
    )


def test_the_export_tells_what_was_proven(exported_translator):
    folder, result = exported_translator
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{folder}: encoder-decoder on ONNX Runtime, float32\n")
    report = json.loads((folder / "edgespeech.json").read_text(encoding="utf-8"))["report"]["parity"]
    assert report["same_tokens"]
    assert "tokens              the same, greedy and with beams\n" in result.stdout
    assert f"{len(report['frames'])} inputs of 1 to {max(report['frames'])} frames, " in result.stdout
    assert f"{max(report['tokens'])} tokens\n" in result.stdout
    for step in ("encoder", "encoder_batch", "decoder"):
        assert f"  ONNX graph {step}\n" in result.stderr


def edit(path, **changes):
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def no_start(folder):
    decoder = json.loads((folder / "config.json").read_text(encoding="utf-8"))["decoder"]
    nothing = {"decoder_start_token_id": None, "bos_token_id": None}
    edit(folder / "config.json", decoder={**decoder, **nothing}, **nothing)
    edit(folder / "generation_config.json", **nothing)


def no_tokenizer(folder):
    (folder / "sentencepiece.bpe.model").unlink()


def unknown_decoder(folder):
    decoder = json.loads((folder / "config.json").read_text(encoding="utf-8"))["decoder"]
    edit(folder / "config.json", decoder={**decoder, "model_type": "opt"})


def unknown_strategy(folder):
    edit(folder / "generation_config.json", num_beam_groups=2)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_start, "decoder_start_token_id"),
        (no_tokenizer, "sentencepiece.bpe.model"),
        (unknown_decoder, "'opt'"),
        (unknown_strategy, "num_beam_groups"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_checkpoint_that_cannot_be_exported(refused, a_translator, tmp_path, damage, said):
    damage(a_translator)
    assert said in refused("export", a_translator, tmp_path / "bundles" / "bundle")
    assert not (tmp_path / "bundles").exists()


def test_the_language_is_not_chosen_at_export(refused, translator, tmp_path):
    assert "target_lang" in refused("export", translator, tmp_path / "bundle", "--target-lang", "deu")
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_is_inspected(run, translator_bundle):
    result = run("inspect", translator_bundle)
    assert (result.exit_code, result.stderr) == (0, "")
    for said in (
        "task            encoder-decoder\n",
        "decoder         1 layer, 4 heads of 8\n",
        "cache           256 bytes for each token and beam, as much for each frame\n",  # 2 x 4 heads x 8 x 4 bytes
        "longest text    40 tokens, the first included\n",
        "languages       af_ZA, ar_AR, az_AZ,",
        " and 40 more\n",  # of 52
        "decoder_start_token_id  2\n",
        "graph encoder: encoder.onnx, weights in weights.data\n",
        "tokens int64 [batch, new], positions int64 [batch, new]",
        "cache.0.key float32 [batch, heads, head_dim, slots]",
        "the same, greedy and with beams",
        "every file is as it was exported",
    ):
        assert said in result.stdout


def test_tensors_that_all_layers_have_stand_together(run, translator_bundle, tmp_path):
    folder = shutil.copytree(translator_bundle, tmp_path / "bundle")
    data = json.loads((folder / "edgespeech.json").read_text(encoding="utf-8"))
    data["decoder"]["layers"] = 3
    for graph in data["graphs"].values():
        for side in ("inputs", "outputs"):
            columns = [tensor for tensor in graph[side] if ".0." in tensor["name"]]
            for layer in ("1", "2"):
                graph[side] += [{**c, "name": c["name"].replace(".0.", f".{layer}.")} for c in columns]
    (folder / "edgespeech.json").write_text(json.dumps(data), encoding="utf-8")
    shown = run("inspect", folder).stdout
    assert "new.0-2.key float32 [batch, heads, head_dim, new]" in shown
    assert "new.1" not in shown


def test_a_bundle_in_json_is_its_manifest_and_more(run, translator_bundle):
    found = json.loads(run("inspect", translator_bundle, "--json").stdout)
    manifest = json.loads((translator_bundle / "edgespeech.json").read_text(encoding="utf-8"))
    languages = found["decoder"].pop("languages")
    assert len(languages) == 52
    assert {"de_DE", "en_XX"} < set(languages)
    assert found == manifest | {
        "kind": "bundle",
        "folder": str(translator_bundle),
        "checksums_hold": True,
        "problem": None,
    }


def test_a_table_of_tokens_that_cannot_be_read_is_named(run, refused, translator_bundle, recordings, tmp_path):
    folder = shutil.copytree(translator_bundle, tmp_path / "bundle")
    (folder / DETOKENIZER_FILE).write_text('{"format": 9}', encoding="utf-8")
    data = json.loads((folder / "edgespeech.json").read_text(encoding="utf-8"))
    path = folder / DETOKENIZER_FILE
    data["files"][DETOKENIZER_FILE] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    (folder / "edgespeech.json").write_text(json.dumps(data), encoding="utf-8")
    result = run("inspect", folder)
    assert result.exit_code == 2
    assert result.stderr.startswith("edgespeech: detokenizer.json: format 9")
    assert "decoder         1 layer" in result.stdout
    assert "detokenizer.json: format 9" in refused("transcribe", folder, recordings[0])
    path.write_text("altered", encoding="utf-8")
    found = json.loads(run("inspect", folder, "--json").stdout)
    assert found["checksums_hold"] is False
    assert found["decoder"]["languages"] is None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_is_inspected(run, tmp_path, family):
    folder = make_encoder_decoder(tmp_path / "checkpoint", family, "hubert", weights="edgespeech")
    found = json.loads(run("inspect", folder, "--json").stdout)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "model.safetensors")
    assert (found["kind"], found["model_type"]) == ("checkpoint", "speech-encoder-decoder")
    assert found["exports_as"] == "SpeechEncoderDecoderModel"
    assert {name: half["model_type"] for name, half in found["halves"].items()} == {
        "encoder": "hubert",
        "decoder": config["decoder"]["model_type"],
    }
    assert sum(found["parameters"].values()) == sum(tensor.numel() for tensor in weights.values())
    for name, half in found["halves"].items():
        for field, value in half["sizes"].items():
            assert config[name][field] == value
        assert half["differing"].items() <= config[name].items()
        assert not {"is_decoder", "add_cross_attention", "output_hidden_size"} & half["differing"].keys()
    assert found["halves"]["encoder"]["differing"]["conv_stride"] == [5, 4, 2]
    assert found["generation"] == json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    shown = run("inspect", folder).stdout
    assert f"family      speech-encoder-decoder, hubert encoder, {config['decoder']['model_type']} decoder\n" in shown
    assert "sizes of the decoder" in shown
    assert "generation, where the caller does not say" in shown


def test_the_tokenizer_of_a_checkpoint_is_told_of(run, translator, a_translator):
    found = json.loads(run("inspect", translator, "--json").stdout)
    assert found["vocabulary"] == found["halves"]["decoder"]["sizes"]["vocab_size"]
    assert len(found["languages"]) == 52
    no_tokenizer(a_translator)
    found = json.loads(run("inspect", a_translator, "--json").stdout)
    assert (found["vocabulary"], found["languages"]) == (None, [])
