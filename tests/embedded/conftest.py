"""Bundles of trained checkpoints, each exported once per run of the tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import edgespeech_runtime
import pytest
from covering import covering
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import CtcModel, EncoderDecoderModel
from places import embedded
from sharing import once

ENGINES = ("onnx", "openvino")
NAMES = ("ctc-en", "dictation-en")

Bundles = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def bundle(shared: Path) -> Bundles:
    """`bundle("ctc-en", "onnx")`: the bundle of a checkpoint that comes with edgespeech."""

    def make(name: str, engine: str) -> Path:
        checkpoint, options = embedded(name), ExportOptions(engine=engine)  # type: ignore[arg-type]
        return once(shared / f"{name}-{engine}", lambda folder: export(checkpoint, folder, options))

    return make


CASES = covering({("ctc-en", "onnx"), ("dictation-en", "openvino")}, NAMES, ENGINES)


@pytest.fixture(scope="module", params=[pytest.param(case.values, marks=case.marks) for case in CASES], ids="-".join)
def model(request: pytest.FixtureRequest, bundle: Bundles) -> Iterator[CtcModel | EncoderDecoderModel]:
    """Each bundle in each engine, loaded."""
    with edgespeech_runtime.load(bundle(*request.param)) as loaded:
        assert isinstance(loaded, CtcModel | EncoderDecoderModel)
        yield loaded
