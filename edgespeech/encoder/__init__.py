"""The speech encoder that wav2vec2, HuBERT and UniSpeech share, in the order in which audio passes through it."""

from edgespeech.encoder.encoder import EncoderOutput, SpeechEncoder

__all__ = ["EncoderOutput", "SpeechEncoder"]
