"""CTC checkpoints as the source of an export."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from edgespeech_runtime.contracts import LOGITS, VALUES
from edgespeech_runtime.manifest import EngineName, FloatPrecision, Vocabulary
from edgespeech_runtime.waveform import normalize

from edgespeech.models.auto import AutoModelForCTC
from edgespeech.models.ctc import SpeechForCTC
from edgespeech.processing import Wav2Vec2CTCTokenizer
from edgespeech_export import ctc_proof, interchange
from edgespeech_export.channels_last import with_channels_last
from edgespeech_export.ctc_graphs import ctc_graphs, interchange_graph
from edgespeech_export.graphs import GraphSource
from edgespeech_export.proof import golden_waveform
from edgespeech_export.source import Arrays, Source, hearing


@dataclass(frozen=True)
class CtcSource(Source):
    """A CTC checkpoint, loaded."""

    task = "ctc"

    model: SpeechForCTC
    vocabulary: Vocabulary

    @property
    def facts(self) -> dict[str, Any]:
        """See `Source.facts`."""
        return {"vocabulary": self.vocabulary}

    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """See `Source.graphs`; ONNX has one graph more, for other runtimes."""
        if engine == "openvino":
            return ctc_graphs(with_channels_last(self.model, self.encoder))
        if engine == "numpy":
            return ctc_graphs(self.model)
        return [*ctc_graphs(self.model), interchange_graph(self.model, self.audio.normalize, self.vocabulary)]

    def write_files(self, folder: Path) -> None:
        """See `Source.write_files`: the tables that other runtimes read."""
        interchange.write_tables(folder, self.vocabulary, self.model.config.to_dict(), self.audio.hop)

    def golden(self) -> tuple[Arrays, float]:
        """See `Source.golden`."""
        waveform = golden_waveform(self.audio.sampling_rate, self.audio.shortest)
        values = (normalize(waveform) if self.audio.normalize else waveform)[None]
        with torch.inference_mode():
            logits = self.model.logits(torch.from_numpy(values))
        return {VALUES.name: values, LOGITS.name: logits.numpy()}, float(logits.abs().max())

    def prove(self, bundle: Path, precision: FloatPrecision) -> dict[str, object]:
        """See `Source.prove`."""
        return ctc_proof.report(ctc_proof.prove(bundle, self.model, precision))


def read(folder: Path, target_lang: str | None) -> CtcSource:
    """Load a CTC checkpoint; `target_lang` picks the adapter and the vocabulary of one language where it has several.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
    """
    model = AutoModelForCTC.from_pretrained(folder, target_lang=target_lang).requires_grad_(False)
    audio, frames = hearing(folder, model.base_model)
    language = {} if target_lang is None else {"target_lang": target_lang}
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder, **language)
    vocabulary = tokenizer.vocabulary_facts(size=model.config.vocab_size)
    return CtcSource(folder, model, model.base_model, audio, frames, vocabulary)
