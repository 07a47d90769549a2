"""What an export starts from: a CTC checkpoint's model, and what its processor says about audio and tokens."""

from dataclasses import dataclass
from pathlib import Path

from edgespeech_runtime.manifest import Audio, Frames, Vocabulary
from torch.nn.utils import parametrize

from edgespeech.checkpoint import resolve
from edgespeech.models.auto import AutoModelForCTC
from edgespeech.models.ctc import SpeechForCTC
from edgespeech.processing import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor


@dataclass(frozen=True)
class Source:
    """A checkpoint, loaded: the model with its weight norm folded, and the facts that the manifest wants."""

    folder: Path
    model: SpeechForCTC
    audio: Audio
    frames: Frames
    vocabulary: Vocabulary

    @property
    def bytes(self) -> int:
        """Size of the weights in float32."""
        return 4 * sum(parameter.numel() for parameter in self.model.parameters())


def read(checkpoint: Path, target_lang: str | None) -> Source:
    """Load a checkpoint; `target_lang` picks the adapter and the vocabulary of one language where there are several.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
    """
    folder = resolve(checkpoint)
    model = AutoModelForCTC.from_pretrained(folder, target_lang=target_lang)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    language = {} if target_lang is None else {"target_lang": target_lang}
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder, **language)
    encoder = model.base_model
    positional = encoder.encoder.pos_conv_embed.conv
    if parametrize.is_parametrized(positional, "weight"):
        parametrize.remove_parametrizations(positional, "weight")
    kernels, strides, paddings = zip(*encoder.convolutions, strict=True)
    frames = Frames(kernels, strides, paddings)
    hop = 1
    for stride in strides:
        hop *= stride
    return Source(
        folder=folder,
        model=model.requires_grad_(False),
        audio=Audio(extractor.sampling_rate, extractor.do_normalize, hop, encoder.shortest),
        frames=frames,
        vocabulary=tokenizer.vocabulary_facts(size=model.config.vocab_size),
    )
