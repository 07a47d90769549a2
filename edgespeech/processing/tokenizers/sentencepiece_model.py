"""The file of a sentencepiece model: its pieces with scores and kinds, and the table of its normaliser.

Only what tokenizers need is read. Nothing here splits text: the `tokenizers` library does, on these facts.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from edgespeech.checkpoint.folder import refuse_pointer
from edgespeech.errors import CheckpointError, MissingFileError

CONTROL, USER_DEFINED = 3, 4  # kinds of pieces that are matched as a whole

# Fields of sentencepiece's ModelProto by message: name, number, type and label; others are skipped when reading.
FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Piece": (("piece", 1, "string"), ("score", 2, "float"), ("type", 3, "int32")),
    "Normalizer": (("precompiled_charsmap", 2, "bytes"),),
    "Model": (("pieces", 1, "Piece"), ("normalizer_spec", 3, "Normalizer")),
}


class Piece(NamedTuple):
    """A piece of text with its log probability; `kind` is sentencepiece's number for normal, control and so on."""

    text: str
    score: float
    kind: int


class SentencePieceModel(NamedTuple):
    """Pieces (index = id in sentencepiece) and the normaliser's table, None if it has none."""

    pieces: tuple[Piece, ...]
    normalizer: bytes | None


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a `.model` file.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: it is no sentencepiece model, or a pointer of Git LFS.
    """
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise MissingFileError(f"{path.parent} holds no {path.name}")
    refuse_pointer(path)
    try:
        model = _message_class().FromString(path.read_bytes())
    except DecodeError:
        raise CheckpointError(f"{path} is no sentencepiece model; fetch the checkpoint again") from None
    # A piece without a type is a normal one.
    pieces = tuple(Piece(p.piece, p.score, p.type if p.HasField("type") else 1) for p in model.pieces)
    if len(pieces) < 4:
        raise CheckpointError(
            f"{path} is no sentencepiece model of more than special pieces; fetch the checkpoint again"
        )
    return SentencePieceModel(pieces, model.normalizer_spec.precompiled_charsmap or None)


@lru_cache(maxsize=1)
def _message_class() -> Any:
    """Return the class of the outermost message, in a pool of its own so that it clashes with no other definition."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="sentencepiece.proto", package="edgespeech", syntax="proto2")
    for message, fields in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            label = kinds.LABEL_REPEATED if name == "pieces" else kinds.LABEL_OPTIONAL
            field = described.field.add(name=name, number=number, label=label)
            if kind in FIELDS:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".edgespeech.{kind}"
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("edgespeech.Model"))
