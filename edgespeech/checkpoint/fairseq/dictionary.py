"""The vocabulary of a CTC model of fairseq: `dict.ltr.txt`, a token and its count a line."""

from pathlib import Path

from edgespeech.checkpoint.folder import refuse_pointer
from edgespeech.errors import CheckpointError, MissingFileError

# fairseq's own tokens stand before those of the file. The first is the CTC blank, which the layout calls <pad>.
OWN = ("<pad>", "<s>", "</s>", "<unk>")
DELIMITER = "|"


def read_vocabulary(path: Path, labels: str | None, size: int) -> dict[str, int]:
    """Return the tokens of a checkpoint file with their ids; the dictionary is looked for beside it.

    Args:
        path: the checkpoint's file.
        labels: the name in the middle of the dictionary's, as the checkpoint says it; None looks for any.
        size: how many tokens the model tells apart.

    Raises:
        MissingFileError: there is no dictionary.
        CheckpointError: its tokens are fewer or more than the model's.
    """
    file = _dictionary(path, labels or "ltr")
    refuse_pointer(file)
    tokens = list(OWN)
    for line in file.read_text(encoding="utf-8").splitlines():
        words = line.rstrip().removesuffix(" #fairseq:overwrite").rsplit(" ", 1)
        if words[0] and words[0] not in tokens:
            tokens.append(words[0])
    if len(tokens) != size:
        raise CheckpointError(
            f"{file} has {len(tokens)} tokens with fairseq's own four, the model of {path.name} tells {size} apart; "
            "does it belong to another model?"
        )
    return {token: index for index, token in enumerate(tokens)}


def _dictionary(path: Path, labels: str) -> Path:
    wanted = path.parent / f"dict.{labels}.txt"
    if wanted.is_file():
        return wanted
    others = sorted(path.parent.glob("dict.*.txt"))
    if len(others) == 1:
        return others[0]
    raise MissingFileError(f"{path} has a CTC head and needs its dictionary; put {wanted.name} beside it")
