"""WavLM, https://arxiv.org/abs/2110.13900: attention with gated biases by distance, the rest is everyone's."""

from dataclasses import dataclass

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.errors import ConfigError
from edgespeech.models.heads.classification import SpeechForAudioFrameClassification, SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.xvector import SpeechForXVector
from edgespeech.models.speech import SpeechModel


@dataclass(kw_only=True)
class WavLMConfig(SpeechEncoderConfig):
    """Configuration of a WavLM model; the defaults are the published base size's."""

    model_type = "wavlm"
    absent = frozenset(("feat_proj_layer_norm", "conv_pos_batch_norm", "adapter_attn_dim"))

    ctc_loss_reduction: str = "mean"
    num_ctc_classes: int = 80
    num_buckets: int = 320
    max_bucket_distance: int = 800

    @property
    def relative_positions(self) -> tuple[int, int]:
        """See `SpeechEncoderConfig.relative_positions`."""
        return self.num_buckets, self.max_bucket_distance

    def validate(self) -> None:
        """Check that there are buckets to both sides, and distances for those that grow; see `Config.validate`."""
        super().validate()
        if self.num_buckets < 4:
            raise ConfigError(f"num_buckets must be at least 4, got {self.num_buckets}")
        if self.max_bucket_distance <= self.num_buckets // 4:
            raise ConfigError(
                f"max_bucket_distance must be above a quarter of num_buckets, {self.num_buckets // 4}, "
                f"got {self.max_bucket_distance}"
            )


class WavLMModel(SpeechModel):
    """The WavLM encoder without a head."""

    config_class = WavLMConfig
    base_model_prefix = "wavlm"


class WavLMForCTC(SpeechForCTC, encoder=WavLMModel):
    """The WavLM encoder with a CTC head."""


class WavLMForSequenceClassification(SpeechForSequenceClassification, encoder=WavLMModel):
    """The WavLM encoder with a classifier of utterances."""


class WavLMForAudioFrameClassification(SpeechForAudioFrameClassification, encoder=WavLMModel):
    """The WavLM encoder with a classifier of frames."""


class WavLMForXVector(SpeechForXVector, encoder=WavLMModel):
    """The WavLM encoder with an x-vector head."""
