"""Which options of `edgespeech export` contradict each other: one table, read from the top."""

from typing import Any

from edgespeech.choices import NPU
from edgespeech.cli.options import int8, language_model, static
from edgespeech.cli.options.grouping import Options, Rule
from edgespeech.engines import ENGINES

FOR_NPU = ("calib", "calib_root", "samples", "seed", "target")  # of the options of INT8, those of an NPU's too
FOR_INTEGERS = ("scheme", "ranges", "decoder_weights")  # say how integers are computed with
WITHOUT_TARGET = tuple(name for name in int8.NAMES if name != "target")

NEEDS_INT8 = "{flag} is for --precision int8; add that, or leave {flag} out"
NEEDS_INTEGERS = (
    "{flag} does not go with --engine {engine}, which stores weights in INT8 and computes in float32; leave it out"
)


def is_int8(given: Options) -> bool:
    """Whether the bundle is to be quantized."""
    return bool(given["precision"] == "int8")


def is_npu(given: Options) -> bool:
    """Whether it is for an NPU."""
    return bool(given["target"] == NPU)


def is_static(given: Options) -> bool:
    """Whether shapes are to be fixed."""
    return given["static"] or is_npu(given)


def _row(given: Options) -> Any:
    return ENGINES[given["engine"]]


RULES = (
    Rule(WITHOUT_TARGET, lambda given: not is_int8(given), NEEDS_INT8),
    Rule(("target",), lambda given: not is_int8(given) and not is_npu(given), NEEDS_INT8),
    Rule(
        (),
        lambda given: is_int8(given) and given["calib"] is None and _row(given).computes_in_integers,
        "--precision int8 needs speech to calibrate on; name a set of recordings with --calib",
    ),
    Rule(FOR_INTEGERS, lambda given: is_int8(given) and not _row(given).computes_in_integers, NEEDS_INTEGERS),
    Rule(
        ("target",),
        lambda given: is_int8(given) and not _row(given).computes_in_integers and not is_npu(given),
        NEEDS_INTEGERS,
    ),
    *int8.RULES,
    *language_model.RULES,
    Rule(
        ("edges_from",),
        is_static,
        "{flag} does not go with fixed shapes, whose bundles have no correction of edges; leave it out",
    ),
    Rule(
        ("compile",),
        lambda given: not (is_int8(given) and is_npu(given)),
        "{flag} is for --target npu --precision int8; add those, or leave {flag} out",
    ),
    Rule(
        ("soc_model",),
        lambda given: not given["compile"],
        "{flag} is for --compile; add that, or leave {flag} out",
    ),
    Rule(
        static.SHAPES,
        lambda given: not is_static(given),
        "{flag} is for graphs of fixed shapes; add --static, or leave {flag} out",
    ),
    Rule(
        (),
        lambda given: given["buckets"] is not None and given["buckets_from"] is not None,
        "--buckets and --buckets-from contradict each other; leave one of them out",
    ),
    Rule(
        static.FROM_RECORDINGS,
        lambda given: given["buckets_from"] is None,
        "{flag} is for --buckets-from; name a set of recordings there, or leave {flag} out",
    ),
    Rule(
        (),
        lambda given: is_int8(given) and is_static(given) and not is_npu(given),
        "INT8 with fixed shapes is for NPUs; add --target npu, or leave --static out",
    ),
    Rule(
        (),
        lambda given: is_int8(given) and is_npu(given) and not _row(given).quantizes_for_npu,
        "INT8 for an NPU is written for ONNX Runtime; leave --engine out, or --precision int8",
    ),
    Rule(
        tuple(name for name in int8.NAMES if name not in FOR_NPU),
        lambda given: is_int8(given) and is_npu(given),
        "{flag} does not go with --target npu: all of an NPU's graph is INT8; leave it out",
    ),
    Rule(
        ("layers",),
        lambda given: is_int8(given) and is_npu(given),
        "{flag} does not go with --target npu in INT8; leave it out, or --precision int8",
    ),
)
