"""Speech encoder-decoder checkpoints as the source of an export."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle.contracts import Decoder
from edgespeech_runtime.choices import EngineName
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import GenerationOptions, check_vocabulary
from edgespeech_runtime.generation.options import NAMES
from edgespeech_runtime.text import DETOKENIZER_FILE, Detokenizer

from edgespeech.engines import ENGINES
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech.processing import AutoTokenizer
from edgespeech_export.errors import ExportError
from edgespeech_export.graphs.cache import cache_graph
from edgespeech_export.graphs.encoder_decoder import encoder_decoder_graphs
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.proof.encoder_decoder import WrittenReference, reference
from edgespeech_export.sources.source import Source, audio_facts, empty


@dataclass(frozen=True)
class EncoderDecoderSource(Source):
    """A speech encoder-decoder checkpoint, loaded."""

    model: SpeechEncoderDecoderModel
    decoder: Decoder
    detokenizer: Detokenizer

    @property
    def facts(self) -> dict[str, Any]:
        """See `Source.facts`."""
        return {"decoder": self.decoder}

    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """See `Source.graphs`."""
        graphs = encoder_decoder_graphs(self.model_for(engine), self.decoder)
        return [*graphs, cache_graph(self.decoder)] if "cache" in ENGINES[engine].extra_graphs else graphs

    def write_files(self, folder: Path) -> None:
        """See `Source.write_files`: the table that makes text of ids."""
        (folder / DETOKENIZER_FILE).write_text(self.detokenizer.to_json(), encoding="utf-8")

    def release(self) -> None:
        """See `Source.release`; the decoder is asked in the proof."""
        empty(self.encoder)

    def reference(self) -> WrittenReference:
        """See `Source.reference`: logits after each token that the model writes."""
        return reference(self.model, self.decoder, self.waveforms, self.audio.normalize)


def read(folder: Path) -> EncoderDecoderSource:
    """Load a speech encoder-decoder checkpoint.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
        ExportError: its configuration does not say how generation begins, or contradicts itself.
    """
    model = SpeechEncoderDecoderModel.from_pretrained(folder, require_all_weights=True, mapped=True).requires_grad_(
        False
    )
    audio, frames = audio_facts(folder, model.encoder)
    size = model.decoder.vocab_size
    detokenizer = AutoTokenizer.from_pretrained(folder).detokenizer_facts(size)
    model.generation_config.require_known_strategies()
    values = model.generation_config.to_dict()
    generation = {name: value for name, value in values.items() if name in NAMES and value is not None}
    try:
        options = GenerationOptions.from_defaults(generation)
        start = options.prompt(1)
        check_vocabulary(options, size)
    except ArgumentError as error:
        raise ExportError(f"{folder.name} cannot generate: {error}") from error
    if start.max() >= size:
        raise ExportError(f"{folder.name}: the start token {start.max()} is not below the vocabulary's size {size}")
    geometry = model.decoder.geometry
    decoder = Decoder(
        layers=geometry.layers,
        heads=geometry.heads,
        head_dim=geometry.head_dim,
        vocabulary_size=size,
        longest=model.decoder.max_length,
        text=DETOKENIZER_FILE,
        generation=generation,
    )
    return EncoderDecoderSource("encoder-decoder", folder, model, model.encoder, audio, frames, decoder, detokenizer)
