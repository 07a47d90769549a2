"""wav2vec2, https://arxiv.org/abs/2006.11477: names only, the encoder is shared by all families."""

from dataclasses import dataclass

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.heads.classification import SpeechForAudioFrameClassification, SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.pretraining import SpeechForPreTraining
from edgespeech.models.heads.xvector import SpeechForXVector
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


class Wav2Vec2ForCTC(SpeechForCTC, encoder=Wav2Vec2Model):
    """The wav2vec2 encoder with a CTC head."""


class Wav2Vec2ForSequenceClassification(SpeechForSequenceClassification, encoder=Wav2Vec2Model):
    """The wav2vec2 encoder with a classifier of utterances."""


class Wav2Vec2ForAudioFrameClassification(SpeechForAudioFrameClassification, encoder=Wav2Vec2Model):
    """The wav2vec2 encoder with a classifier of frames."""


class Wav2Vec2ForXVector(SpeechForXVector, encoder=Wav2Vec2Model):
    """The wav2vec2 encoder with an x-vector head."""


class Wav2Vec2ForPreTraining(SpeechForPreTraining, encoder=Wav2Vec2Model):
    """The wav2vec2 encoder with codebooks and the contrastive task."""
