"""Makes the Speech2Text2 goldens, in an environment of its own: transformers 5 has no Speech2Text2 any more.

python -m venv build/transformers4
build/transformers4/bin/python -m pip install "transformers==4.46.3" "torch==2.13.0" "numpy==2.4.6" "tokenizers==0.20.3"
build/transformers4/bin/python tests/goldens/speech2text2/make.py

Each golden is computed twice, in float32 and in float64; the script stops if the tokens differ or the numbers do by
more than rounding, so that no golden hangs on a tie. Arrays and gradients are stored from float64, rounded to float32.
"""

import copy
import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HOME = Path(__file__).parent
sys.path.append(str(HOME.parents[1]))  # the reader

from option_sets import option_sets  # noqa: E402
from speech2text2_goldens import digest, whole  # noqa: E402
from tiny_models import CASES, Case, write  # noqa: E402
from tiny_tokenizers import make_tokenizers  # noqa: E402
from transformers import SpeechEncoderDecoderModel  # noqa: E402
from transformers.utils import logging  # noqa: E402

Arrays = dict[str, np.ndarray]
TOLERANCE = 2e-5  # float32 against float64, absolute; logits are of the order of 3


@contextmanager
def precision(kind: torch.dtype) -> Iterator[None]:
    """Make this the default precision: the reference builds its masks in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def audio(case: Case) -> dict[str, tuple[Tensor, Tensor]]:
    """Samples (rows, samples) and real samples of each row, of one recording and of a batch."""
    torch.manual_seed(case.seed)
    batch = torch.zeros(len(case.lengths), max(case.lengths), dtype=torch.float32)
    for row, length in enumerate(case.lengths):
        batch[row, :length] = torch.randn(length, dtype=torch.float32) * (1 + row) ** 0.5
    single = torch.randn(1, 502, dtype=torch.float32)
    batch, single = ((samples * 64).round() / 64 for samples in (batch, single))  # they compress better
    return {"single": (single, torch.tensor([502])), "batch": (batch, torch.tensor(case.lengths))}


def mask(case: Case, name: str, lengths: Tensor, samples: int) -> dict[str, Tensor]:
    """The attention mask as an argument; none for a batch without padding."""
    if name == "single" or not case.masked:
        return {}
    return {"attention_mask": (torch.arange(samples) < lengths[:, None]).long()}


def step_logits(model: SpeechEncoderDecoderModel, states: Tensor, ids: Tensor, frames: Tensor) -> Tensor:
    """Logits (batch, length, vocabulary) of token after token, with the cache."""
    real = (torch.arange(states.shape[1]) < frames[:, None]).long()
    past, rows = None, []
    for position in range(ids.shape[1]):
        output = model.decoder(
            input_ids=ids[:, position : position + 1],
            encoder_hidden_states=states,
            encoder_attention_mask=real,
            past_key_values=past,
            use_cache=True,
        )
        past = output.past_key_values
        rows.append(output.logits)
    return torch.cat(rows, dim=1)


def decoder_ids(model: SpeechEncoderDecoderModel, rows: int) -> tuple[Tensor, Tensor]:
    """Ids (rows, 9) without padding after the first, and the same with padding at the end and inside."""
    config = model.config.decoder
    ids = torch.randint(4, config.vocab_size, (rows, 9))
    ids[:, 0] = config.decoder_start_token_id
    padded = ids.clone()
    for row in range(rows):
        padded[row, 7 - 2 * row :] = config.pad_token_id
    padded[0, 3] = config.pad_token_id
    return ids, padded


def decoder_arrays(model: SpeechEncoderDecoderModel, states: Tensor, frames: Tensor, seed: int) -> dict[str, Tensor]:
    """Logits for given ids, whole and step by step."""
    torch.manual_seed(seed)
    ids, padded = decoder_ids(model, len(states))
    real = {"encoder_attention_mask": (torch.arange(states.shape[1]) < frames[:, None]).long()}
    pad = model.config.pad_token_id
    start = [model.config.decoder_start_token_id]
    longest = model.config.decoder.max_target_positions
    long = torch.tensor([start + [4 + (7 * index) % 32 for index in range(longest + 4)]])
    grown = copy.deepcopy(model.decoder)  # it replaces its table when it meets more tokens than fit
    decode = {"ids": ids, "padded": padded, **({"long": long} if len(states) == 1 else {})}
    found = {name + "_ids" if name != "ids" else name: value for name, value in decode.items()}
    for name, value in decode.items():
        logits = grown(input_ids=value, encoder_hidden_states=states, **real, use_cache=False).logits
        found["logits" if name == "ids" else name + "_logits"] = logits
    not_pad = (padded != pad).long()
    not_pad[:, 0] = 1
    found["padded_logits_masked"] = model.decoder(
        input_ids=padded, attention_mask=not_pad, encoder_hidden_states=states, **real
    ).logits
    found["steps"] = step_logits(model, states, ids, frames)
    found["padded_steps"] = step_logits(model, states, padded, frames)
    return found


def expected(model: SpeechEncoderDecoderModel, case: Case) -> dict[str, Tensor]:
    """Inputs and outputs of the model, in the precision of its weights."""
    found: dict[str, Tensor] = {}
    kind = next(model.parameters()).dtype
    for name, (samples, lengths) in audio(case).items():
        masked = mask(case, name, lengths, samples.shape[1])
        encoded = model.encoder(samples.to(kind), **masked).last_hidden_state
        frames = torch.full((len(samples),), encoded.shape[1])
        if masked:
            frames = model.encoder._get_feature_vector_attention_mask(encoded.shape[1], **masked).sum(-1)
        states = model.enc_to_dec_proj(encoded) if hasattr(model, "enc_to_dec_proj") else encoded
        own = {"": samples, "lengths": lengths, "encoder": encoded, "frames": frames, "states": states}
        own |= decoder_arrays(model, states, frames, case.seed + len(samples))
        own["labels"] = torch.cat([own["ids"][:, 1:], torch.full((len(samples), 1), model.config.eos_token_id)], dim=1)
        for row in range(len(samples)):
            own["labels"][row, 9 - 2 * row :] = -100
        output = model(samples.to(kind), **masked, labels=own["labels"])
        own |= {"loss": output.loss, "labels_logits": output.logits}
        found |= {f"{name}.{key}" if key else name: value.detach() for key, value in own.items()}
    return found


def check_rows(model: SpeechEncoderDecoderModel, case: Case, found: dict[str, Tensor]) -> None:
    """Stop unless each row of the batch is encoded as if it were alone."""
    for row, length in enumerate(case.lengths):
        alone = model.encoder(found["batch"][row : row + 1, :length]).last_hidden_state[0]
        batched = found["batch.encoder"][row, : found["batch.frames"][row]]
        if alone.shape != batched.shape or not torch.allclose(alone, batched, atol=TOLERANCE):
            raise RuntimeError(f"{case.name}: row {row} of the batch depends on its padding")


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two results differ by rounding alone."""
    return bool((one - other).abs().max() <= TOLERANCE)


