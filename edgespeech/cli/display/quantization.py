"""What is said of a quantized bundle: how, what it cost, what was measured in this run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.cli.display.output import few, number, size

if TYPE_CHECKING:
    from edgespeech_calib.quantization import Quantized


def quantization_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of the quantization in a manifest's report; none where there was none.

    A report is free in its form: what it lacks is left out.
    """
    part = report.get("quantization")
    if not isinstance(part, Mapping):
        return []
    rows = []
    if part.get("scheme") == "weights":
        rows.append(("quantization", f"weights alone, computed in {part.get('arithmetic')}"))
    elif isinstance(part.get("scheme"), str):
        rows.append(("quantization", f"{part['scheme']}, ranges {part.get('ranges')}, for {part.get('target')}"))
    if isinstance(part.get("why_these_types"), str):
        rows.append(("", part["why_these_types"]))
    if isinstance(share := part.get("integer_share"), int | float):
        rows.append(("in INT8", f"{100 * share:.0f} % of the multiply-accumulates, by the engine's own profile"))
    if isinstance(share := part.get("weights_share"), int | float):
        rows.append(("in INT8", f"{100 * share:.0f} % of the weights"))
    decoder = part.get("decoder")
    if isinstance(decoder, Mapping) and isinstance(share := decoder.get("integer_share"), int | float):
        weights = f"weights in {decoder.get('weights')}, {100 * share:.0f} % of its multiply-accumulates"
        rows.append(("decoder", weights))
    layers = part.get("layers")
    names = [_layer(one) for one in layers if _is_float(one)] if isinstance(layers, list) else []
    if isinstance(layers, list):
        rows.append(("layers in float", f"{len(names)} of {len(layers)}" + (f": {few(names)}" if names else "")))
    gate = part.get("gate")
    if isinstance(gate, Mapping) and isinstance(gate.get("result"), str):
        rows.append(("gate", f"{gate.get('measure')}: {gate['result']}"))
        if isinstance(count := gate.get("utterances"), int):
            rows.append(("judged on", f"{number(count, 'utterance')} of {gate.get('speech')}"))
    if isinstance(before := part.get("float_bytes"), int) and isinstance(after := report.get("bytes"), int):
        rows.append(("size against float32", f"{size(after)} of {size(before)}, {after / max(before, 1):.2f} x"))
    return rows


def measured_rows(quantized: "Quantized") -> list[tuple[str, str]]:
    """What was measured in this run and is not in the bundle."""
    speed = quantized.speed
    total = sum(quantized.seconds.values())
    slowest = sorted(quantized.seconds.items(), key=lambda item: -item[1])
    return [
        (
            "speed",
            f"{speed.audio_seconds:.1f} s of speech in {1000 * speed.seconds:.1f} ms, float32 in "
            f"{1000 * speed.float_seconds:.1f} ms: {speed.ratio:.2f} x as fast",
        ),
        ("measured on", speed.machine),
        ("it took", f"{total:.0f} s: " + few([f"{name} {seconds:.0f} s" for name, seconds in slowest if seconds >= 1])),
    ]


def _layer(layer: Mapping[str, Any]) -> str:
    ratio = layer.get("noise_db")
    return str(layer.get("name")) + (f" ({ratio:.1f} dB)" if isinstance(ratio, int | float) else "")


def _is_float(layer: object) -> bool:
    return isinstance(layer, Mapping) and layer.get("precision") == "float32"


def npu_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of what an NPU's report adds: nodes that the CPU has to run, what was compiled by what."""
    rows = _named("not quantized", report["quantization"]["float_nodes"])
    if compiled := report.get("compiled"):
        rows.append(("compiled", f"for {compiled['device']} by {compiled['library']}, {size(compiled['bytes'])}"))
        rows += _named("left to the CPU", compiled["nodes_elsewhere"])
    return rows


def _named(label: str, nodes: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(label, f"{', '.join(names)} of {graph}") for graph, names in nodes.items()] or [(label, "no node")]
