"""The tokens of a text decoder: its table and its head, tied or not, and how both get another number of rows."""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.base.recomputing import Layers
from edgespeech.decoder.configuration import Architecture
from edgespeech.decoder.names import DecoderNames, part, place
from edgespeech.errors import ConfigError

NOISE = 1e-9  # of the old rows' covariance, in new ones


class WithVocabulary(PreTrainedModel, Layers):
    """The part of `TextDecoder` that knows of tokens."""

    names: ClassVar[DecoderNames]

    architecture: Architecture
    final_logits_bias: Tensor | None

    @property
    def base_model(self) -> nn.Module:
        """The decoder below the head."""
        return part(self, self.base_model_prefix)

    @property
    def vocab_size(self) -> int:
        """Rows of the token table, and logits of each position."""
        return self.architecture.vocab_size

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token table."""
        return part(self, self.names.tokens)

    def get_output_embeddings(self) -> nn.Linear:
        """Return the last linear layer, whose weight is the token table's where they are tied."""
        return part(self, self.names.head)

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the last linear layer."""
        place(self, self.names.head, new_embeddings)

    def tie_weights(self) -> None:
        """Let the head share the token table's weight, and its bias where it has a name of its own.

        Without `tie_word_embeddings` in the configuration nothing changes.
        """
        names, head = self.names, self.get_output_embeddings()
        if self.architecture.tied:
            head.weight = self.get_input_embeddings().weight
            if names.head_bias is not None:
                head.bias = part(self, names.head_bias)

    def untie(self) -> None:
        """Give the head weights of its own, which begin as the token table's; the configuration says so too."""
        self.config.tie_word_embeddings = False
        self.architecture = replace(self.architecture, tied=False)
        head = self.get_output_embeddings()
        head.weight = nn.Parameter(head.weight.detach().clone())
        if self.names.head_bias is not None:
            head.bias = nn.Parameter(head.bias.detach().clone())

    @torch.no_grad()
    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
    ) -> nn.Embedding:
        """Give the token table and the head another number of tokens, and return the table.

        Rows are cut off at the end or added there. New ones are drawn around the mean of the old ones, so close to it
        that no new token is likelier than the old ones on average, https://nlp.stanford.edu/~johnhew/vocab-expansion.html;
        without `mean_resizing` they are drawn as fresh weights are. New biases are 0, or the mean of the old ones.

        Args:
            new_num_tokens: rows; None for as many as there are.
            pad_to_multiple_of: rounds that up.
            mean_resizing: see above.

        Raises:
            ConfigError: no token, or a multiple that is no whole number of at least 1.
        """
        count = self.vocab_size if new_num_tokens is None else new_num_tokens
        for name, value in (("new_num_tokens", count), ("pad_to_multiple_of", pad_to_multiple_of or 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, got {value!r}")
        multiple = pad_to_multiple_of or 1
        count = -(-count // multiple) * multiple
        if count != self.vocab_size:
            self._resize(count, None if mean_resizing else self.architecture.deviation)
        return self.get_input_embeddings()

    def _resize(self, count: int, deviation: float | None) -> None:
        padding = self.architecture.padding
        if padding is not None and padding >= count:
            raise ConfigError(f"new_num_tokens must be above pad_token_id {padding}, got {count}")
        names, table, head = self.names, self.get_input_embeddings(), self.get_output_embeddings()
        new = nn.Embedding(count, table.embedding_dim, padding)
        new.weight = nn.Parameter(_rows(table.weight, count, deviation))
        place(self, names.tokens, new)
        head.weight = nn.Parameter(_rows(head.weight, count, deviation))
        head.out_features = count
        if names.head_bias is not None:
            place(self, names.head_bias, nn.Parameter(_biases(part(self, names.head_bias), count, deviation)))
        if head.bias is not None:
            head.bias = nn.Parameter(_biases(head.bias, count, deviation))
        if self.final_logits_bias is not None:
            self.final_logits_bias = nn.functional.pad(self.final_logits_bias, (0, count - self.vocab_size))
        self.config.vocab_size = count
        self.architecture = replace(self.architecture, vocab_size=count)
        self.tie_weights()


def _rows(old: Tensor, count: int, deviation: float | None) -> Tensor:
    """Return (count, size): the old rows (tokens, size), cut off or followed by new ones, by None around their mean."""
    kept, more = old[:count].detach().clone(), count - len(old)
    if more <= 0:
        return kept
    if deviation is not None:
        return torch.cat([kept, torch.empty(more, old.shape[1]).normal_(0.0, deviation).to(old)])
    wide = old.detach().double().cpu()
    mean = wide.mean(0)
    noise = torch.randn(more, len(wide), dtype=wide.dtype) @ (wide - mean) / len(wide) ** 0.5  # of their covariance
    return torch.cat([kept, (mean + NOISE**0.5 * noise).to(old)])


def _biases(old: Tensor, count: int, deviation: float | None) -> Tensor:
    """Return (count,): the old biases (tokens,), cut off or followed by new ones."""
    more = old.new_full((max(count - len(old), 0),), float(old.mean()) if deviation is None else 0.0)
    return torch.cat([old[:count].detach(), more])
