"""The text decoders by the `model_type` of their configurations."""

from edgespeech.decoder import TextDecoder
from edgespeech.models.decoders.bart import BartForCausalLM
from edgespeech.models.decoders.bert import BertLMHeadModel
from edgespeech.models.decoders.gpt2 import GPT2LMHeadModel
from edgespeech.models.decoders.mbart import MBartForCausalLM
from edgespeech.models.decoders.speech2text2 import Speech2Text2ForCausalLM

DECODER_CLASSES: dict[str, type[TextDecoder]] = {
    kind.config_class.model_type: kind
    for kind in (BertLMHeadModel, GPT2LMHeadModel, BartForCausalLM, MBartForCausalLM, Speech2Text2ForCausalLM)
}
