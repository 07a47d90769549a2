"""HuBERT, https://arxiv.org/abs/2106.07447: names only, the encoder is shared by all families."""

from dataclasses import dataclass

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.heads.classification import SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.speech import SpeechModel


@dataclass(kw_only=True)
class HubertConfig(SpeechEncoderConfig):
    """Configuration of a HuBERT model; the defaults are the published base size's."""

    model_type = "hubert"
    absent = frozenset(("add_adapter",))


class HubertModel(SpeechModel):
    """The HuBERT encoder without a head."""

    config_class = HubertConfig
    base_model_prefix = "hubert"
    shows_features = False


class HubertForCTC(SpeechForCTC, encoder=HubertModel):
    """The HuBERT encoder with a CTC head."""


class HubertForSequenceClassification(SpeechForSequenceClassification, encoder=HubertModel):
    """The HuBERT encoder with a classifier of utterances."""
