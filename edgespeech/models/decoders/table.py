"""The text decoders by the `model_type` of their configurations."""

from edgespeech.decoder import TextDecoder
from edgespeech.models.decoders.bart import BartForCausalLM
from edgespeech.models.decoders.bert import BertLMHeadModel
from edgespeech.models.decoders.gpt2 import GPT2LMHeadModel
from edgespeech.models.decoders.marian import MarianForCausalLM
from edgespeech.models.decoders.mbart import MBartForCausalLM
from edgespeech.models.decoders.roberta import RobertaForCausalLM, XLMRobertaForCausalLM
from edgespeech.models.decoders.speech2text2 import Speech2Text2ForCausalLM
from edgespeech.models.decoders.trocr import TrOCRForCausalLM

DECODER_CLASSES: dict[str, type[TextDecoder]] = {
    kind.config_class.model_type: kind
    for kind in (
        *(BertLMHeadModel, RobertaForCausalLM, XLMRobertaForCausalLM, GPT2LMHeadModel),
        *(BartForCausalLM, MBartForCausalLM, MarianForCausalLM, TrOCRForCausalLM, Speech2Text2ForCausalLM),
    )
}
