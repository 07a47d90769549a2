"""Feature extractors, tokenizers and processors: from audio and text to model input, and from ids to text."""

from edgespeech.processing.added_tokens import AddedToken
from edgespeech.processing.auto import AutoFeatureExtractor, AutoProcessor, AutoTokenizer
from edgespeech.processing.batch import BatchFeature
from edgespeech.processing.ctc_tokenizer import Wav2Vec2CTCTokenizer, Wav2Vec2CTCTokenizerOutput
from edgespeech.processing.feature_extractor import Wav2Vec2FeatureExtractor
from edgespeech.processing.processor import Wav2Vec2Processor

__all__ = [
    "AddedToken",
    "AutoFeatureExtractor",
    "AutoProcessor",
    "AutoTokenizer",
    "BatchFeature",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2CTCTokenizerOutput",
    "Wav2Vec2FeatureExtractor",
    "Wav2Vec2Processor",
]
