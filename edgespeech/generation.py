"""Generating tokens with a torch decoder: the runtime's decoding loop over steps with a cache.

The loop chooses tokens; here stands only what a step is in torch. The bookkeeping of the cache is the runtime's too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from edgespeech_runtime import generation
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import GenerationOptions, Hypothesis, Ids, Logits
from edgespeech_runtime.generation.cache.columns import Ancestry
from torch import Tensor

from edgespeech.decoder import Cache, PastKeyValues, TextDecoder
from edgespeech.decoder.names import part
from edgespeech.decoder.sequences import mask_value, padding_bias
from edgespeech.encoder.lengths import real
from edgespeech.errors import ConfigError, InputError
from edgespeech.generation_config import FOREIGN
from edgespeech.models.encoder_decoder.callbacks import Callbacks, Streamed
from edgespeech.models.encoder_decoder.record import Record

Found = list[list[Hypothesis]]  # of each utterance

ROOM = 64  # calls of the loop for which the cache is made longer at a time
# Options of the reference library's `generate` alone, and the values that ask for nothing.
ELSEWHERE: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("synced_gpus", "low_memory", "is_assistant", "disable_compile"), (None, False)),
    **dict.fromkeys(("assistant_model", "assistant_tokenizer", "custom_generate", "use_model_defaults"), (None,)),
    **dict.fromkeys(("negative_prompt_ids", "negative_prompt_attention_mask", "trust_remote_code"), (None,)),
    **dict.fromkeys(("cache_implementation", "cache_config", "max_cache_len", "compile_config"), (None,)),
    **dict.fromkeys(("use_mtp", "speculation_type", "num_assistant_tokens", "prefill_chunk_size"), (None,)),
}


class CachedSteps:
    """A decoder over an encoder's states, as the decoding loop wants one.

    Keys and values of the states are computed once. Those of the tokens are written behind each other and never moved;
    a mask says which of them a hypothesis descends from.
    """

    def __init__(
        self, decoder: TextDecoder, states: Tensor, frames: Tensor | None, record: Record | None = None
    ) -> None:
        """`states` (batch, frames, size), real `frames` (batch,) of each or None for all; `record` notes each step."""
        self.record = record or Record()
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
        logits = self._logits(tokens, positions, self.ancestry.begin(*prompt.shape))[:, -1]
        self.record.computed(logits)
        return logits

    def extend(self, tokens: Ids, parents: Ids) -> Logits:
        """Tokens and the rows that they extend (batch, beams) -> (batch, beams, vocabulary)."""
        columns = self._placed(tokens)
        positions = torch.full_like(columns, self.ancestry.depth)
        logits = self._logits(columns, positions, self.ancestry.extend(parents))
        self.record.computed(logits)
        return logits

    @property
    def past(self) -> PastKeyValues:
        """What is kept, of the tokens that the decoder has read."""
        used = self.ancestry.used
        own = tuple((key[:, :, :used], value[:, :, :used]) for key, value in self.cache)
        return PastKeyValues(own, self.cross)

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
            self.record.trace(),
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
        ArgumentError: an unknown option, one that is not implemented, or options that contradict each other.
    """
    for name, neutral in (FOREIGN | ELSEWHERE).items():
        value = options.get(name)
        if value not in neutral:
            said = repr(value) if isinstance(value, (bool, int, float, str)) else f"a {type(value).__name__}"
            raise ArgumentError(f"{name}={said} is not implemented; leave it out")
    return GenerationOptions.from_defaults(
        defaults,
        **{name: value for name, value in options.items() if name not in FOREIGN and name not in ELSEWHERE},
    )


def decode(
    decoder: TextDecoder,
    states: Tensor,
    frames: Tensor | None,
    settings: GenerationOptions,
    prompt: Tensor | None,
    callbacks: Callbacks,
    record: Record,
    streamer: Any = None,
) -> tuple[Found, Ids, PastKeyValues | None]:
    """Continue a prompt over an encoder's states (batch, frames, size).

    Returns hypotheses, the prompt as it was used, and with one row an utterance what the decoder keeps. Arguments and
    errors as for `SpeechEncoderDecoderModel.generate`. Sampling without a seed begins with torch's generator.
    """
    if decoder.training and decoder.architecture.layerdrop:
        raise ConfigError("layers that are dropped leave nothing in the cache; call model.eval() before generate")
    begun = _prompt(settings, prompt, len(states), decoder.vocab_size)
    generation.check_vocabulary(settings, decoder.vocab_size)
    steps = CachedSteps(decoder, states, frames, record)
    is_drawn = settings.do_sample and settings.seed is None
    entropy = int(torch.randint(2**62, ())) if is_drawn else None
    hooks = callbacks.hooks(states.device, record.look if record.output_scores else None, entropy)
    streamed = Streamed(streamer, begun)
    try:
        hypotheses = generation.generate(
            steps, begun, settings, limit=decoder.max_length, on_tokens=streamed.on_tokens, hooks=hooks
        )
    finally:
        streamed.end()
    return hypotheses, begun, steps.past if record.rows == 1 else None


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
