"""How a model generates where the caller does not say: `generation_config.json`, or what `config.json` says of it.

It holds values; what they mean, and whether they contradict each other, the decoding loop knows.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgespeech.checkpoint import read_json, resolve, write_json
from edgespeech.errors import ConfigError

GENERATION_CONFIG = "generation_config.json"
GenerationConfigT = TypeVar("GenerationConfigT", bound="GenerationConfig")

NAMES = frozenset(
    (
        *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "early_stopping", "do_sample", "num_beams"),
        *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "seed"),
        *("repetition_penalty", "length_penalty", "no_repeat_ngram_size", "bad_words_ids", "renormalize_logits"),
        *("forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty"),
        *("suppress_tokens", "begin_suppress_tokens", "sequence_bias", "num_return_sequences"),
        *("return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states"),
        *("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "use_cache"),
        *("max_time", "stop_strings"),
    )
)
# Strategies that change the tokens and that nothing here implements, with the values that ask for none of them.
FOREIGN: dict[str, tuple[Any, ...]] = {
    "assistant_early_exit": (None,),
    "constraints": (None,),
    "diversity_penalty": (None, 0, 0.0),
    "dola_layers": (None,),
    "encoder_no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1, 1.0),
    "force_words_ids": (None,),
    "guidance_scale": (None, 1, 1.0),
    "num_beam_groups": (None, 1),
    "penalty_alpha": (None, 0, 0.0),
    "prompt_lookup_num_tokens": (None,),
    "token_healing": (None, False),
    "top_h": (None,),
    "watermarking_config": (None,),
}


class GenerationConfig:
    """Values by the names that `generation_config.json` uses; one that is not set is None.

    config = GenerationConfig(num_beams=4)
    config.max_length = 64
    """

    values: dict[str, Any]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "values", {})
        for name, value in values.items():
            setattr(self, name, value)

    @classmethod
    def from_dict(cls: type[GenerationConfigT], values: Mapping[str, Any]) -> GenerationConfigT:
        """Build it from the content of a file; keys that are no options of generation are kept and written back."""
        config = cls()
        config.values.update(values)
        return config

    @classmethod
    def from_pretrained(
        cls: type[GenerationConfigT], pretrained_model_name: str | os.PathLike[str]
    ) -> GenerationConfigT:
        """Read `generation_config.json` of a checkpoint folder or hub id.

        Raises:
            MissingFileError: no such folder, or it holds no `generation_config.json`.
            CheckpointError: the file is damaged.
        """
        return cls.from_dict(read_json(resolve(pretrained_model_name) / GENERATION_CONFIG))

    @classmethod
    def from_model_config(cls: type[GenerationConfigT], values: Mapping[str, Any]) -> GenerationConfigT:
        """Take from the content of a `config.json` what it says of generation, at its top or else in its decoder.

        Checkpoints from before `generation_config.json` hold it there.
        """
        decoder = values.get("decoder") or {}
        settings = {name: _first(values.get(name), decoder.get(name)) for name in sorted(NAMES | FOREIGN.keys())}
        return cls.from_dict({name: value for name, value in settings.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file: what is set."""
        return {name: value for name, value in self.values.items() if value is not None}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `generation_config.json` into a folder, which is made where needed."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / GENERATION_CONFIG, self.to_dict())

    def require_known_strategies(self) -> None:
        """Refuse what would change the tokens and is not implemented.

        Raises:
            ConfigError: names the option.
        """
        for name, neutral in FOREIGN.items():
            if self.values.get(name) not in neutral:
                raise ConfigError(
                    f"the generation config asks for {name}={self.values[name]!r}, which is not implemented; "
                    f"set model.generation_config.{name} = None to go without it"
                )

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in NAMES | FOREIGN.keys() and name not in self.values:
            near = get_close_matches(name, NAMES, 1)
            raise ConfigError(f"generation has no option {name}" + (f"; did you mean {near[0]}?" if near else ""))
        self.values[name] = value

    if not TYPE_CHECKING:  # a type checker shall still know a slip of a method's name

        def __getattr__(self, name: str) -> Any:
            values = self.__dict__.get("values", {})
            if name in values or name in NAMES or name in FOREIGN:
                return values.get(name)
            raise AttributeError(f"{type(self).__name__} has no {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenerationConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"GenerationConfig({', '.join(f'{name}={value!r}' for name, value in sorted(self.to_dict().items()))})"


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
