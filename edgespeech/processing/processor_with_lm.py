"""A processor that decodes logits by beam search with a language model, with transformers' names and results."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from edgespeech_runtime.ctc.hypotheses import Hypothesis

from edgespeech.base.named_output import NamedOutput
from edgespeech.checkpoint import resolve, write_json
from edgespeech.errors import CheckpointError, ProcessingError
from edgespeech.processing.auto import AutoFeatureExtractor, AutoTokenizer
from edgespeech.processing.batch import to_numpy
from edgespeech.processing.ctc_decoder import FOLDER, NAMES, CtcDecoder, SearchOptions
from edgespeech.processing.folder import PROCESSOR_CONFIG
from edgespeech.processing.processor import Wav2Vec2Processor

PADDING = -100.0  # frames of this value are no frames
DECODER_OPTIONS = (*NAMES.values(), "unigram_encoding")


@dataclass(eq=False)
class Wav2Vec2DecoderWithLMOutput(NamedOutput):
    """Texts with scores, and the frames of words where they were asked for.

    For one utterance and `n_best` 1, values; for several utterances, lists of those; with `n_best` above 1, lists over
    the hypotheses in their stead. `lm_score` is what ranks hypotheses: `logit_score`, language model and hotwords.
    Entries can be read as attributes and by name, as in `output["text"]`.
    """

    text: Any
    logit_score: Any = None
    lm_score: Any = None
    word_offsets: Any = None


class Wav2Vec2ProcessorWithLM(Wav2Vec2Processor):
    """A feature extractor, a tokenizer and a beam search over one model's alphabet."""

    def __init__(self, feature_extractor: Any, tokenizer: Any, decoder: CtcDecoder) -> None:
        """Raises ProcessingError where the tokenizer has tokens that the decoder's alphabet lacks."""
        if not isinstance(decoder, CtcDecoder):
            raise ProcessingError(f"expected a CtcDecoder as decoder, got {type(decoder).__name__}")
        missing = self.get_missing_alphabet_tokens(decoder, tokenizer)
        if missing:
            names = ", ".join(map(repr, sorted(missing)))
            raise ProcessingError(f"the decoder's labels lack tokens of the tokenizer: {names}; add them")
        super().__init__(feature_extractor, tokenizer)
        self.decoder = decoder

    @property
    def language_model(self) -> Any:
        """The n-gram model, or None."""
        return self.decoder.model

    @staticmethod
    def get_missing_alphabet_tokens(decoder: CtcDecoder, tokenizer: Any) -> set[str]:
        """Tokens that the tokenizer has and the decoder's alphabet has not."""
        special = {tokenizer.word_delimiter_token: " "}
        for marker, label in (("pad", ""), ("unk", "⁇")):
            special |= {token: label for token in tokenizer.get_vocab() if token.strip("[]<>").lower() == marker}
        spelled = {special.get(token, token) for token in tokenizer.get_vocab()}
        return spelled - set(decoder.alphabet.labels) - ({"⁇"} if "▁⁇▁" in decoder.alphabet.labels else set())

    @classmethod
    def from_pretrained(cls, checkpoint: str | os.PathLike[str], **overrides: Any) -> "Wav2Vec2ProcessorWithLM":
        """Load all three parts from a checkpoint, a folder or a hub id.

        `alpha`, `beta`, `unk_score_offset` and `score_boundary` replace what the language model's folder says;
        `unigram_encoding` is that of `unigrams.txt`. Other `overrides` go to feature extractor and tokenizer.

        Raises:
            MissingFileError: there is no such folder, or a file of a part is missing.
            CheckpointError: a file is not what it should be.
        """
        own = {name: overrides.pop(name) for name in DECODER_OPTIONS if overrides.get(name) is not None}
        folder = resolve(checkpoint, f"{FOLDER}/*") / (overrides.get("subfolder") or "")
        decoder = CtcDecoder.from_folder(folder, own.pop("unigram_encoding", "utf-8"))
        changes = {name: own[stored] for name, stored in NAMES.items() if stored in own}
        if changes and decoder.model is None:
            raise CheckpointError(
                f"{folder} has no folder {FOLDER}, so there is nothing to weigh; leave out {min(own)}"
            )
        decoder.weights = replace(decoder.weights, **changes)
        feature_extractor = AutoFeatureExtractor.from_pretrained(checkpoint, **overrides)
        return cls(feature_extractor, AutoTokenizer.from_pretrained(checkpoint, **overrides), decoder)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write the files of all parts into a folder, made if need be; return the paths."""
        written = super().save_pretrained(folder)
        write_json(Path(folder) / PROCESSOR_CONFIG, {"processor_class": type(self).__name__})
        return [*written, *self.decoder.save(Path(folder))]

    def decode(
        self,
        logits: Any,
        beam_width: int | None = None,
        beam_prune_logp: float | None = None,
        token_min_logp: float | None = None,
        hotwords: Iterable[str] | Mapping[str, float] | None = None,
        hotword_weight: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        unk_score_offset: float | None = None,
        lm_score_boundary: bool | None = None,
        output_word_offsets: bool = False,
        n_best: int = 1,
    ) -> Wav2Vec2DecoderWithLMOutput:
        """Decode the logits of one utterance, `[frames, vocabulary]`, to the `n_best` texts.

        Args:
            logits: an array or a tensor; probabilities are recognised.
            beam_width: beams that are kept; 100 if None.
            beam_prune_logp: beams that much worse than the best are dropped; -10 if None.
            token_min_logp: tokens below are not tried, but for a frame's best; -5 if None.
            hotwords: words and phrases to prefer, or a mapping to their weights. A phrase of several words is matched
                as a whole; pyctcdecode takes each of its words for itself.
            hotword_weight: weight of those without one of their own; 10 if None.
            alpha: weight of the language model in this call; None for the decoder's own. So for the next three.
            beta: added for each word.
            unk_score_offset: added to the log10 probability of words that are not known.
            lm_score_boundary: whether the beginning and the end count as such.
            output_word_offsets: return the frames of words too.
            n_best: how many hypotheses; above 1, the entries of the output are lists.

        Raises ArgumentError for bad logits, and for hotwords with letters that the alphabet lacks.
        """
        options = SearchOptions.of(
            hotwords,
            hotword_weight,
            {"beam_width": beam_width, "beam_prune_logp": beam_prune_logp, "token_min_logp": token_min_logp},
            _weights(alpha, beta, unk_score_offset, lm_score_boundary),
        )
        hypotheses = self.decoder.decode(to_numpy(logits), options)
        return Wav2Vec2DecoderWithLMOutput(**_entries(hypotheses, output_word_offsets, _checked(n_best)))

    def batch_decode(
        self,
        logits: Any,
        pool: Any = None,
        num_processes: int | None = None,
        beam_width: int | None = None,
        beam_prune_logp: float | None = None,
        token_min_logp: float | None = None,
        hotwords: Iterable[str] | Mapping[str, float] | None = None,
        hotword_weight: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        unk_score_offset: float | None = None,
        lm_score_boundary: bool | None = None,
        output_word_offsets: bool = False,
        n_best: int = 1,
    ) -> Wav2Vec2DecoderWithLMOutput:
        """Decode several utterances, `[batch, frames, vocabulary]` or a list; frames of -100 are padding.

        `pool` is anything with a `map`, of processes (forked or spawned) or of threads; without one, and without
        `num_processes`, utterances are decoded one after the other. The other options are those of `decode`; the
        entries of the output are lists over the batch.

        Raises:
            ProcessingError: both `pool` and `num_processes` were given.
        """
        if pool is not None and num_processes is not None:
            raise ProcessingError("pool and num_processes exclude each other; the pool has its processes")
        options = SearchOptions.of(
            hotwords,
            hotword_weight,
            {"beam_width": beam_width, "beam_prune_logp": beam_prune_logp, "token_min_logp": token_min_logp},
            _weights(alpha, beta, unk_score_offset, lm_score_boundary),
        )
        count = _checked(n_best)
        arrays = [to_numpy(each) for each in logits]
        utterances = [array[(array != PADDING).all(axis=-1)] for array in arrays]
        if num_processes is None:
            decoded = self.decoder.decode_all(utterances, options, pool)
        else:
            import multiprocessing

            with multiprocessing.Pool(num_processes) as own:
                decoded = self.decoder.decode_all(utterances, options, own)
        rows = [_entries(hypotheses, output_word_offsets, count) for hypotheses in decoded]
        names = ("text", "logit_score", "lm_score", *(("word_offsets",) if output_word_offsets else ()))
        return Wav2Vec2DecoderWithLMOutput(**{name: [row[name] for row in rows] for name in names})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.feature_extractor!r}, {self.tokenizer!r})"


def _checked(n_best: int) -> int:
    if isinstance(n_best, bool) or not isinstance(n_best, int | np.integer) or n_best < 1:
        raise ProcessingError(f"n_best: expected a number from 1 on, got {n_best!r}")
    return int(n_best)


def _weights(alpha: Any, beta: Any, unk_score_offset: Any, lm_score_boundary: Any) -> dict[str, Any]:
    return {
        "alpha": alpha,
        "beta": beta,
        "unknown_offset": unk_score_offset,
        "score_boundary": lm_score_boundary,
    }


def _entries(hypotheses: Sequence[Hypothesis], with_offsets: bool, n_best: int) -> dict[str, Any]:
    lists: dict[str, list[Any]] = {
        "text": [hypothesis.text for hypothesis in hypotheses[:n_best]],
        "logit_score": [hypothesis.logit_score for hypothesis in hypotheses[:n_best]],
        "lm_score": [hypothesis.score for hypothesis in hypotheses[:n_best]],
    }
    if with_offsets:
        lists["word_offsets"] = [
            [
                {"word": word.text, "start_offset": word.start_frame, "end_offset": word.end_frame}
                for word in hypothesis.words
            ]
            for hypothesis in hypotheses[:n_best]
        ]
    return {name: values[0] if n_best == 1 else values for name, values in lists.items()}
