"""UniSpeech-SAT, https://arxiv.org/abs/2110.05752: names, defaults and pre-training, the encoder is everyone's."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgespeech.base.outputs import FeaturePreTrainingOutput, answered
from edgespeech.base.pretrained import draw
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.heads.classification import SpeechForAudioFrameClassification, SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.pretraining import SpeechWithQuantizer
from edgespeech.models.heads.xvector import SpeechForXVector
from edgespeech.models.speech import SpeechModel


@dataclass(kw_only=True)
class UniSpeechSatConfig(SpeechEncoderConfig):
    """Configuration of a UniSpeech-SAT model; the defaults are the published base size's."""

    model_type = "unispeech-sat"
    absent = frozenset(("feat_proj_layer_norm", "conv_pos_batch_norm", "add_adapter"))

    ctc_loss_reduction: str = "mean"
    num_clusters: int = 504

    @property
    def has_masking_vector(self) -> bool:
        """See `SpeechEncoderConfig.has_masking_vector`; here always."""
        return True


class UniSpeechSatModel(SpeechModel):
    """The UniSpeech-SAT encoder without a head."""

    config_class = UniSpeechSatConfig
    base_model_prefix = "unispeech_sat"


class UniSpeechSatForCTC(SpeechForCTC, encoder=UniSpeechSatModel):
    """The UniSpeech-SAT encoder with a CTC head."""


class UniSpeechSatForSequenceClassification(SpeechForSequenceClassification, encoder=UniSpeechSatModel):
    """The UniSpeech-SAT encoder with a classifier of utterances."""


class UniSpeechSatForAudioFrameClassification(SpeechForAudioFrameClassification, encoder=UniSpeechSatModel):
    """The UniSpeech-SAT encoder with a classifier of frames."""


class UniSpeechSatForXVector(SpeechForXVector, encoder=UniSpeechSatModel):
    """The UniSpeech-SAT encoder with an x-vector head."""


class UniSpeechSatForPreTraining(SpeechWithQuantizer, encoder=UniSpeechSatModel):
    """The UniSpeech-SAT encoder with the weights of its pre-training.

    As in the reference library there is no loss: codebooks, projections, clusters and the norm are only kept for
    checkpoints.
    """

    quantizes = "states"

    def __init__(self, config: UniSpeechSatConfig) -> None:
        super().__init__(config)
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        self.project_hid = nn.Linear(config.hidden_size, config.proj_codevector_dim)
        self.speaker_proj = nn.Linear(config.hidden_size, config.codevector_dim)
        self.label_embeddings_concat = nn.Parameter(torch.zeros(config.num_clusters, config.codevector_dim))
        self.layer_norm_for_extract = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        for part in (self.project_q, self.project_hid, self.speaker_proj):
            draw(part, config)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        sampled_negative_indices: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> FeaturePreTrainingOutput:
        """Compute states (batch, frames, hidden) and the features (batch, frames, conv_dim) below them.

        For the arguments and errors see `SpeechModel.forward`. `sampled_negative_indices` are refused, as there is no
        loss for them.
        """
        self.refuse_negatives(sampled_negative_indices)
        output = self.encoded(input_values, attention_mask, mask_time_indices, output_hidden_states, output_attentions)
        features = self.dropout_features(output.extract_features)
        answer = FeaturePreTrainingOutput(
            None, features, output.last_hidden_state, output.hidden_states, output.attentions
        )
        return answered(answer, self.config, return_dict)
