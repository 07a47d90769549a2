"""data2vec for audio, https://arxiv.org/abs/2202.03555: layer norm in the conv stack, a stack of positional ones."""

from dataclasses import dataclass

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.heads.classification import SpeechForAudioFrameClassification, SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.xvector import SpeechForXVector
from edgespeech.models.speech import SpeechModel


@dataclass(kw_only=True)
class Data2VecAudioConfig(SpeechEncoderConfig):
    """Configuration of a data2vec model for audio; the defaults are the published base size's.

    `num_conv_pos_embeddings` counts the positional convolutions, each of which sees `conv_pos_kernel_size` frames.
    Published files say how the conv stack and the transformer are normalised; the reference library does not read it.
    """

    model_type = "data2vec-audio"
    unread = frozenset(("feat_extract_norm", "do_stable_layer_norm"))
    absent = frozenset((*unread, "feat_proj_layer_norm", "conv_pos_batch_norm", "adapter_attn_dim"))

    feat_extract_norm: str = "layer"
    num_conv_pos_embeddings: int = 5
    conv_pos_kernel_size: int = 19

    @property
    def positional_kernel(self) -> int:
        """See `SpeechEncoderConfig.positional_kernel`."""
        return self.conv_pos_kernel_size

    @property
    def positional_layers(self) -> int:
        """See `SpeechEncoderConfig.positional_layers`."""
        return self.num_conv_pos_embeddings


class Data2VecAudioModel(SpeechModel):
    """The data2vec encoder without a head."""

    config_class = Data2VecAudioConfig
    base_model_prefix = "data2vec_audio"


class Data2VecAudioForCTC(SpeechForCTC, encoder=Data2VecAudioModel):
    """The data2vec encoder with a CTC head."""


class Data2VecAudioForSequenceClassification(SpeechForSequenceClassification, encoder=Data2VecAudioModel):
    """The data2vec encoder with a classifier of utterances."""


class Data2VecAudioForAudioFrameClassification(SpeechForAudioFrameClassification, encoder=Data2VecAudioModel):
    """The data2vec encoder with a classifier of frames."""


class Data2VecAudioForXVector(SpeechForXVector, encoder=Data2VecAudioModel):
    """The data2vec encoder with an x-vector head."""
