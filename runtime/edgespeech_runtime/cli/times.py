"""Times of what an encoder-decoder writes, by a CTC model that aligns its text with the sound: `--times-from`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CommandError
from .kinds import aligner

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .. import Transcript
    from ..tasks import AnyModel
    from .recognition import Method

    Waveforms = Sequence[npt.NDArray[np.float32]]

TIMED = ("timestamps", "as_json", "srt", "vtt")  # options whose results have times


def check_times(options: Mapping[str, Any]) -> None:
    """Raise CommandError where times are asked for that no result would have."""
    if options["times_from"] is not None and not any(options[name] for name in TIMED):
        raise CommandError("--times-from is for results with times: add --timestamps, --json, --srt or --vtt")


def without_times(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a model whose times another one gives."""
    return options if options["times_from"] is None else {**options, "timestamps": None, "srt": False, "vtt": False}


def check_need(model: "AnyModel", bundle: Path) -> None:
    """Raise CommandError for a model that has times of its own."""
    if model.manifest.task == "ctc":
        raise CommandError(
            f"--times-from is not for {bundle}, which is a CTC model: it says itself when each word was said; leave "
            "it out"
        )


def with_times(method: "Method", model: "AnyModel", other: "AnyModel", bundle: Path) -> "Method":
    """Return the `method` of a model with the times of its words by the `other`, which is loaded from `bundle`.

    Raises CommandError for another model that cannot align texts.
    """
    from ..errors import ArgumentError, AudioError

    align, rate = aligner(other, bundle), model.manifest.audio.sampling_rate

    def timed(transcript: "Transcript", samples: Any) -> "Transcript":
        if not transcript.text.strip():
            return transcript
        try:
            aligned = align(samples, transcript.text, sampling_rate=rate)
        except ArgumentError as error:
            raise AudioError(f"no times for what the model writes, {transcript.text!r}: {error}") from None
        return replace(transcript, words=aligned.words, characters=aligned.characters)

    def run(waveforms: "Waveforms", batch_size: int) -> "list[Transcript]":
        transcripts = method(waveforms, batch_size=batch_size)
        return [timed(transcript, samples) for transcript, samples in zip(transcripts, waveforms, strict=True)]

    return run
