"""The configuration that all families of speech encoders share."""

from dataclasses import InitVar, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from edgespeech.activations import NAMES
from edgespeech.base.config import CONFIG, Config, hints_of
from edgespeech.class_names import NumLabels, default_names, numbered
from edgespeech.errors import ConfigError

__all__ = ["CONFIG", "Config", "SpeechEncoderConfig"]

LEAST = {
    "vocab_size": 1,
    "hidden_size": 1,
    "num_hidden_layers": 0,
    "num_attention_heads": 1,
    "intermediate_size": 1,
    "conv_dim": 1,
    "conv_kernel": 1,
    "conv_stride": 1,
    "num_conv_pos_embeddings": 1,
    "num_conv_pos_embedding_groups": 1,
    "conv_pos_kernel_size": 1,
    "adapter_kernel_size": 1,
    "adapter_stride": 1,
    "num_adapter_layers": 0,
    "output_hidden_size": 1,
    "adapter_attn_dim": 1,
    "classifier_proj_size": 1,
    "xvector_output_dim": 1,
}
RATES = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "final_dropout", "layerdrop")


@dataclass(kw_only=True)
class SpeechEncoderConfig(Config):
    """Architecture of the encoder that all families share; the defaults are wav2vec2's base size.

    Sizes are in channels, kernels and strides in frames of their layer's input. A family's class states only where its
    published defaults differ. https://arxiv.org/abs/2006.11477, https://arxiv.org/abs/2106.07447,
    https://arxiv.org/abs/2101.07597
    """

    absent: ClassVar[frozenset[str]] = frozenset()  # other families' options, which must stay at their defaults

    vocab_size: int = 32
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout: float = 0.1
    activation_dropout: float = 0.1
    attention_dropout: float = 0.1
    feat_proj_dropout: float = 0.0
    feat_proj_layer_norm: bool = True
    final_dropout: float = 0.1
    layerdrop: float = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5

    feat_extract_norm: str = "group"
    feat_extract_activation: str = "gelu"
    conv_dim: tuple[int, ...] = (512, 512, 512, 512, 512, 512, 512)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    conv_pos_batch_norm: bool = False
    do_stable_layer_norm: bool = False

    add_adapter: bool = False
    adapter_kernel_size: int = 3
    adapter_stride: int = 2
    num_adapter_layers: int = 3
    output_hidden_size: int | None = None
    adapter_attn_dim: int | None = None

    apply_spec_augment: bool = True
    mask_time_prob: float = 0.05
    mask_time_length: int = 10
    mask_time_min_masks: int = 2
    mask_feature_prob: float = 0.0
    mask_feature_length: int = 10
    mask_feature_min_masks: int = 0

    num_codevectors_per_group: int = 320
    num_codevector_groups: int = 2
    contrastive_logits_temperature: float = 0.1
    feat_quantizer_dropout: float = 0.0
    num_negatives: int = 100
    codevector_dim: int = 256
    proj_codevector_dim: int = 256
    diversity_loss_weight: float = 0.1

    ctc_loss_reduction: str = "sum"
    ctc_zero_infinity: bool = False
    use_weighted_layer_sum: bool = False
    classifier_proj_size: int = 256
    tdnn_dim: tuple[int, ...] = (512, 512, 512, 512, 1500)
    tdnn_kernel: tuple[int, ...] = (5, 3, 3, 1, 1)
    tdnn_dilation: tuple[int, ...] = (1, 2, 3, 1, 1)
    xvector_output_dim: int = 512
    if TYPE_CHECKING:
        num_labels: int = 2
    else:
        num_labels: InitVar[int | None] = NumLabels()  # no field: `id2label` says it
    id2label: dict[int, str] = field(default_factory=dict)
    label2id: dict[str, Any] | None = None

    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2

    def __post_init__(self, num_labels: int | None) -> None:  # type: ignore[override]
        if self.output_hidden_size is None:
            self.output_hidden_size = self.hidden_size
        self._unnamed = not self.id2label
        if self._unnamed:
            self.id2label = default_names()
            self.label2id = {name: index for index, name in self.id2label.items()}
        super().__post_init__()
        if num_labels is not None:
            self.num_labels = num_labels

    def _checked(self, name: str, value: Any) -> Any:
        if name == "id2label":
            names = default_names() if value is None else value
            return numbered(names if isinstance(names, dict) else super()._checked(name, names))
        return super()._checked(name, value)

    def to_dict(self) -> dict[str, Any]:
        """See `Config.to_dict`; numbers of classes are strings, as in JSON, and names that nobody gave are left out."""
        written = super().to_dict()
        names = written.pop("id2label")
        if self._unnamed and names == default_names():
            del written["label2id"]
            return written
        return {**written, "id2label": {str(index): name for index, name in names.items()}}

    @property
    def output_size(self) -> int:
        """Channels of the last hidden state: the adapter's where there is one."""
        return (self.output_hidden_size or self.hidden_size) if self.add_adapter else self.hidden_size

    @property
    def positional_kernel(self) -> int:
        """Frames that a positional convolution sees at once."""
        return self.num_conv_pos_embeddings

    @property
    def positional_layers(self) -> int | None:
        """Positional convolutions, one behind the other, with a norm behind each; None: a single one without it."""
        return None

    @property
    def relative_positions(self) -> tuple[int, int] | None:
        """Buckets of distances for which attention has biases, and the first distance of the last; None: no biases."""
        return None

    @property
    def has_masking_vector(self) -> bool:
        """Whether there is a vector that stands for hidden frames."""
        return self.mask_time_prob > 0 or self.mask_feature_prob > 0

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples of audio per frame of the conv stack (320 for the published models: 20 ms at 16 kHz)."""
        ratio = 1
        for stride in self.conv_stride:
            ratio *= stride
        return ratio

    def validate(self) -> None:
        """Check sizes and names; see `Config.validate`."""
        self._validate_sizes()
        if self.feat_extract_norm not in ("group", "layer"):
            raise ConfigError(f"feat_extract_norm must be 'group' or 'layer', got {self.feat_extract_norm!r}")
        if self.ctc_loss_reduction not in ("none", "mean", "sum"):
            raise ConfigError(f"ctc_loss_reduction must be 'none', 'mean' or 'sum', got {self.ctc_loss_reduction!r}")
        for name in ("hidden_act", "feat_extract_activation"):
            if getattr(self, name) not in NAMES:
                raise ConfigError(f"{name} {getattr(self, name)!r} is unknown; known: {', '.join(sorted(NAMES))}")
        for entry in fields(self):
            if entry.name in self.absent and getattr(self, entry.name) != entry.default:
                raise ConfigError(f"{self.model_type} models have no {entry.name}; leave it at {entry.default}")

    def _validate_sizes(self) -> None:
        sizes = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(sizes) != 1 or 0 in sizes:
            raise ConfigError(
                "conv_dim, conv_kernel and conv_stride must have one entry per layer each, got "
                f"{len(self.conv_dim)}, {len(self.conv_kernel)} and {len(self.conv_stride)}"
            )
        for name, least in LEAST.items():
            value = getattr(self, name) if name in hints_of(type(self)) else None
            if value is not None and min(value if isinstance(value, tuple) else (value,)) < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}")
        for name in RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for divisor in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if self.hidden_size % getattr(self, divisor):
                raise ConfigError(
                    f"hidden_size {self.hidden_size} must be a multiple of {divisor} {getattr(self, divisor)}"
                )