def compare(case: Case, single: dict[str, Tensor], double: dict[str, Tensor]) -> None:
    """Stop unless both precisions agree."""
    for name, value in single.items():
        if not alike(value, double[name]):
            raise RuntimeError(f"{case.name}: {name} differs by {(value - double[name]).abs().max():.1e} in float64")


def loss_gradients(model: SpeechEncoderDecoderModel, case: Case) -> Arrays:
    """Digests of the gradients of the batch's loss, by parameter, from float64."""
    samples, lengths = audio(case)["batch"]
    labels = expected(model, case)["batch.labels"]
    model.zero_grad()
    model(samples.double(), **mask(case, "batch", lengths, samples.shape[1]), labels=labels).loss.backward()
    named = model.named_parameters()
    graded = {name: parameter.grad.numpy() for name, parameter in named if parameter.grad is not None}
    return {name: digest(gradient).astype(np.float32) for name, gradient in graded.items()}


def generate(model: SpeechEncoderDecoderModel, case: Case, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Sequences, scores and log-probabilities for one set of options."""
    samples, lengths = audio(case)[name]
    masked = mask(case, name, lengths, samples.shape[1])
    arguments = {key: torch.tensor(value) if key == "decoder_input_ids" else value for key, value in options.items()}
    output = model.generate(
        samples.to(next(model.parameters()).dtype),
        **masked,
        **arguments,
        return_dict_in_generate=True,
        output_scores=True,
    )
    scores = output.get("sequences_scores")
    steps = model.compute_transition_scores(
        output.sequences, output.scores, output.get("beam_indices"), normalize_logits=scores is None
    )
    return {
        "sequences": output.sequences.tolist(),
        "scores": None if scores is None else [round(value, 6) for value in scores.tolist()],
        "transitions": [[round(value, 5) if np.isfinite(value) else None for value in row] for row in steps.tolist()],
    }


def generations(
    model: SpeechEncoderDecoderModel, double: SpeechEncoderDecoderModel, case: Case
) -> list[dict[str, Any]]:
    """One record for each set of options."""
    for each in (model, double):
        each.config.vocab_size = each.config.decoder.vocab_size  # compute_transition_scores asks for it
    greedy = generate(model, case, "batch", {"num_beams": 1, "use_cache": True, "no_repeat_ngram_size": 0})["sequences"]
    records = []
    for name, source, options in option_sets(case.name, greedy):
        with_cache = {"use_cache": True, **options}
        record = generate(model, case, source, with_cache)
        with precision(torch.float64):
            exact = generate(double, case, source, with_cache)
        if exact["sequences"] != record["sequences"]:
            raise RuntimeError(f"{case.name}, {name}: a tie; draw other weights")
        plain = generate(model, case, source, {**options, "use_cache": False})["sequences"]
        without = None if plain == record["sequences"] else plain
        records.append({"name": name, "input": source, "options": options, **record, "without_cache": without})
    return records


def make(case: Case) -> None:
    """Write one checkpoint and what is expected of it."""
    folder = HOME / case.name
    shutil.rmtree(folder, ignore_errors=True)
    model = write(case, folder / "checkpoint")
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        found = expected(model, case)
        check_rows(model, case, found)
        with precision(torch.float64):
            exact = expected(double, case)
    compare(case, found, exact)
    same = [name for name in exact if name.endswith("steps") and alike(exact[name], exact[whole(name)])]
    stored = {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in exact.items()
        if name not in same  # the reader fills them in
    }
    np.savez_compressed(folder / "arrays.npz", **stored)
    with precision(torch.float64):
        np.savez_compressed(folder / "gradients.npz", **loss_gradients(double, case))
    records = generations(model, double, case)
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    (folder / "generations.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    ends = [
        len([token for token in row if token != model.config.pad_token_id]) for r in records for row in r["sequences"]
    ]
    sys.stdout.write(f"{case.name}: {len(records)} option sets, lengths {min(ends)} to {max(ends)}\n")


def main() -> None:
    """Make everything anew."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    shutil.rmtree(HOME / "tokenizers", ignore_errors=True)
    make_tokenizers(HOME / "tokenizers")
    for case in CASES:
        make(case)


if __name__ == "__main__":
    main()
