"""The front of quantization on a model whose damage is known: what it decides, proves, writes and refuses."""

import errno
import json
from types import SimpleNamespace

import edgespeech_runtime
import fake_quantizer
import numpy as np
import pytest
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError, QualityError, QuantizationError
from edgespeech_calib.quantization import QuantizationOptions, pipeline, quantize, timing
from edgespeech_calib.quantization.search import trials
from edgespeech_export import ExportError, TargetExistsError
from edgespeech_export.bundle import golden_tolerance
from edgespeech_runtime.bundle.folder import open_bundle
from fake_quantizer import TERRIBLE, install

ALL = {layer.name for layer in fake_quantizer.LAYERS}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "bundles"
    folder.mkdir()
    return folder


@pytest.fixture
def data(corpus):
    return open_set(corpus)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(kind, bundle, place, data, options=QuantizationOptions(), **more):  # noqa: B008
    """The message of an error that leaves nothing behind."""
    with pytest.raises(kind) as caught:
        quantize(bundle, place / "int8", data, options, **more)
    assert list(place.iterdir()) == []
    return str(caught.value)


def test_a_sound_model_is_quantized_whole(bundle, place, data, texts, monkeypatch):
    install(monkeypatch)
    found = quantize(bundle, place / "int8", data)
    assert list(place.iterdir()) == [place / "int8"]
    manifest = open_bundle(place / "int8").manifest  # checks every file
    assert manifest == found.manifest
    assert (manifest.precision, manifest.engine, manifest.task) == ("int8", "onnx", "ctc")
    assert {graph.file for graph in manifest.graphs.values()} == {"single.int8.onnx", "batch.int8.onnx"}
    assert "weights.data" not in manifest.files  # the float graphs' files are not taken along
    assert {layer.precision for layer in found.layers} == {"int8"}
    assert [t.passed for t in found.trials] == [True]
    with edgespeech_runtime.load(place / "int8") as model:
        assert 0 < model.self_check() <= manifest.golden.tolerance
        heard = {u.id: model.transcribe(u.audio.read(16000)).text for u in data}
    assert heard == texts


def test_the_report_says_what_was_done(bundle, place, data, monkeypatch):
    install(monkeypatch, noise={"features.0": 12.34})
    found = quantize(bundle, place / "int8", data, QuantizationOptions(samples=4, seed=3, target="x86-avx2"))
    report = json.loads((place / "int8" / "edgespeech.json").read_text(encoding="utf-8"))
    part = report["report"]["quantization"]
    assert (part["scheme"], part["target"], part["types"]["reduce_range"]) == ("static", "x86-avx2", True)
    assert "saturate" in part["why_these_types"]
    assert part["integer_share"] == 0.96
    first, second, *_ = part["layers"]
    assert (first["name"], first["precision"], first["noise_db"]) == ("features.0", "float32", 12.3)
    assert "12.3 dB" in first["why"]
    assert (second["precision"], "why" in second) == ("int8", False)
    gate = part["gate"]
    assert gate["measure"] == "agreement with the float model"
    assert gate["utterances"] == 4
    calibration = report["provenance"]["calibration"]
    assert (calibration["set"], calibration["utterances"], calibration["seed"]) == ("LibriSpeech", 4, 3)
    assert len(calibration["sha256"]) == 64
    assert part["float_bytes"] == sum(file.bytes for file in open_bundle(bundle).manifest.files.values())
    assert found.speed.float_seconds > 0
    assert "running the INT8 model" in found.seconds


def test_same_inputs_and_seed_give_the_same_bundle(bundle, place, data, monkeypatch):
    install(monkeypatch, damage={"layers.0.q_proj": TERRIBLE}, noise={"layers.0.q_proj": 15.0})
    for name in ("one", "two"):
        quantize(bundle, place / name, data, QuantizationOptions(samples=3))
    quantize(bundle, place / "other", data, QuantizationOptions(samples=3, seed=1))
    assert content(place / "one") == content(place / "two")
    assert content(place / "one") != content(place / "other")


def test_a_layer_that_breaks_the_model_goes_back_to_float(bundle, place, data, monkeypatch):
    opened = install(monkeypatch, damage={"layers.0.out_proj": TERRIBLE}, noise={"layers.0.out_proj": 11.0})
    found = quantize(bundle, place / "int8", data)
    assert opened[0].written == [frozenset(), {"layers.0.out_proj"}]
    assert [t.passed for t in found.trials] == [False, True]
    (reverted,) = [layer for layer in found.layers if layer.precision == "float32"]
    assert reverted.name == "layers.0.out_proj"
    assert reverted.why == "returned to float by the gate, 11.0 dB in INT8"
    assert found.judgement.passed


