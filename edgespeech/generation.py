"""Generating tokens with a torch decoder: the runtime's decoding loop over steps with a cache.

The loop chooses tokens; here stands only what a step is in torch. The bookkeeping of the cache is the runtime's too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from edgespeech_runtime import generation
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import GenerationOptions, Hypothesis, Ids, Logits, OnTokens
from edgespeech_runtime.generation.cache.columns import Ancestry
from torch import Tensor

from edgespeech.base.outputs import GenerateOutput
from edgespeech.decoder import Cache, TextDecoder
from edgespeech.decoder.names import part
from edgespeech.decoder.sequences import mask_value, padding_bias
from edgespeech.encoder.lengths import real
from edgespeech.errors import ConfigError, InputError

Found = list[list[Hypothesis]]  # of each utterance

ROOM = 64  # calls of the loop for which the cache is made longer at a time
NEUTRAL = ("use_cache", "output_scores", "output_logits", "output_attentions", "output_hidden_states")


class CachedSteps:
    """A decoder over an encoder's states, as the decoding loop wants one.

    Keys and values of the states are computed once. Those of the tokens are written behind each other and never moved;
    a mask says which of them a hypothesis descends from.
    """

    def __init__(self, decoder: TextDecoder, states: Tensor, frames: Tensor | None) -> None:
        """`states` (batch, frames, size), real `frames` (batch,) of each or None for all."""
        self.decoder = decoder
        self.cross = decoder.cross(states)
        mask = None if frames is None else real(frames, states.shape[1])
        self.cross_bias = padding_bias(mask, states)
        self.ancestry = Ancestry()
        self.cache: Cache = ()

    def start(self, prompt: Ids) -> Logits:
        """Prompt (batch, length) -> logits after it (batch, vocabulary)."""
        tokens = self._placed(prompt)
        positions = part(self.decoder, self.decoder.names.positions).count(tokens).expand(tokens.shape)
        return self._logits(tokens, positions, self.ancestry.begin(*prompt.shape))[:, -1]

    def extend(self, tokens: Ids, parents: Ids) -> Logits:
        """Tokens and the rows that they extend (batch, beams) -> (batch, beams, vocabulary)."""
        known = self._placed(tokens)
        positions = torch.full_like(known, self.ancestry.depth)
        return self._logits(known, positions, self.ancestry.extend(parents))

    def _placed(self, tokens: Ids) -> Tensor:
        return torch.from_numpy(np.array(tokens)).to(self.decoder.device)

    def _logits(self, tokens: Tensor, positions: Tensor, seen: np.ndarray[Any, Any]) -> Logits:
        dtype = self.decoder.dtype
        before = self.ancestry.used - tokens.shape[1]
        logits, new = self.decoder.step(
            tokens,
            positions,
            torch.from_numpy(~seen).to(tokens.device, dtype)[:, None] * mask_value(dtype),
            tuple((key[:, :, :before], value[:, :, :before]) for key, value in self.cache) if before else (),
            self.cross,
            self.cross_bias,
        )
        self._reserve(new)
        for kept, columns in zip(self.cache, new, strict=True):
            for slots, column in zip(kept, columns, strict=True):
                slots[:, :, before : self.ancestry.used] = column
        return logits.float().cpu().numpy()

    def _reserve(self, new: Cache) -> None:
        """Make room for columns like `new` and for those of the calls to come."""
        have = self.cache[0][0].shape[2] if self.cache else 0
        if not new or self.ancestry.used <= have:
            return
        more = ROOM * new[0][0].shape[2]

        def longer(index: int, part: int) -> Tensor:
            column = new[index][part]
            batch, heads, _, size = column.shape
            slots = column.new_zeros(batch, heads, self.ancestry.used + more, size)
            if have:
                slots[:, :, :have] = self.cache[index][part]
            return slots

        self.cache = tuple((longer(index, 0), longer(index, 1)) for index in range(len(new)))


def settled(defaults: Mapping[str, Any], options: Mapping[str, Any]) -> GenerationOptions:
    """Return the caller's options over the model's defaults, without those that change no token.

    Raises:
        ArgumentError: an unknown option, or options that contradict each other.
    """
    return GenerationOptions.from_defaults(
        defaults, **{name: value for name, value in options.items() if name not in NEUTRAL}
    )


def decode(
    decoder: TextDecoder,
    states: Tensor,
    frames: Tensor | None,
    settings: GenerationOptions,
    prompt: Tensor | None,
    streamer: OnTokens | None,
) -> tuple[Found, Ids]:
    """Continue a prompt over an encoder's states (batch, frames, size): hypotheses, and the prompt as it was used.

    Arguments and errors as for `SpeechEncoderDecoderModel.generate`.
    """
    if decoder.training and decoder.architecture.layerdrop:
        raise ConfigError("layers that are dropped leave nothing in the cache; call model.eval() before generate")
    begun = _prompt(settings, prompt, len(states), decoder.vocab_size)
    generation.check_vocabulary(settings, decoder.vocab_size)
    steps = CachedSteps(decoder, states, frames)
    return generation.generate(steps, begun, settings, limit=decoder.max_length, on_tokens=streamer), begun


def collected(found: Found, prompt: Ids, padding: int, device: torch.device, in_full: bool) -> Tensor | GenerateOutput:
    """Return hypotheses as one padded tensor, or with their scores."""
    sequences = torch.from_numpy(generation.sequences(found, prompt, padding)).to(device)
    if not in_full:
        return sequences
    hypotheses = [hypothesis for several in found for hypothesis in several]
    return GenerateOutput(
        sequences,
        torch.tensor([hypothesis.score for hypothesis in hypotheses], device=device),
        [torch.tensor(hypothesis.logprobs, device=device) for hypothesis in hypotheses],
    )


def _prompt(settings: GenerationOptions, given: Tensor | None, batch: int, vocabulary: int) -> Ids:
    """Return the tokens that all sequences begin with, (batch, length): the start token, and what the caller gave."""
    if given is None:
        prompt = settings.prompt(batch)
    elif given.ndim != 2 or len(given) != batch or given.is_floating_point():
        raise InputError(f"decoder_input_ids must be whole numbers ({batch}, tokens), got {list(given.shape)}")
    else:
        prompt = given.cpu().numpy().astype(np.int64)
        start = settings.prompt(batch)
        if not given.numel() or (prompt[:, 0] != start[:, 0]).all():
            prompt = np.concatenate((start, prompt), 1)
    for token in prompt[(prompt < 0) | (prompt >= vocabulary)][:1]:
        raise ArgumentError(f"the prompt's token {token} is outside the decoder's vocabulary of {vocabulary}")
    return prompt
