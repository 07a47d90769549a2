"""wav2vec2, https://arxiv.org/abs/2006.11477: names only, the encoder is everyone's."""

from dataclasses import dataclass

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.ctc import SpeechForCTC
from edgespeech.models.speech import SpeechModel


@dataclass(kw_only=True)
class Wav2Vec2Config(SpeechEncoderConfig):
    """Configuration of a wav2vec2 model; the defaults are the published base size's."""

    model_type = "wav2vec2"
    absent = frozenset(("feat_proj_layer_norm", "conv_pos_batch_norm"))


class Wav2Vec2Model(SpeechModel):
    """The wav2vec2 encoder without a head."""

    config_class = Wav2Vec2Config
    base_model_prefix = "wav2vec2"


class Wav2Vec2ForCTC(SpeechForCTC):
    """The wav2vec2 encoder with a CTC head."""

    config_class = Wav2Vec2Config
    base_model_prefix = "wav2vec2"
    base_model_class = Wav2Vec2Model
