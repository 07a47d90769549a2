"""examples/browser in a headless Chromium that reaches this machine alone: text, times, long recordings, captions."""

import difflib
import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
from edgespeech_runtime.long.sound import Sound
from edgespeech_runtime.long.windows import Geometry, Silence, Windows
from places import ROOT

devices = pytest.mark.devices
EXAMPLE = ROOT / "examples" / "browser"
RATE = 16000
HEADLESS_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]

Page = Callable[..., list[Any]]
Find = Callable[[str], Path]


@pytest.fixture
def page(node: Callable[..., dict[str, Any]], folder: Path, chromium: str, bundle_of: Find, tmp_path: Path) -> Page:
    """`page(bundle, ["open", None], ...)`: build the page with a bundle, take steps in it; returns what each gives."""

    def run(name: str, *steps: Any, device: str = "wasm", sound: np.ndarray | None = None, **more: Any) -> list[Any]:
        site, microphone = tmp_path / "site", tmp_path / "microphone.wav"
        soundfile.write(microphone, np.zeros(RATE) if sound is None else sound, RATE, subtype="PCM_16")
        subprocess.run([shutil.which("node") or "node", "build.mjs", bundle_of(name), site], cwd=folder, check=True)
        found = node(
            "page.mjs",
            chromium=chromium,
            site=str(site),
            query=f"?device={device}",
            microphone=f"{microphone}%noloop",
            steps=[["open", None], *steps],
            **more,
        )
        print(f"{found['version']}, {name}: {found['answers'][0]}")
        assert found["elsewhere"] == []  # no request to anywhere else
        assert found["log"] == []
        answers: list[Any] = found["answers"]
        return answers

    return run


def files(waveforms: list[np.ndarray], folder: Path) -> list[str]:
    """The same as files of float32."""
    paths = [folder / f"sound-{index}.f32" for index in range(len(waveforms))]
    for path, waveform in zip(paths, waveforms, strict=True):
        waveform.tofile(path)
    return [str(path) for path in paths]


def transcripts(bundle: Path, waveforms: list[np.ndarray]) -> list[Any]:
    """What the runtime computes; of long recordings in windows that do not look for silence."""
    with edgespeech_runtime.load(bundle) as model:
        return [transcript(model, waveform) for waveform in waveforms]


def transcript(model: Any, waveform: np.ndarray) -> Any:
    if len(waveform) <= model._long.whole:
        return model.transcribe(waveform)
    gatherer = model.runner.gatherer()
    gatherer.add(waveform)
    sizes, silence = Geometry.of_model(model.manifest), Silence.of_vocabulary(model.manifest.vocabulary)
    statistics = gatherer.statistics()
    run = partial(model.runner.run_windows, statistics=statistics)
    windows = Windows(Sound([waveform]), lambda samples: run([samples])[0], sizes, silence)
    return model.decode(np.concatenate(list(windows)))


def texts_of(bundle: Path, waveforms: list[np.ndarray]) -> list[str]:
    """Their texts alone."""
    return [transcript.text for transcript in transcripts(bundle, waveforms)]


def require_same(found: list[dict[str, Any]], expected: list[Any], frame: float) -> None:
    """Text and words to be those of the runtime, and no time further off than a frame."""
    for theirs, ours in zip(found, expected, strict=True):
        assert theirs["text"] == ours.text
        assert [word["text"] for word in theirs["words"]] == [word.text for word in ours.words]
        for side in ("start", "end"):
            times = [word[side] for word in theirs["words"]], [getattr(word, side) for word in ours.words]
            np.testing.assert_allclose(*times, atol=frame)


def test_the_module_is_small_and_versions_are_the_tested_ones() -> None:
    assert (EXAMPLE / "edgespeech.js").stat().st_size <= 15_000
    ours, tested = (
        json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
        for folder in (EXAMPLE, Path(__file__).parent)
    )
    assert ours.items() <= tested.items()


