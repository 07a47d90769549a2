"""What the configurations of all text decoders share, and the architecture that each of them describes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from edgespeech.activations import NAMES
from edgespeech.base.config import Alias, Config
from edgespeech.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="TextDecoderConfig")
RATES = ("dropout", "pdrop", "dropout_prob", "layerdrop")  # how the names of probabilities end


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A text decoder by its parameters, whatever the family calls them. Sizes are in channels."""

    vocab_size: int
    size: int
    layers: int
    heads: int
    inner: int  # of the feed-forward layers
    max_positions: int  # rows of the position table
    activation: str
    cross: bool  # whether there is attention over an encoder's states
    deviation: float  # of fresh weights
    eps: float = 1e-5
    pre_norm: bool = False
    dropout: float = 0.0  # of each sublayer's output
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    layerdrop: float = 0.0
    embedding_scale: float = 1.0
    padding: int | None = None  # the token whose embedding is zero and does not learn
    offset: int = 0  # rows of the position table before that of position 0
    skips_padding: bool = False  # padding takes no position, and has the row before that of position 0
    sinusoidal: bool = False  # likewise
    types: int = 0  # rows of the token type table; a decoder's tokens are all of type 0
    transposed: bool = False  # weights (in, out), and fresh ones of residual projections scaled down with depth
    scaled: bool = True  # scores by head_dim**-0.5
    scaled_by_depth: bool = False  # and by 1 / (index of the layer + 1)
    upcast: bool = False  # scores in float32 whatever the weights are
    tied: bool = True

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.size // self.heads


@dataclass(kw_only=True)
class TextDecoderConfig(Config):
    """Fields that all decoders have, with the reference library's names and defaults.

    `use_cache` says whether `forward` returns keys and values; generation always keeps them. Aliases (`hidden_size` of
    a BART) are taken from files and as overrides too.
    """

    sizes: ClassVar[tuple[str, ...]]  # fields that must be at least 1
    shared: ClassVar[tuple[str, str]]  # channels, and the heads that share them evenly
    activations: ClassVar[tuple[str, ...]]  # fields that name an activation
    inert: ClassVar[Mapping[str, Any]] = {  # options that only older files have, and the values that are done here
        "position_embedding_type": "absolute",
        "pruned_heads": {},
    }

    vocab_size: int = 50265
    is_decoder: bool = False
    is_encoder_decoder: bool = False
    add_cross_attention: bool = False
    cross_attention_hidden_size: int | None = None
    tie_word_embeddings: bool = True
    use_cache: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    decoder_start_token_id: int | None = None

    @classmethod
    def from_dict(cls: type[ConfigT], values: Mapping[str, Any], **overrides: Any) -> ConfigT:
        """See `Config.from_dict`."""
        aliases = {name: kind.field for base in cls.__mro__ for name, kind in vars(base).items() if _is_alias(kind)}
        own = {name: value for name, value in values.items() if name not in aliases}
        own |= {aliases[name]: value for name, value in values.items() if aliases.get(name, name) not in own}
        return super().from_dict(own, **{aliases.get(name, name): value for name, value in overrides.items()})

    @property
    def architecture(self) -> Architecture:
        """The decoder that this configuration describes.

        Raises:
            ConfigError: it asks for something that no decoder here does.
        """
        raise NotImplementedError

    @property
    def cross_size(self) -> int:
        """Channels of the encoder's states that cross-attention takes."""
        return self.architecture.size

    def validate(self) -> None:
        """Check sizes, rates and names; see `Config.validate`."""
        for name in ("vocab_size", *self.sizes):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")
        size, heads = self.shared
        if getattr(self, size) % getattr(self, heads):
            raise ConfigError(f"{size} {getattr(self, size)} must be a multiple of {heads} {getattr(self, heads)}")
        for entry in fields(self):
            if entry.name.endswith(RATES):
                value = getattr(self, entry.name)
                if value is not None and not 0 <= value <= 1:
                    raise ConfigError(f"{entry.name} must be between 0 and 1, got {value}")
        for name in self.activations:
            if getattr(self, name) not in NAMES:
                raise ConfigError(f"{name} {getattr(self, name)!r} is unknown; known: {', '.join(sorted(NAMES))}")
        for name, value in self.inert.items():
            if self.extra.get(name, value) != value:
                raise ConfigError(f"{name} {self.extra[name]!r} is not supported; leave it at {value!r}")


def _is_alias(value: Any) -> bool:
    return isinstance(value, Alias)
