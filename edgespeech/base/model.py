"""What all models can do, whatever they are loaded from: layers computed again, and tokens where there are any."""

from typing import Any, ClassVar

from torch import nn

from edgespeech.base.recomputing import is_checkpointing, set_checkpointing
from edgespeech.errors import ConfigError


class Model(nn.Module):
    """A module with the reference library's names for what models of text have and speech encoders do not."""

    supports_gradient_checkpointing: ClassVar[bool] = True

    @property
    def base_model(self) -> nn.Module:
        """The model below the head; here the model itself."""
        return self

    def get_input_embeddings(self) -> nn.Module:
        """Return the token table; a speech encoder has none.

        Raises:
            ConfigError: there is none.
        """
        raise ConfigError(f"a {type(self).__name__} reads waveforms and has no token table")

    def get_output_embeddings(self) -> nn.Module | None:
        """Return the linear layer that is tied to a token table where there is one; here None."""
        return None

    def tie_weights(self) -> None:
        """Let the head share the token table's weight where the configuration says so; a speech encoder has neither."""

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Give the model another vocabulary.

        Raises:
            ConfigError: it has no token table.
        """
        raise ConfigError(
            f"a {type(self).__name__} reads waveforms and has no token table; for another head load it with "
            "vocab_size= and ignore_mismatched_sizes=True"
        )

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Compute layers again on the way back in training; see `edgespeech.base.recomputing`.

        Raises:
            ConfigError: an option that `torch.utils.checkpoint.checkpoint` does not have.
        """
        set_checkpointing(self, gradient_checkpointing_kwargs or {})

    def gradient_checkpointing_disable(self) -> None:
        """Keep what layers compute, as at first."""
        set_checkpointing(self, None)

    def activation_checkpointing_enable(self, activation_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Do what `gradient_checkpointing_enable` does, under the name that replaces it."""
        set_checkpointing(self, activation_checkpointing_kwargs or {})

    def activation_checkpointing_disable(self) -> None:
        """Do what `gradient_checkpointing_disable` does."""
        set_checkpointing(self, None)

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether layers are computed again on the way back."""
        return is_checkpointing(self)
