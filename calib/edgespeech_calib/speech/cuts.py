"""Cuts of Lhotse, as a manifest in JSON lines holds them, to the columns that other manifests have.

A cut is a part of one channel of a recording, with supervisions that say what is said in it. Those that would have to
be computed first (mixed, padded, with transforms), and those whose sound lies in no file of their own, are refused.
Format: https://lhotse.readthedocs.io/en/latest/cuts.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from edgespeech_calib.errors import DataError

KINDS = ("MonoCut", "MultiCut")
CHANNEL = "channel of the cut"  # a column that no table has, 1 is the first


def is_cut(values: Mapping[str, Any]) -> bool:
    """Whether a line of JSON is a cut, of whatever kind."""
    return "recording" in values or str(values.get("type", "")).endswith("Cut")


def flattened(cut: Mapping[str, Any]) -> dict[str, Any]:
    """Path, offset, duration, text, speaker, id and channel of a cut. Raises DataError for one that is no file's."""
    kind, recording = cut.get("type", KINDS[0]), cut.get("recording")
    if kind not in KINDS:
        raise DataError(f"a {kind} is no part of one sound file; save single cuts, which have a recording each")
    if not isinstance(recording, Mapping):
        raise DataError("the cut has no recording; save cuts with their recordings, not with features alone")
    if recording.get("transforms"):
        raise DataError("the recording has transforms, which would have to be applied first; save what they give")
    source, index = _source(recording, cut.get("channel"))
    supervisions = [one for one in cut.get("supervisions") or () if isinstance(one, Mapping)]
    supervisions.sort(key=lambda one: one.get("start") or 0)
    texts = [str(one["text"]).strip() for one in supervisions if one.get("text") is not None]
    speakers = {str(one["speaker"]) for one in supervisions if one.get("speaker") is not None}
    return {
        "id": cut.get("id"),
        "path": source,
        "offset": cut.get("start", 0),
        "duration": cut.get("duration"),
        "text": " ".join(texts) if texts else None,
        "speaker": speakers.pop() if len(speakers) == 1 else None,
        CHANNEL: index,
    }


def _source(recording: Mapping[str, Any], channel: Any) -> tuple[str, int | None]:
    """The file, and which of its channels (1 is the first; None: the mean of all)."""
    wanted = [channel] if isinstance(channel, int) else channel if isinstance(channel, Sequence) else None
    sources = [one for one in recording.get("sources") or () if isinstance(one, Mapping)]
    if wanted is not None:
        sources = [one for one in sources if set(one.get("channels") or wanted) & set(wanted)]
    if len(sources) != 1:
        raise DataError(f"{len(sources)} sources of sound for channel {channel!r}; a cut must have one")
    source = sources[0]
    if source.get("type") != "file" or not isinstance(source.get("source"), str):
        raise DataError(f"the sound is a source of type {source.get('type')!r}; it must lie in a file")
    there = list(source.get("channels") or ())
    if wanted is None or len(there) < 2 or set(wanted) == set(there):
        return source["source"], None
    if len(wanted) > 1:
        raise DataError(f"channels {wanted} of {there}: take one of them, or all")
    return source["source"], there.index(wanted[0]) + 1