@devices
def test_recordings_get_the_runtimes_words_and_times(
    page: Page, bundle_of: Find, speech: list[np.ndarray], tmp_path: Path
) -> None:
    some = sorted(speech, key=len)[:12]
    _, found = page("ctc-en", ["transcribe", files(some, tmp_path)])
    require_same(found, transcripts(bundle_of("ctc-en"), some), 0.02)


@devices
def test_int8_differs_in_few_letters(page: Page, bundle_of: Find, speech: list[np.ndarray], tmp_path: Path) -> None:
    """What stays in float differs in its last bits in WebAssembly, which moves some activations by a step."""
    some = sorted(speech, key=len)[:12]
    _, found = page("ctc-en-int8", ["transcribe", files(some, tmp_path)])
    theirs = " ".join(each["text"] for each in found)
    ours = " ".join(texts_of(bundle_of("ctc-en-int8"), some))
    assert len(ours) > 200
    assert difflib.SequenceMatcher(None, theirs, ours, autojunk=False).ratio() > 0.97


@devices
def test_a_long_recording_is_the_runtimes_in_windows(
    page: Page, bundle_of: Find, speech: list[np.ndarray], tmp_path: Path
) -> None:
    long = np.concatenate(speech)[: 95 * RATE]
    _, found = page("ctc-en", ["transcribe", files([long], tmp_path)])
    require_same(found, transcripts(bundle_of("ctc-en"), [long]), 0.02)


@devices
def test_windows_share_the_statistics_of_a_group_norm(page: Page, bundle_of: Find, tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    loudness = np.repeat(generator.uniform(0.01, 0.3, 48), RATE)
    noise = (loudness * generator.standard_normal(48 * RATE)).astype(np.float32)
    _, (found,) = page("wav2vec2-group", ["transcribe", files([noise], tmp_path)])
    (expected,) = transcripts(bundle_of("wav2vec2-group"), [noise])
    assert len(expected.text) > 200
    # Weights are random: here and there two tokens are as good as one another.
    assert difflib.SequenceMatcher(None, found["text"], expected.text, autojunk=False).ratio() > 0.98


@devices
def test_webgpu_gives_the_same_text(page: Page, bundle_of: Find, speech: list[np.ndarray], tmp_path: Path) -> None:
    some = sorted(speech, key=len)[:1]
    (state, found) = page("ctc-en", ["transcribe", files(some, tmp_path)], device="webgpu", flags=HEADLESS_GPU)
    assert state == "Ready, by webgpu."
    require_same(found, transcripts(bundle_of("ctc-en"), some), 0.02)


@devices
def test_a_file_is_chosen_and_the_page_works_with_the_network_cut(
    page: Page, bundle_of: Find, speech: list[np.ndarray], tmp_path: Path
) -> None:
    waveform = min(speech, key=len)
    file = tmp_path / "recording.wav"
    soundfile.write(file, waveform, RATE, subtype="PCM_16")
    (expected,) = transcripts(bundle_of("ctc-en"), [soundfile.read(file, dtype="float32")[0]])
    words = [[word.text for word in expected.words]]
    _, online, _, offline = page("ctc-en", ["choose", str(file)], ["cut", None], ["choose", str(file)])
    assert online["words"] == offline["words"] == words


@devices
def test_captions_of_a_microphone(page: Page, bundle_of: Find, speech: list[np.ndarray]) -> None:
    waveform = min(speech, key=lambda each: abs(len(each) - 5 * RATE))
    silence = np.zeros(RATE, np.float32)
    sound = np.concatenate([silence, waveform, silence, silence])
    seconds = len(sound) // RATE + 3
    _, found = page("ctc-en", ["captions", seconds], sound=sound)
    (expected,) = transcripts(bundle_of("ctc-en"), [sound])
    text = " ".join(word for line in found["words"] for word in line)
    # Another rate on the way, and another beginning: some letters differ.
    assert difflib.SequenceMatcher(None, text, expected.text, autojunk=False).ratio() > 0.8
    growing = [partial for partial in found["partial"] if partial]
    assert len(set(growing)) > 1, "text comes while somebody speaks"
