"""A bundle as a class for one's own pipeline over Ray Data.

    import ray
    from edgespeech_calib.corpus.actor import Transcriber

    rows = ray.data.read_json("corpus.jsonl", lines=True).map_batches(
        Transcriber, fn_constructor_kwargs={"bundle": "my-bundle"}, batch_size=64, num_cpus=1, concurrency=16
    )

Nothing here imports Ray: any framework that makes an object once and calls it with batches can use it.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgespeech_calib.corpus.entries import from_columns
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.worker import Worker

Column = npt.NDArray[Any]


class Transcriber:
    """A loaded model that is called with batches of paths and gives them back with texts.

    A batch has a column `audio_filepath` (or `path`), and may have `offset` and `duration` in seconds. What comes has
    all its columns, and `pred_text`, `words` (JSON), `confidence`, `seconds` of sound and `error`. A recording that
    fails has an error, and no text; the others have None there.
    """

    def __init__(self, bundle: str, threads: int = 1, batch_size: int = 8, **arguments: Any) -> None:
        """`arguments` are those of the model's `transcribe`. Raises as `edgespeech_runtime.load`."""
        self._worker = Worker(Job(bundle, "transcribe", arguments, batch_size, threads=threads))

    def __call__(self, batch: Mapping[str, Column]) -> dict[str, Column]:
        """A batch of columns with those of the answers."""
        rows = [row.values for row in self._worker.run(from_columns(batch)).rows]
        return {
            **batch,
            "pred_text": np.array([row["text"] for row in rows], object),
            "words": np.array([json.dumps(row["words"], ensure_ascii=False) for row in rows], object),
            "confidence": np.array([row["confidence"] for row in rows], float),
            "seconds": np.array([row["duration"] for row in rows], float),
            "error": np.array([row["error"] for row in rows], object),
        }
