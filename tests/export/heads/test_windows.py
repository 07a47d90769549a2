"""Windows of a recording in the graph for them: convolutions, group norm and positions are those of the whole.

The output is what goes into the first layer of attention, so that nothing but the overlap of windows limits them.
"""

import json
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
import transformers
from checkpoints import make_checkpoint, make_model
from edgespeech_export import ExportOptions, export
from edgespeech_export.errors import ProofError
from edgespeech_export.graphs import parts
from edgespeech_export.writers.channels_last import with_channels_last
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.long.statistics import Gatherer
from exported_models import sounds
from kinds import ENGINES, SMALL
from torch import Tensor

from edgespeech.encoder.features import Patches

TOLERANCE = 1e-4
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"conv_bias": False},
    "biases": {"conv_bias": True, "conv_kernel": [7, 8], "num_conv_pos_embeddings": 15},
}
CASES = [("plain", engine) for engine in ENGINES] + [("biases", "onnx")]


def recording(samples: int = 32000) -> np.ndarray:
    """Loud, then quiet, on an offset."""
    (found,) = sounds(samples)
    found[samples // 2 :] *= 0.05
    return np.asarray(found + 0.02, np.float32)


def stitched(runtime: Any, samples: np.ndarray, length: int, batch_size: int) -> np.ndarray:
    """Frames of windows of so many hops, each without the reach of convolutions at the ends that it does not share
    with the whole.
    """
    facts, reach = runtime.manifest.audio, runtime.manifest.reach
    gatherer = runtime.runner.gatherer()
    for block in np.array_split(samples, 7):
        gatherer.add(block)
    count, parts = runtime.manifest.frames.count(len(samples)), []
    step = runtime.manifest.frames.count(length * facts.hop) - 2 * reach
    starts = range(0, count - 2 * reach, step)
    windows = [samples[start * facts.hop : (start + length) * facts.hop] for start in starts]
    found = runtime.runner.run_windows(windows, gatherer.statistics(), batch_size)
    at = 0
    for start, frames in zip(starts, found, strict=True):
        stop = count if start + length >= count else start + len(frames) - reach
        parts.append(frames[at - start : stop - start])
        at = stop
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`made(kind, engine)`: a checkpoint without a head and its bundle of what goes into the first layer."""
    folder = tmp_path_factory.mktemp("windows")

    def make(kind: str, engine: str) -> tuple[Path, Path]:
        checkpoint, bundle = folder / kind, folder / f"{kind}-{engine}"
        if not checkpoint.exists():
            make_checkpoint(checkpoint, "wav2vec2", head="Model", **{**SMALL, **KINDS[kind]})
        if not bundle.exists():
            export(checkpoint, bundle, ExportOptions(engine=engine, layers=(0,)))  # type: ignore[arg-type]
        return checkpoint, bundle

    return make


@pytest.mark.parametrize(("kind", "engine"), CASES)
def test_windows_are_the_whole_recording(made: Any, kind: str, engine: str) -> None:
    checkpoint, bundle = made(kind, engine)
    samples = recording()
    model = transformers.Wav2Vec2Model.from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        values = torch.from_numpy(normalize(samples))[None]
        expected = model(values, output_hidden_states=True).hidden_states[0][0].numpy()
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        for length, batch_size in ((60, 3), (201, 1)):
            found = stitched(runtime, samples, length, batch_size)
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)
        alone = runtime.features(samples[:6400])
    difference = np.abs(alone - expected[: len(alone)]).max()
    assert difference > 0.1  # as a recording of its own, that window would be another one


@pytest.mark.parametrize(("kind", "reach"), [("plain", 8), ("biases", 7)])
def test_the_bundle_says_how_far_convolutions_see(made: Any, kind: str, reach: int) -> None:
    facts = json.loads((made(kind, "onnx")[1] / "edgespeech.json").read_text(encoding="utf-8"))
    assert facts["context"] == {"reach": reach, "group_norm": True}
    assert 0 < facts["report"]["parity"]["window"] <= facts["report"]["parity"]["tolerance"]


def test_reach_is_counted_in_frames_after_adapters(case_of: Any) -> None:
    """16 taps see 8 frames on a side; two layers of stride 2 make 5 of them, then 3."""
    with edgespeech_runtime.load(case_of("wav2vec2-adapters", "onnx").bundle) as runtime:
        assert (runtime.manifest.reach, runtime.manifest.context.group_norm) == (3, False)
        assert "window" not in runtime.manifest.graphs


def test_a_stack_of_positional_convolutions_sees_as_far_as_all_of_them(case_of: Any) -> None:
    with edgespeech_runtime.load(case_of("data2vec-stack", "onnx").bundle) as runtime:
        assert runtime.manifest.reach == 3 * 3  # kernels of 6 taps


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_the_conv_stack_takes_the_statistics_of_the_whole(is_last: bool, has_bias: bool) -> None:
    """In float64, so that only a wrong formula can make a difference."""
    model = make_model("wav2vec2", weights="edgespeech", conv_bias=has_bias).double()
    encoder = (with_channels_last(model, model.base_model) if is_last else model).base_model
    samples = recording(16000)
    gatherer = Gatherer(10, 5)
    gatherer.add(samples)
    statistics = gatherer.statistics()
    patches = Patches(*(torch.from_numpy(values).double() for values in statistics.patches(False)))
    whole = torch.from_numpy(samples).double()[None]
    with torch.inference_mode():
        expected, _ = model.base_model.feature_extractor(whole)
        found, _ = encoder.double().feature_extractor(whole[:, 10 * 320 : 30 * 320], None, patches)
    torch.testing.assert_close(found, expected[:, 10 : 10 + found.shape[1]], atol=1e-5, rtol=1e-5)


class Forgetful(parts.WindowFeatures):
    """Features of windows, each normalised by itself."""

    def forward(self, input_values: Tensor, patch_mean: Tensor, patch_spread: Tensor) -> Tensor:
        nothing = 0.0 * (patch_mean.sum() + patch_spread.sum())
        found: Tensor = self.model.get_submodule(self.path)(input_values)[0] + nothing
        return found


def test_a_graph_that_forgets_the_whole_is_refused(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, _ = made("plain", "onnx")
    monkeypatch.setattr(parts, "WindowFeatures", Forgetful)
    with pytest.raises(ProofError, match="the graph 'window' differs"):
        export(checkpoint, tmp_path / "bundle", ExportOptions(engine="numpy", layers=(0,)))
    assert not (tmp_path / "bundle").exists()