def test_damage_that_was_measured_decides_and_not_a_layers_own_noise(bundle, place, data, monkeypatch):
    opened = install(
        monkeypatch, damage={"layers.0.q_proj": TERRIBLE}, noise={"layers.0.out_proj": 11.0}, measures=True
    )
    found = quantize(bundle, place / "int8", data)
    assert opened[0].written == [frozenset(), {"layers.0.q_proj"}]
    assert found.judgement.passed
    assert len(opened[0].measured) == 3
    assert max(values.shape for values in opened[0].measured) <= (1, 3 * 16000)


def test_more_layers_follow_until_what_is_seen_is_within_what_is_allowed(bundle, place, data, monkeypatch):
    """Each makes over four times the noise of the next."""
    damage = {"lm_head": 10 * TERRIBLE, "layers.0.q_proj": TERRIBLE, "layers.0.scores": 0.3 * TERRIBLE}
    opened = install(monkeypatch, damage=damage, measures=True)
    monkeypatch.setattr(trials, "LEAST_SHARE", {"static": 0.0})
    quantize(bundle, place / "int8", data)
    order = ["lm_head", "layers.0.q_proj", "layers.0.scores"]
    assert opened[0].written == [set(order[:count]) for count in range(4)]


def test_the_best_is_what_is_wanted_with_the_fewest_layers_in_float_else_what_changes_the_least():
    def made(is_wanted, value, layers):
        verdict = SimpleNamespace(is_wanted=is_wanted, evidence=SimpleNamespace(value=value))
        floating = frozenset(map(str, range(layers)))
        return trials.Trial(None, None, floating, floating, None, None, verdict)

    order = [made(True, 0.019, 1), made(True, 0.001, 2), made(False, 0.03, 5), made(False, 0.04, 0)]
    mixed = [order[place] for place in (2, 0, 3, 1)]
    assert sorted(mixed, key=lambda one: one.cost) == order


def test_without_reverting_the_export_fails_with_figures(bundle, place, data, monkeypatch):
    opened = install(
        monkeypatch, damage={"features.1": TERRIBLE}, noise={"features.1": 2.5, "features.0": 3.5, "lm_head": 30.0}
    )
    line = refused(QualityError, bundle, place, data, QuantizationOptions(revert=False))
    assert opened[0].written == [frozenset()]
    assert "features.0 (3.5 dB), features.1 (2.5 dB)" in line
    assert "noise in the logits" in line
    assert "words differ" in line
    assert "--no-revert" in line


def test_labelled_speech_counts_word_errors(bundle, place, data, monkeypatch):
    install(monkeypatch, damage={"layers.0.out_proj": TERRIBLE}, noise={"layers.0.out_proj": 11.0})
    found = quantize(bundle, place / "int8", data, evaluation_data=data)
    assert [t.passed for t in found.trials] == [False, True]
    figures = found.manifest.report["quantization"]["gate"]
    assert figures["measure"] == "word errors"
    assert (figures["float_wer"], figures["wer"], figures["increase"]) == (0.0, 0.0, 0.0)
    low, high = figures["interval"]
    assert -low == high == pytest.approx(3.8416 / (figures["words"] + 3.8416))  # Wilson's of no changed word
    assert "percentage points (95 % interval" in found.trials[0].result
    assert "0.3 allowed: shown to be more" in found.trials[0].result


def test_an_increase_that_is_allowed_passes(bundle, place, data, monkeypatch):
    install(monkeypatch, damage={"layers.0.out_proj": TERRIBLE})
    options = QuantizationOptions(max_wer_increase=500.0, revert=False)
    found = quantize(bundle, place / "int8", data, options, evaluation_data=data)
    assert found.judgement.passed
    assert found.judgement.increase.value > 0.1
    assert found.judgement.changed


def test_int8_by_name_alone_fails(bundle, place, data, monkeypatch):
    install(monkeypatch, share=0.1)
    line = refused(QualityError, bundle, place, data)
    assert "only 10 % of the multiply-accumulates of the model would run in INT8, at least 25 % must" in line
    install(monkeypatch, share=0.3)
    quantize(bundle, place / "dynamic", data, QuantizationOptions(scheme="dynamic"))


