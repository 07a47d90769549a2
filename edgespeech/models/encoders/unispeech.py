"""UniSpeech, https://arxiv.org/abs/2101.07597: names, defaults and pre-training; the encoder is the shared one."""

from dataclasses import dataclass

from torch import Tensor, nn

from edgespeech.base.outputs import PreTrainingOutput, answered
from edgespeech.base.pretrained import draw
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.models.heads.classification import SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.pretraining import SpeechWithQuantizer
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


class UniSpeechForCTC(SpeechForCTC, encoder=UniSpeechModel):
    """The UniSpeech encoder with a CTC head."""


class UniSpeechForSequenceClassification(SpeechForSequenceClassification, encoder=UniSpeechModel):
    """The UniSpeech encoder with a classifier of utterances."""


class UniSpeechForPreTraining(SpeechWithQuantizer, encoder=UniSpeechModel):
    """The UniSpeech encoder with codebooks.

    As in the reference library there is no loss: `ctc_proj` and `dropout` are for the one of the paper, which mixes
    states and quantized features, and are only kept for checkpoints.
    """

    def __init__(self, config: UniSpeechConfig) -> None:
        super().__init__(config)
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        self.project_hid = nn.Linear(config.proj_codevector_dim, config.hidden_size)
        self.ctc_proj = nn.Linear(config.hidden_size, config.num_ctc_classes)
        self.dropout = nn.Dropout(config.final_dropout)
        for part in (self.project_q, self.project_hid, self.ctc_proj):
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
    ) -> PreTrainingOutput:
        """Compute states and quantized features (batch, frames, hidden), and the perplexity over the real frames.

        For the arguments and errors see `SpeechModel.forward`. `sampled_negative_indices` are refused, as there is no
        loss for them.
        """
        self.refuse_negatives(sampled_negative_indices)
        output = self.encoded(input_values, attention_mask, mask_time_indices, output_hidden_states, output_attentions)
        quantized, perplexity = self.quantized(output, None)
        projected = self.project_hid(self.project_q(quantized))
        answer = PreTrainingOutput(
            None, output.last_hidden_state, projected, perplexity, output.hidden_states, output.attentions
        )
        return answered(answer, self.config, return_dict)
