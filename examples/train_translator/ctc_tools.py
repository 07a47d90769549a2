"""What is shared with `../train_ctc`, whose modules import each other by their bare names."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "train_ctc"))

from augment import Audio, Augmenter, normalise
from data import RATE, Clip, Corpus
from model import write_json
from prepare import Item, Split, held_out_fsdd, real_items, synthetic_items, write
from samples import espeak, flite
from synthesis import Utterance, draw_utterance, synthesize
from texts import DIGITS
from train import Average, Clock, ctc_loss, log

__all__ = [
    "DIGITS",
    "RATE",
    "Audio",
    "Augmenter",
    "Average",
    "Clip",
    "Clock",
    "Corpus",
    "Item",
    "Split",
    "Utterance",
    "ctc_loss",
    "draw_utterance",
    "espeak",
    "flite",
    "held_out_fsdd",
    "log",
    "normalise",
    "real_items",
    "synthesize",
    "synthetic_items",
    "write",
    "write_json",
]
