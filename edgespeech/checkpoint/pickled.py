"""Files that torch has pickled, read without running what such a file may ask to run.

A pickle names functions and classes, and reading one in the usual way calls them. Here the names are listed first and
any that stands for no data is refused; then torch's own reader, which builds tensors and plain containers only, reads
the file. Classes that hold settings can be taken as a `Record`, which keeps their data and runs none of their code.
"""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch

from edgespeech.errors import WeightsError

# Names that stand for data; of torch's, its own reader knows those that do.
DATA = frozenset(
    (
        *("collections.OrderedDict", "collections.Counter", "_codecs.encode"),
        *("builtins.set", "builtins.bytearray", "builtins.complex"),
        *("__builtin__.set", "__builtin__.bytearray", "__builtin__.complex"),
    )
)
PICKLES = 5  # that stand one behind another in a file of torch before 1.6: three of its head, the content, the storages
ASKED = re.compile(r"GLOBAL ([\w.]+\w)")  # how torch's reader names what it refuses
# Names of torch's that are functions or modules, which only stand in files that ask to run them.
CALLED = re.compile(r"torch\.(?!_|storage|Size|device|nn\.parameter|\w+Storage$|u?int\d+$|b?float\d+$|bool$)")
NAMED_AT_MOST = 3


class Record:
    """Data of a class that is not used here: the arguments that it was made with, and its attributes."""

    arguments: tuple[Any, ...] = ()

    def __new__(cls, *arguments: Any) -> "Record":
        """Keep the arguments; a pickle may make an object without a call of `__init__`."""
        record = super().__new__(cls)
        record.arguments = arguments
        return record

    def __init__(self, *arguments: Any) -> None:
        """Keep nothing more: `__new__` has kept the arguments."""

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)


def read_pickle(path: Path, is_record: Callable[[str], bool] = lambda name: False) -> Any:
    """Return what a file of torch holds; nothing that it names is run.

    `is_record` says of a class's dotted name whether its objects are taken as a `Record` each.

    Raises:
        WeightsError: the file is damaged or no file of torch, or it names what is no data; the message says what.
    """
    names = set(_names(path))
    records = {name for name in names if is_record(name)}
    code = sorted(name for name in names - records - DATA if not name.startswith("torch."))
    if code:
        raise _refusal(path, code)
    try:
        safe = torch.serialization.safe_globals([(Record, _current(name)) for name in sorted(records)])
        with warnings.catch_warnings(), safe:
            warnings.simplefilter("ignore")  # torch's, of the pickle's version: for those who write such files
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zip, pickle and torch's own, whose texts are for those who trust a file
        refused = set(ASKED.findall(str(error))) & names or {name for name in names - records if CALLED.match(name)}
        if refused:
            raise _refusal(path, sorted(refused)) from None
        raise WeightsError(f"{path} is not a readable weight file ({_fault(path)}); fetch it again") from None


def _refusal(path: Path, names: list[str]) -> WeightsError:
    listed = ", ".join(names[:NAMED_AT_MOST]) + (", ..." if len(names) > NAMED_AT_MOST else "")
    return WeightsError(
        f"{path} is not a readable weight file: it asks to run {listed}, and none of it was run; "
        "get the weights as model.safetensors from whoever published them"
    )


def _current(name: str) -> str:
    """Return a class's name as Python 3 has it."""
    return name.replace("__builtin__.", "builtins.")


def _fault(path: Path) -> str:
    if not path.stat().st_size:
        return "it is empty"
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"
    if not is_archive:
        return "it is no file that torch has written, or its end is missing"
    return "its content is damaged" if zipfile.is_zipfile(path) else "its end is missing"


def _names(path: Path) -> Iterator[str]:
    """List the functions and classes that a file names, as far as it can be read."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = archive.namelist()
            if any(entry.endswith("/constants.pkl") for entry in entries):
                raise WeightsError(
                    f"{path} is a TorchScript program, not a table of weights; save the model's state_dict instead"
                )
            for entry in entries:
                if entry.endswith("data.pkl"):
                    with archive.open(entry) as stream:
                        yield from _named_in(stream)
        return
    with path.open("rb") as stream:
        for _ in range(PICKLES):
            yield from _named_in(stream)


def _named_in(stream: IO[bytes]) -> Iterator[str]:
    """List what one pickle names. Its end, or what is no pickle, ends the list."""
    texts: list[str] = []  # as they were put on the stack; two of them may be a name
    memo: dict[Any, Any] = {}
    last: Any = None
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(texts[-2:])
            elif opcode.name in ("EXT1", "EXT2", "EXT4"):
                yield f"copyreg extension {argument}"
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = last
            elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[argument] = last
            else:
                last = memo.get(argument) if opcode.name in ("GET", "BINGET", "LONG_BINGET") else argument
                if isinstance(last, str):
                    texts.append(last)
    except (ValueError, zipfile.BadZipFile, UnicodeDecodeError, EOFError):
        return