def test_reverting_ends_where_too_little_is_left(bundle, place, data, monkeypatch):
    install(monkeypatch, damage=dict.fromkeys(ALL, TERRIBLE))
    line = refused(QualityError, bundle, place, data)
    assert "layers in float that the gate asks for" in line


def test_calibration_takes_excerpts_normalised(bundle, place, corpus, write, monkeypatch):
    opened = install(monkeypatch)
    generator = np.random.default_rng(0)
    write(corpus / "dev-clean" / "99" / "1" / "99-1-0000.flac", 0.1 * generator.standard_normal(16000 * 9))
    quantize(bundle, place / "int8", open_set(corpus))
    shapes = sorted(values.shape for values in opened[0].calibrated)
    assert shapes[-1] == (1, 5 * 16000)
    assert len(shapes) == 6
    for values in opened[0].calibrated:
        assert values.dtype == np.float32
        assert abs(float(values.std()) - 1) < 1e-3


def test_bad_input_is_found_before_the_work(bundle, place, data, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_quantize", lambda *given: pytest.fail("began"))
    for path in corpus.rglob("*.trans.txt"):
        path.unlink()
    silent = open_set(corpus)
    assert "has no transcripts" in refused(DataError, bundle, place, data, evaluation_data=silent)
    for path in corpus.rglob("*.flac"):
        path.write_bytes(path.read_bytes()[:-20])
    for path in corpus.rglob("*.wav"):
        path.unlink()
    assert "none of the 4 recordings drawn" in refused(DataError, bundle, place, open_set(corpus))


def test_targets_that_are_in_the_way(bundle, place, data):
    (place / "int8").mkdir()
    (place / "int8" / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(TargetExistsError):
        quantize(bundle, place / "int8", data)
    with pytest.raises(TargetExistsError):
        quantize(bundle, bundle, data)
    with pytest.raises(ExportError, match="holds the checkpoint"):
        quantize(bundle, bundle, data, force=True)
    assert content(place) == {(place / "int8" / "mine").relative_to(place): b"mine"}


def test_a_bundle_that_is_not_float32(bundle, place, data, monkeypatch):
    install(monkeypatch)
    quantize(bundle, place / "int8", data)
    with pytest.raises(QuantizationError, match="is in int8"):
        quantize(place / "int8", place / "again", data)


def test_a_full_disk_leaves_nothing(bundle, place, data, monkeypatch):
    install(monkeypatch)

    def full(*given, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert "the disk is full; make room" in refused(ExportError, bundle, place, data)


def test_damaged_and_foreign_recordings_are_counted(bundle, place, corpus, write, monkeypatch):
    install(monkeypatch)
    damaged = next(corpus.rglob("87-121-0003.flac"))
    damaged.write_bytes(damaged.read_bytes()[:-40])
    write(corpus / "dev-clean" / "99" / "1" / "99-1-0000.flac", rate=8000)
    found = quantize(bundle, place / "int8", open_set(corpus))
    assert [skipped.id for skipped in found.skipped] == ["87-121-0003"]
    assert found.resampled == {8000: 1}
    calibration = found.manifest.provenance["calibration"]
    assert calibration["skipped"] == ["87-121-0003"]
    assert calibration["resampled"] == {"8000": 1}
    assert str(corpus) not in (place / "int8" / "edgespeech.json").read_text(encoding="utf-8")


def test_progress_tells_steps_and_how_far_they_are(bundle, place, data, monkeypatch):
    install(monkeypatch)
    said = []
    quantize(bundle, place / "int8", data, progress=lambda *given: said.append(given))
    names = list(dict.fromkeys(name for name, _, _ in said))
    assert names[:2] == ["reading calibration speech", "calibrating"]
    assert "calibrating, the only pass" in names
    assert ("running the INT8 model", 5, 5) in said
    assert ("calibrating, the only pass", 2, 5) in said


@pytest.mark.parametrize(("difference", "expected"), [(0.0, 1e-3), (0.031, 0.062), (0.1234, 0.25), (12.0, 24.0)])
def test_the_golden_tolerance_leaves_twice_the_difference(difference, expected):
    assert golden_tolerance(difference) == pytest.approx(expected)
    assert golden_tolerance(difference) >= 2 * difference
