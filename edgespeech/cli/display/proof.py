"""What is said of a float export: what its proof measured, and for which lengths it has graphs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.cli.display.output import number, size

if TYPE_CHECKING:
    from edgespeech_runtime.bundle.manifest import Manifest


def proof_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of a manifest's report: what was compared, how it came out, sizes, speed.

    A report is free in its form: what it lacks is left out.
    """
    rows = []
    parity, speed = _part(report, "parity"), _part(report, "speed")
    tokens = _counts(parity, "tokens")  # of what a decoder wrote; a CTC model has none
    if numbers := _numbers(parity, "single", "batch", "tolerance"):
        alone, together, allowed = numbers
        windows = "".join(f", {value:.1e} in windows" for value in _numbers(parity, "window") or ())
        measured = f"{alone:.1e} alone, {together:.1e} in a padded batch{windows}"
        rows.append(("largest difference", f"{measured}; {allowed:.1e} is allowed"))
    if numbers := _numbers(parity, "float32"):  # of bundles since the proof's yardstick is float64
        rows.append(("float32 itself", f"{numbers[0]:.1e}: torch in float32 from torch in float64, the yardstick here"))
    if numbers := _numbers(parity, "rounding"):
        rows.append(("float16", f"weights so rounded change what the checkpoint computes by at most {numbers[0]:.1e}"))
    if numbers := _numbers(parity, "largest_logit"):
        rows.append(("largest logit", f"{numbers[0]:.1f}"))
    if isinstance(same := parity.get("same_tokens"), bool):
        where = ", greedy and with beams" if tokens else " in every frame"
        rows.append(
            ("tokens", f"the same{where}" if same else f"not the same{where}: two were all but equally probable")
        )
    if isinstance(same := parity.get("same_labels"), bool):
        rows.append(("labels", "the same" if same else "not the same"))
    if numbers := _numbers(parity, "least_cosine"):
        rows.append(("cosine", f"at least {numbers[0]:.6f} with the checkpoint's"))
    if frames := _counts(parity, "frames"):
        compared = f"{number(len(frames), 'input')} of {_span(frames)} frames"
        rows.append(("compared on", f"{compared}, {_span(tokens)} tokens" if tokens else compared))
    if numbers := _numbers(report, "bytes"):
        whole = _numbers(report, "checkpoint_bytes_float32")
        against = f"; the checkpoint's weights in float32 are {size(whole[0])}" if whole else ""
        rows.append(("size", size(numbers[0]) + against))
    if numbers := _numbers(speed, "audio_seconds", "seconds"):
        audio, seconds = numbers
        rows.append(("speed", f"{audio:g} s of audio in {seconds:.3f} s, {audio / max(seconds, 1e-9):.0f} x real time"))
        rows.append(("measured on", str(speed.get("machine", "an unknown machine"))))
    return rows


def language_model_rows(manifest: "Manifest") -> list[tuple[str, str]]:
    """The language model that a bundle carries."""
    model = manifest.language_model
    if model is None:
        return []
    return [("language model", f"{model.file}, alpha {model.alpha:g}, beta {model.beta:g}; used by searches")]


def word_edge_rows(manifest: "Manifest") -> list[tuple[str, str]]:
    """What a CTC bundle says of the edges of words."""
    edges, facts = manifest.word_edges, _part(manifest.report, "word_edges")
    source = f"; by {facts['recordings']}" if "recordings" in facts else ""
    if edges is None:
        return [("edges of words", f"not measured: {facts['left_out']}")] if "left_out" in facts else []
    start, end = (f"{1000 * value:+.0f} ms" for value in (edges.start, edges.end))
    return [("edges of words", f"first tokens {start} from where words begin, ends {end} from last tokens{source}")]


def bucket_rows(manifest: "Manifest") -> list[tuple[str, str]]:
    """Labels and values of a bundle's buckets, and of how they were chosen; none where shapes are free."""
    if manifest.static is None:
        return []
    rate = manifest.audio.sampling_rate
    rows = [("buckets", ", ".join(f"{bucket / rate:g}" for bucket in manifest.static.buckets) + " s")]
    chosen = manifest.provenance.get("buckets")
    if isinstance(chosen, Mapping) and isinstance(padding := chosen.get("padding"), int | float):
        longer = f", {chosen['longer']} are longer" if chosen.get("longer") else ""
        among = f"by {chosen.get('recordings')} recordings of {chosen.get('set')}"
        rows.append(("", f"{among}: {100 * padding:.1f} % of the audio is padding{longer}"))
    return rows


def _part(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = report.get(name)
    return part if isinstance(part, Mapping) else {}


def _counts(part: Mapping[str, Any], name: str) -> list[int]:
    """The list under this name; empty unless all in it are whole numbers."""
    counts = part.get(name)
    return counts if isinstance(counts, list) and all(isinstance(count, int) for count in counts) else []


def _span(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    return str(least) if least == most else f"{least} to {most}"


def _numbers(part: Mapping[str, Any], *names: str) -> list[float]:
    """The values under these names; empty unless all are numbers."""
    values = [value for value in map(part.get, names) if isinstance(value, int | float)]
    return values if len(values) == len(names) else []
