"""The speech encoder that all families share, in the order in which audio passes through it."""

from edgespeech.encoder.encoder import EncoderOutput, SpeechEncoder

__all__ = ["EncoderOutput", "SpeechEncoder"]
