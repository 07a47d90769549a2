"""UniSpeech, https://arxiv.org/abs/2101.07597: names and defaults only, the encoder is everyone's."""

from dataclasses import dataclass

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.ctc import SpeechForCTC
from edgespeech.models.speech import SpeechModel


@dataclass(kw_only=True)
class UniSpeechConfig(SpeechEncoderConfig):
    """Configuration of a UniSpeech model; the defaults are the published base size's."""

    model_type = "unispeech"
    absent = frozenset(("feat_proj_layer_norm", "conv_pos_batch_norm", "add_adapter"))

    ctc_loss_reduction: str = "mean"
    num_ctc_classes: int = 80
    replace_prob: float = 0.5


class UniSpeechModel(SpeechModel):
    """The UniSpeech encoder without a head."""

    config_class = UniSpeechConfig
    base_model_prefix = "unispeech"


class UniSpeechForCTC(SpeechForCTC):
    """The UniSpeech encoder with a CTC head."""

    config_class = UniSpeechConfig
    base_model_prefix = "unispeech"
    base_model_class = UniSpeechModel
