"""What all tokenizers share: calls that turn texts into batches of ids, cut and padded."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from edgespeech_runtime.text import clean_up

from edgespeech.errors import ProcessingError
from edgespeech.processing.batch import (
    BatchFeature,
    PaddingSide,
    PaddingStrategy,
    TensorType,
    as_columns,
    check_choice,
    is_torch,
    padding_strategy,
    round_up,
    to_numpy,
)
from edgespeech.processing.tokenizers.token_table import TokenTable

UNLIMITED = 10**20  # a model_max_length above this means that there is none
NO_LIMIT = int(1e30)  # what files say for it, with the rounding of a float
TruncationStrategy = Literal["longest_first", "only_first", "only_second", "do_not_truncate"]


class Tokenizer(TokenTable):
    """Text to ids and back; see the subclasses.

    Args:
        settings: content of `tokenizer_config.json`: special tokens, `padding_side`, `model_max_length` and so on. What
            is unknown is kept and written back.
    """

    model_input_names: Sequence[str] = ("input_ids", "attention_mask")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.padding_side: PaddingSide = check_choice(
            "padding_side", settings.get("padding_side", "right"), PaddingSide
        )
        self.truncation_side = check_choice("truncation_side", settings.get("truncation_side", "right"), PaddingSide)
        self.model_max_length = int(settings.get("model_max_length") or settings.get("max_len") or NO_LIMIT)
        self.clean_up_tokenization_spaces = bool(settings.get("clean_up_tokenization_spaces", False))
        self.model_input_names = list(settings.get("model_input_names", self.model_input_names))

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        text_target: str | Sequence[str] | None = None,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: PaddingSide | None = None,
        return_tensors: TensorType | None = None,
        return_attention_mask: bool | None = None,
        return_token_type_ids: bool | None = None,
        return_special_tokens_mask: bool = False,
        return_length: bool = False,
        add_special_tokens: bool = True,
        verbose: bool = True,
    ) -> BatchFeature:
        """Turn a text into `input_ids` `[tokens]`, or several into `[batch, tokens]`; tensors always have the batch.

        Args:
            text: the text, or a list of them.
            text_target: the same for labels: alone it is encoded as `text` is, beside `text` it becomes `labels`.
            padding: True or "longest", "max_length", False or "do_not_pad".
            truncation: cut to `max_length` tokens: True or "longest_first", "only_first", False or "do_not_truncate".
                None cuts if `max_length` is given and nothing is padded.
            max_length: in tokens; the model's own limit by default.
            pad_to_multiple_of: pad to a multiple of so many tokens.
            padding_side: overrides the setting of the same name.
            return_tensors: "np", "pt", or None for lists.
            return_attention_mask: whether a mask (1 = a true token) comes along.
            return_token_type_ids: whether `token_type_ids`, all 0, come along.
            return_special_tokens_mask: whether a mask (1 = a token that was put in) comes along.
            return_length: whether the number of tokens, `length`, comes along.
            add_special_tokens: whether tokens such as a start are put in, where the tokenizer has any to put in.
            verbose: taken for compatibility.

        Raises:
            ProcessingError: neither text, or something that is no text, or contradictory options.
        """
        if text is not None and text_target is not None:
            options = (padding, truncation, max_length, pad_to_multiple_of, padding_side, return_tensors)
            labels = self(None, text_target, *options, add_special_tokens=add_special_tokens)["input_ids"]
        given = text_target if text is None else text
        limit = self._truncation_limit(truncation, padding, max_length)
        columns: dict[str, Any] = self._encode(_texts(given), limit, add_special_tokens, is_target=text is None)
        rows = columns["input_ids"]
        if not ("token_type_ids" in self.model_input_names if return_token_type_ids is None else return_token_type_ids):
            del columns["token_type_ids"]
        if not return_special_tokens_mask:
            del columns["special_tokens_mask"]
        batch = self.pad(columns, padding, max_length, pad_to_multiple_of, padding_side, return_attention_mask)
        if return_length:
            is_padded = self.is_fast or isinstance(given, str)
            batch["length"] = [len(row) for row in (batch["input_ids"] if is_padded else rows)]
        if isinstance(given, str) and return_tensors is None:
            batch.data = {k: v if self.is_fast and k == "length" else v[0] for k, v in batch.items()}
        batch.convert_to_tensors(return_tensors)
        if text is not None and text_target is not None:
            batch["labels"] = labels
        return batch

    def _encode(
        self, texts: list[str], limit: int | None, add_special_tokens: bool, is_target: bool
    ) -> dict[str, list[list[int]]]:
        """Return `input_ids`, `token_type_ids` and `special_tokens_mask`, cut to `limit`; here no tokens are put in."""
        rows = [self._cut(self._ids(text), limit) for text in texts]
        return {
            "input_ids": rows,
            "token_type_ids": [[0] * len(row) for row in rows],
            "special_tokens_mask": [[0] * len(row) for row in rows],
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} tokens, {self.special_tokens_map})"

    def encode(self, text: str, **options: Any) -> Any:
        """Return the `input_ids` of a call with the same options."""
        return self(text, **options)["input_ids"]

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: PaddingSide | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: TensorType | None = None,
        verbose: bool = True,
    ) -> BatchFeature:
        """Pad ids that are there already: a mapping of columns with `input_ids`, or a list of mappings.

        Returns lists; arrays or tensors if such came in; or what `return_tensors` says.

        Raises:
            ProcessingError: no `input_ids`, columns of different sizes, no `pad_token`, or contradictory options.
        """
        columns = as_columns(encoded_inputs, "input_ids")
        rows = {name: _rows(name, column) for name, column in columns.items()}
        first = columns["input_ids"][0] if rows["input_ids"] else 0
        if return_tensors is None and (is_torch(first) or isinstance(first, (np.ndarray, np.generic))):
            return_tensors = "pt" if is_torch(first) else "np"
        is_single = bool(rows["input_ids"]) and not isinstance(rows["input_ids"][0], list)
        if is_single:
            rows = {name: [column] for name, column in rows.items()}
        sizes = {name: len(column) for name, column in rows.items()}
        if len(set(sizes.values())) > 1:
            raise ProcessingError(f"expected columns of one size to pad, got {sizes}")
        self._pad_columns(
            rows, padding_strategy(padding), max_length, pad_to_multiple_of, padding_side, return_attention_mask
        )
        return BatchFeature({k: v[0] for k, v in rows.items()} if is_single else rows, return_tensors)

    def _pad_columns(
        self,
        columns: dict[str, Any],
        strategy: PaddingStrategy,
        max_length: int | None,
        multiple: int | None,
        side: PaddingSide | None,
        return_attention_mask: bool | None,
    ) -> None:
        """Pad the columns in place; rows that are longer than the target stay as they are."""
        rows = columns["input_ids"]
        if "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask:
            columns.setdefault("attention_mask", [[1] * len(row) for row in rows])
        if strategy == "max_length" and max_length is None and self.model_max_length <= UNLIMITED:
            max_length = self.model_max_length
        if strategy == "do_not_pad" or not rows or (strategy == "max_length" and max_length is None):
            return
        if self.pad_token_id is None:
            raise ProcessingError("padding needs a pad_token, and there is none; set it, for instance to eos_token")
        longest = max(len(row) for row in rows)
        target = round_up(longest if strategy == "longest" or max_length is None else max_length, multiple)
        side = check_choice("padding_side", side or self.padding_side, PaddingSide)
        gaps = [max(0, target - len(row)) for row in rows]
        fills = {"input_ids": self.pad_token_id, "attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1}
        for name in fills.keys() & columns.keys():
            pairs = zip(columns[name], gaps, strict=True)
            columns[name] = [
                row + [fills[name]] * gap if side == "right" else [fills[name]] * gap + row for row, gap in pairs
            ]

    @staticmethod
    def clean_up_tokenization(text: str) -> str:
        """Take out the spaces before punctuation and English contractions."""
        return clean_up(text)

    def _truncation_limit(
        self, truncation: bool | str | None, padding: bool | str, max_length: int | None
    ) -> int | None:
        """Return how many tokens a text may have; None for any number."""
        if truncation is None:
            truncation = max_length is not None and padding is False
        choice = getattr(truncation, "value", truncation)
        if not isinstance(choice, bool):
            check_choice("truncation", choice, TruncationStrategy)
            choice = choice in ("longest_first", "only_first")
        limit = self.model_max_length if max_length is None else max_length
        return limit if choice and limit <= UNLIMITED else None

    def _cut(self, ids: list[int], limit: int | None) -> list[int]:
        if not limit or len(ids) <= limit:
            return ids
        return ids[:limit] if self.truncation_side == "right" else ids[-limit:]


def _texts(given: Any) -> list[str]:
    if given is None:
        raise ProcessingError("expected text or text_target, got neither")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple)) or not texts or not all(isinstance(entry, str) for entry in texts):
        raise ProcessingError(f"expected a text or a list of texts, got {str(given)[:80]!r}")
    return list(texts)


def _rows(name: str, column: Any) -> list[Any]:
    """Turn a column of ids, whatever holds them, into lists."""
    if isinstance(column, (np.ndarray, list, tuple)) or is_torch(column):
        return [to_numpy(row).tolist() if not isinstance(row, (int, list)) else row for row in column]
    raise ProcessingError(f"expected a list, an array or a tensor of ids as {name!r}, got {type(column).__name__}")
