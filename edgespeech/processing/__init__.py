"""Feature extractors, tokenizers and processors: from audio and text to model input, and from ids to text."""

from edgespeech.processing.auto import AutoFeatureExtractor, AutoProcessor, AutoTokenizer
from edgespeech.processing.batch import BatchFeature
from edgespeech.processing.ctc_decoder import build_ctcdecoder
from edgespeech.processing.feature_extractor import Wav2Vec2FeatureExtractor
from edgespeech.processing.processor import Speech2Text2Processor, Wav2Vec2Processor
from edgespeech.processing.processor_with_lm import Wav2Vec2ProcessorWithLM
from edgespeech.processing.tokenizers.added_tokens import AddedToken
from edgespeech.processing.tokenizers.backend import PreTrainedTokenizerFast
from edgespeech.processing.tokenizers.ctc import Wav2Vec2CTCTokenizer, Wav2Vec2CTCTokenizerOutput
from edgespeech.processing.tokenizers.mbart import MBart50Tokenizer, MBartTokenizer
from edgespeech.processing.tokenizers.phonemes import (
    Wav2Vec2PhonemeCTCTokenizer,
    Wav2Vec2PhonemeCTCTokenizerOutput,
)
from edgespeech.processing.tokenizers.speech2text2 import Speech2Text2Tokenizer
from edgespeech.processing.tokenizers.text import BartTokenizer, BertTokenizer, GPT2Tokenizer, RobertaTokenizer

__all__ = [
    "AddedToken",
    "AutoFeatureExtractor",
    "AutoProcessor",
    "AutoTokenizer",
    "BartTokenizer",
    "BatchFeature",
    "BertTokenizer",
    "GPT2Tokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "PreTrainedTokenizerFast",
    "RobertaTokenizer",
    "Speech2Text2Processor",
    "Speech2Text2Tokenizer",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2CTCTokenizerOutput",
    "Wav2Vec2FeatureExtractor",
    "Wav2Vec2PhonemeCTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizerOutput",
    "Wav2Vec2Processor",
    "Wav2Vec2ProcessorWithLM",
    "build_ctcdecoder",
]
