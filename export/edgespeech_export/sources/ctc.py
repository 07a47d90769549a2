"""CTC checkpoints as the source of an export."""

from dataclasses import dataclass
from pathlib import Path

from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.choices import EngineName

from edgespeech.engines import ENGINES
from edgespeech.models.auto import AutoModelForCTC
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.processing.auto import ctc_tokenizer
from edgespeech.processing.tokenizers.ctc import Wav2Vec2CTCTokenizer
from edgespeech_export.graphs import interchange
from edgespeech_export.graphs.ctc import interchange_graph
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.sources.heads import HeadSource
from edgespeech_export.sources.other_runtimes import write_configs, write_tokenizer
from edgespeech_export.sources.source import audio_facts


@dataclass(frozen=True)
class CtcSource(HeadSource):
    """A CTC checkpoint, loaded; with its vocabulary, and files that other runtimes open."""

    model: SpeechForCTC
    tokenizer: Wav2Vec2CTCTokenizer

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        vocabulary: Vocabulary = self.own_facts["vocabulary"]
        return vocabulary

    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """See `Source.graphs`; one graph more is for other runtimes, where these open the engine's files."""
        graphs = super().graphs(engine)
        if "interchange" in ENGINES[engine].extra_graphs:
            (batch,) = (graph for graph in graphs if graph.name == "batch")
            graphs.append(interchange_graph(batch, self.model, self.audio.normalize, self.vocabulary))
        return graphs

    def write_files(self, folder: Path) -> None:
        """See `Source.write_files`: the tables and configurations that other runtimes read."""
        interchange.write_tables(folder, self.vocabulary)
        write_configs(folder, self, "Wav2Vec2Processor", subsampling_factor=self.audio.hop)
        write_tokenizer(folder, self.tokenizer, self.vocabulary)


def read(folder: Path, target_lang: str | None) -> CtcSource:
    """Load a CTC checkpoint; `target_lang` picks the adapter and the vocabulary of one language where it has several.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
    """
    model = AutoModelForCTC.from_pretrained(folder, target_lang=target_lang, require_all_weights=True, mapped=True)
    model.requires_grad_(False)
    audio, frames = audio_facts(folder, model.base_model)
    language = {} if target_lang is None else {"target_lang": target_lang}
    tokenizer = ctc_tokenizer(folder, **language)
    vocabulary = tokenizer.vocabulary_facts(size=model.config.vocab_size)
    own = {"vocabulary": vocabulary}
    return CtcSource("ctc", folder, model, model.base_model, audio, frames, own, model.config.vocab_size, tokenizer)
