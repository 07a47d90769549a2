"""Reference speech models in torch, their processors, and the way to bundles that run on devices.

Names are imported when they are first used, so that the command line answers without waiting for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgespeech.generation_config import GenerationConfig
    from edgespeech.models.auto import (
        AutoConfig,
        AutoModel,
        AutoModelForAudioClassification,
        AutoModelForAudioFrameClassification,
        AutoModelForAudioXVector,
        AutoModelForCTC,
        AutoModelForPreTraining,
        AutoModelForSpeechSeq2Seq,
    )
    from edgespeech.models.decoders.bart import BartConfig, BartForCausalLM
    from edgespeech.models.decoders.bert import BertConfig, BertLMHeadModel
    from edgespeech.models.decoders.gpt2 import GPT2Config, GPT2LMHeadModel
    from edgespeech.models.decoders.marian import MarianConfig, MarianForCausalLM
    from edgespeech.models.decoders.mbart import MBartConfig, MBartForCausalLM
    from edgespeech.models.decoders.roberta import (
        RobertaConfig,
        RobertaForCausalLM,
        XLMRobertaConfig,
        XLMRobertaForCausalLM,
    )
    from edgespeech.models.decoders.speech2text2 import Speech2Text2Config, Speech2Text2ForCausalLM
    from edgespeech.models.decoders.trocr import TrOCRConfig, TrOCRForCausalLM
    from edgespeech.models.encoder_decoder.configuration import SpeechEncoderDecoderConfig
    from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
    from edgespeech.models.encoders.data2vec import (
        Data2VecAudioConfig,
        Data2VecAudioForAudioFrameClassification,
        Data2VecAudioForCTC,
        Data2VecAudioForSequenceClassification,
        Data2VecAudioForXVector,
        Data2VecAudioModel,
    )
    from edgespeech.models.encoders.hubert import (
        HubertConfig,
        HubertForCTC,
        HubertForSequenceClassification,
        HubertModel,
    )
    from edgespeech.models.encoders.unispeech import (
        UniSpeechConfig,
        UniSpeechForCTC,
        UniSpeechForPreTraining,
        UniSpeechForSequenceClassification,
        UniSpeechModel,
    )
    from edgespeech.models.encoders.unispeech_sat import (
        UniSpeechSatConfig,
        UniSpeechSatForAudioFrameClassification,
        UniSpeechSatForCTC,
        UniSpeechSatForPreTraining,
        UniSpeechSatForSequenceClassification,
        UniSpeechSatForXVector,
        UniSpeechSatModel,
    )
    from edgespeech.models.encoders.wav2vec2 import (
        Wav2Vec2Config,
        Wav2Vec2ForAudioFrameClassification,
        Wav2Vec2ForCTC,
        Wav2Vec2ForPreTraining,
        Wav2Vec2ForSequenceClassification,
        Wav2Vec2ForXVector,
        Wav2Vec2Model,
    )
    from edgespeech.models.encoders.wavlm import (
        WavLMConfig,
        WavLMForAudioFrameClassification,
        WavLMForCTC,
        WavLMForSequenceClassification,
        WavLMForXVector,
        WavLMModel,
    )
    from edgespeech.processing import (
        AutoFeatureExtractor,
        AutoProcessor,
        AutoTokenizer,
        BartTokenizer,
        BertTokenizer,
        GPT2Tokenizer,
        MBart50Tokenizer,
        MBartTokenizer,
        PreTrainedTokenizerFast,
        RobertaTokenizer,
        Speech2Text2Processor,
        Speech2Text2Tokenizer,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2PhonemeCTCTokenizer,
        Wav2Vec2Processor,
        Wav2Vec2ProcessorWithLM,
        build_ctcdecoder,
    )

__version__ = "0.1.0"

__all__ = [
    "AutoConfig",
    "AutoFeatureExtractor",
    "AutoModel",
    "AutoModelForAudioClassification",
    "AutoModelForAudioFrameClassification",
    "AutoModelForAudioXVector",
    "AutoModelForCTC",
    "AutoModelForPreTraining",
    "AutoModelForSpeechSeq2Seq",
    "AutoProcessor",
    "AutoTokenizer",
    "BartConfig",
    "BartForCausalLM",
    "BartTokenizer",
    "BertConfig",
    "BertLMHeadModel",
    "BertTokenizer",
    "Data2VecAudioConfig",
    "Data2VecAudioForAudioFrameClassification",
    "Data2VecAudioForCTC",
    "Data2VecAudioForSequenceClassification",
    "Data2VecAudioForXVector",
    "Data2VecAudioModel",
    "GPT2Config",
    "GPT2LMHeadModel",
    "GPT2Tokenizer",
    "GenerationConfig",
    "HubertConfig",
    "HubertForCTC",
    "HubertForSequenceClassification",
    "HubertModel",
    "MBart50Tokenizer",
    "MBartConfig",
    "MBartForCausalLM",
    "MBartTokenizer",
    "MarianConfig",
    "MarianForCausalLM",
    "PreTrainedTokenizerFast",
    "RobertaConfig",
    "RobertaForCausalLM",
    "RobertaTokenizer",
    "Speech2Text2Config",
    "Speech2Text2ForCausalLM",
    "Speech2Text2Processor",
    "Speech2Text2Tokenizer",
    "SpeechEncoderDecoderConfig",
    "SpeechEncoderDecoderModel",
    "TrOCRConfig",
    "TrOCRForCausalLM",
    "UniSpeechConfig",
    "UniSpeechForCTC",
    "UniSpeechForPreTraining",
    "UniSpeechForSequenceClassification",
    "UniSpeechModel",
    "UniSpeechSatConfig",
    "UniSpeechSatForAudioFrameClassification",
    "UniSpeechSatForCTC",
    "UniSpeechSatForPreTraining",
    "UniSpeechSatForSequenceClassification",
    "UniSpeechSatForXVector",
    "UniSpeechSatModel",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2Config",
    "Wav2Vec2FeatureExtractor",
    "Wav2Vec2ForAudioFrameClassification",
    "Wav2Vec2ForCTC",
    "Wav2Vec2ForPreTraining",
    "Wav2Vec2ForSequenceClassification",
    "Wav2Vec2ForXVector",
    "Wav2Vec2Model",
    "Wav2Vec2PhonemeCTCTokenizer",
    "Wav2Vec2Processor",
    "Wav2Vec2ProcessorWithLM",
    "WavLMConfig",
    "WavLMForAudioFrameClassification",
    "WavLMForCTC",
    "WavLMForSequenceClassification",
    "WavLMForXVector",
    "WavLMModel",
    "XLMRobertaConfig",
    "XLMRobertaForCausalLM",
    "build_ctcdecoder",
]

_HOMES = {
    "edgespeech.generation_config": ("GenerationConfig",),
    "edgespeech.models.auto": (
        *("AutoModelForAudioClassification", "AutoModelForAudioFrameClassification"),
        *("AutoModelForAudioXVector", "AutoModelForCTC", "AutoModelForPreTraining"),
        *("AutoConfig", "AutoModel", "AutoModelForSpeechSeq2Seq"),
    ),
    "edgespeech.models.decoders.bart": ("BartConfig", "BartForCausalLM"),
    "edgespeech.models.decoders.bert": ("BertConfig", "BertLMHeadModel"),
    "edgespeech.models.decoders.gpt2": ("GPT2Config", "GPT2LMHeadModel"),
    "edgespeech.models.decoders.marian": ("MarianConfig", "MarianForCausalLM"),
    "edgespeech.models.decoders.mbart": ("MBartConfig", "MBartForCausalLM"),
    "edgespeech.models.decoders.roberta": (
        *("RobertaConfig", "RobertaForCausalLM"),
        *("XLMRobertaConfig", "XLMRobertaForCausalLM"),
    ),
    "edgespeech.models.decoders.speech2text2": ("Speech2Text2Config", "Speech2Text2ForCausalLM"),
    "edgespeech.models.decoders.trocr": ("TrOCRConfig", "TrOCRForCausalLM"),
    "edgespeech.models.encoder_decoder.model": ("SpeechEncoderDecoderModel",),
    "edgespeech.models.encoder_decoder.configuration": ("SpeechEncoderDecoderConfig",),
    "edgespeech.models.encoders.data2vec": (
        *("Data2VecAudioConfig", "Data2VecAudioForAudioFrameClassification", "Data2VecAudioForCTC"),
        *("Data2VecAudioForSequenceClassification", "Data2VecAudioForXVector", "Data2VecAudioModel"),
    ),
    "edgespeech.models.encoders.hubert": (
        "HubertConfig",
        "HubertForCTC",
        "HubertForSequenceClassification",
        "HubertModel",
    ),
    "edgespeech.models.encoders.unispeech": (
        *("UniSpeechConfig", "UniSpeechForCTC", "UniSpeechForPreTraining"),
        *("UniSpeechForSequenceClassification", "UniSpeechModel"),
    ),
    "edgespeech.models.encoders.unispeech_sat": (
        *("UniSpeechSatConfig", "UniSpeechSatForAudioFrameClassification", "UniSpeechSatForCTC"),
        *("UniSpeechSatForPreTraining", "UniSpeechSatForSequenceClassification", "UniSpeechSatForXVector"),
        "UniSpeechSatModel",
    ),
    "edgespeech.models.encoders.wav2vec2": (
        *("Wav2Vec2Config", "Wav2Vec2ForAudioFrameClassification", "Wav2Vec2ForCTC"),
        *("Wav2Vec2ForPreTraining", "Wav2Vec2ForSequenceClassification", "Wav2Vec2ForXVector", "Wav2Vec2Model"),
    ),
    "edgespeech.models.encoders.wavlm": (
        *("WavLMConfig", "WavLMForAudioFrameClassification", "WavLMForCTC"),
        *("WavLMForSequenceClassification", "WavLMForXVector", "WavLMModel"),
    ),
    "edgespeech.processing": (
        *("AutoFeatureExtractor", "AutoProcessor", "AutoTokenizer"),
        *("Wav2Vec2CTCTokenizer", "Wav2Vec2FeatureExtractor", "Wav2Vec2Processor"),
        *("BartTokenizer", "BertTokenizer", "GPT2Tokenizer", "MBart50Tokenizer", "MBartTokenizer"),
        *("PreTrainedTokenizerFast", "RobertaTokenizer", "Speech2Text2Processor", "Speech2Text2Tokenizer"),
        *("Wav2Vec2PhonemeCTCTokenizer", "Wav2Vec2ProcessorWithLM", "build_ctcdecoder"),
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
# Prefixes of the reference library's classes of other frameworks, and the files of their weights.
_FRAMEWORKS = {"Flax": ("Flax", "flax_model.msgpack"), "TF": ("TensorFlow", "tf_model.h5")}


def __getattr__(name: str) -> Any:
    for prefix, (framework, file) in _FRAMEWORKS.items():
        own = name.removeprefix(prefix)
        if own != name and own in _HOME_OF:  # no AttributeError, whose message `from ... import` would not show
            raise ImportError(
                f"{name}: models are in torch here; {own}.from_pretrained reads the weights of {framework} as well "
                f"({file}; pip install 'edgespeech[convert]')"
            )
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
