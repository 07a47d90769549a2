"""What differs between the three tasks: the head, labels for the loss, answers, and their score."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from edgespeech_calib.scoring.accuracy import score_classes
from edgespeech_calib.scoring.normalisation import normalise
from edgespeech_calib.scoring.scoring import score
from edgespeech_calib.speech.utterance import Utterance
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import edgespeech
from edgespeech.errors import MissingFileError

IGNORED = -100  # a label that no loss counts
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
HEADS = {"ForCTC": "ctc", "ForSequenceClassification": "classification", "EncoderDecoderModel": "encoder-decoder"}


def head_of(checkpoint: str) -> str:
    """The task of a checkpoint's head; "" where it has none of these three."""
    name = (edgespeech.AutoConfig.from_pretrained(checkpoint).to_dict().get("architectures") or [""])[0]
    return next((task for ending, task in HEADS.items() if name.endswith(ending)), "")


class Classification:
    """One label for each recording: the manifest's, or where it has none, what is said."""

    column, auto = "label", edgespeech.AutoModelForAudioClassification

    def __init__(self, checkpoint: str, utterances: list[Utterance]) -> None:
        self.feature_extractor = edgespeech.AutoFeatureExtractor.from_pretrained(checkpoint)
        self.saved = [self.feature_extractor]
        fields = self.head(checkpoint, [self.target(utterance) for utterance in utterances])
        self.model, info = self.auto.from_pretrained(checkpoint, output_loading_info=True, **fields)
        self.saved.append(self.model)
        self.fresh = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}

    def head(self, checkpoint: str, targets: list[str]) -> dict[str, Any]:
        """Options of loading: a classifier that knows all the labels keeps its head, any other model gets one."""
        if head_of(checkpoint) == "classification":
            names = edgespeech.AutoConfig.from_pretrained(checkpoint).id2label
            self.ids = {name: index for index, name in names.items()}
            if set(targets) <= set(self.ids):
                return {}
        self.ids = {name: index for index, name in enumerate(sorted(set(targets)))}
        names = {index: name for name, index in self.ids.items()}
        return {"num_labels": len(names), "id2label": names, "label2id": self.ids, "ignore_mismatched_sizes": True}

    @staticmethod
    def target(utterance: Utterance) -> str:
        """What is to be learned of a recording; empty where the manifest does not say it."""
        return utterance.label or utterance.text or ""

    def labels(self, targets: list[str]) -> Tensor:
        """What the loss takes, for a batch."""
        return torch.tensor([self.ids[target] for target in targets])

    def answers(self, inputs: dict[str, Tensor]) -> list[str]:
        """What the model answers for a batch."""
        return [self.model.labels[index] for index in self.model(**inputs).logits.argmax(-1).tolist()]

    def score(self, targets: list[str], answers: list[str]) -> str:
        """How good the answers are."""
        counts = score_classes(targets, answers).counts
        return f"accuracy {counts.hits / counts.total:.1%} ({counts.hits} of {counts.total})"


class CTC(Classification):
    """Text, by a token for each frame."""

    column, auto = "text", edgespeech.AutoModelForCTC

    def head(self, checkpoint: str, targets: list[str]) -> dict[str, Any]:
        """A model without a CTC head gets one, for its tokenizer or else for the characters of the texts."""
        try:
            self.tokenizer = edgespeech.AutoTokenizer.from_pretrained(checkpoint)
        except MissingFileError:
            self.tokenizer = of_characters(targets)
        self.saved.append(self.tokenizer)
        vocabulary = self.tokenizer.get_vocab()
        letters = "".join(token for token in vocabulary if len(token) == 1)
        self.spell = str.upper if letters.isupper() else str.lower if letters.islower() else str
        options = {"ctc_zero_infinity": True, "ctc_loss_reduction": "mean"}
        head = {"vocab_size": max(vocabulary.values()) + 1, "pad_token_id": self.tokenizer.pad_token_id}
        return options if head_of(checkpoint) == "ctc" else options | head

    @staticmethod
    def target(utterance: Utterance) -> str:
        """See `Classification.target`: what is said."""
        return utterance.text or ""

    def tokens(self, text: str) -> list[int]:
        """The ids of a text in the vocabulary's case, without characters that the vocabulary does not have."""
        ids = self.tokenizer(self.spell(text))["input_ids"]
        return [token for token in ids if token != self.tokenizer.unk_token_id]

    def labels(self, targets: list[str]) -> Tensor:
        """See `Classification.labels`: (batch, tokens), padded."""
        return pad_sequence([torch.tensor(self.tokens(text), dtype=torch.long) for text in targets], True, IGNORED)

    def answers(self, inputs: dict[str, Tensor]) -> list[str]:
        """See `Classification.answers`: the most probable tokens."""
        frames = self.model.base_model.frames(inputs["attention_mask"].sum(-1)).tolist()
        ids = self.model(**inputs).logits.argmax(-1)
        return [self.tokenizer.decode(row[:count]) for row, count in zip(ids, frames, strict=True)]

    def score(self, targets: list[str], answers: list[str]) -> str:
        """See `Classification.score`: word errors, in any case and without punctuation."""
        result = score(*([normalise(text, "basic") for text in texts] for texts in (targets, answers)))
        return f"word error rate {result.wer:.1%} ({result.errors} errors in {result.words} words)"


class EncoderDecoder(CTC):
    """Text, by a decoder that writes token after token."""

    auto = edgespeech.AutoModelForSpeechSeq2Seq

    def head(self, checkpoint: str, targets: list[str]) -> dict[str, Any]:
        """The decoder stays as it is; texts begin and end as the configuration says."""
        self.tokenizer = edgespeech.AutoTokenizer.from_pretrained(checkpoint)
        self.saved.append(self.tokenizer)
        config = edgespeech.AutoConfig.from_pretrained(checkpoint).to_dict()
        names = ("decoder_start_token_id", "eos_token_id")
        self.start, self.end = (
            config["decoder"].get(name) if config.get(name) is None else config[name] for name in names
        )
        self.longest = max(len(self.tokens(text)) for text in targets)
        return {}

    def tokens(self, text: str) -> list[int]:
        """The ids of a text and its end; the model puts the start before them."""
        ids = list(self.tokenizer(text_target=text)["input_ids"])
        ids = ids[1:] if ids[:1] == [self.start] != [self.end] else ids
        return ids if self.end is None or self.end in ids[-2:] else [*ids, self.end]

    def answers(self, inputs: dict[str, Tensor]) -> list[str]:
        """See `Classification.answers`: the search of the generation configuration."""
        ids = self.model.generate(**inputs, max_new_tokens=self.longest)
        return list(self.tokenizer.batch_decode(ids, skip_special_tokens=True))


def of_characters(texts: list[str]) -> edgespeech.Wav2Vec2CTCTokenizer:
    """A tokenizer for the characters of texts in upper case, without punctuation."""
    letters = sorted({letter for text in texts for letter in normalise(text, "basic")} - {" "})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.json"
        path.write_text(json.dumps({token: index for index, token in enumerate((*SPECIAL, *letters))}), "utf-8")
        return edgespeech.Wav2Vec2CTCTokenizer(path)
