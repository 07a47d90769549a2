"""Names for pages that others read: files by their own names, without the folders of this machine above them."""

import re
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath

# A path from the root, of a drive or of the home folder, with names that have no spaces.
ABSOLUTE = re.compile(r"(?<![\w.:/\\<-])(?:[A-Za-z]:[\\/]|~?/|\\\\)(?:[^\s/\\'\",:;]+[\\/])*(?=[^\s/\\])")


def short_names(paths: Sequence[str]) -> list[str]:
    """The last part of each path, with as many folders before it as it takes to tell it from the others."""
    parts = [_parts(path) for path in paths]
    depths = [1] * len(paths)
    for depth in range(1, max(map(len, parts), default=1)):
        names = [_joined(own[-depth:]) for own in parts]
        for index, name in enumerate(names):
            if depths[index] == depth and any(
                other == name and parts[at] != parts[index] for at, other in enumerate(names)
            ):
                depths[index] = depth + 1
    return [_joined(own[-depth:]) for own, depth in zip(parts, depths, strict=True)]


def _parts(path: str) -> tuple[str, ...]:
    kind: type[PurePath] = PureWindowsPath if re.match(r"[A-Za-z]:[\\/]|\\\\", path) else PurePosixPath
    pure = kind(path)
    return tuple(part for part in pure.parts if part not in (pure.anchor, ".")) or (path,)


def _joined(parts: Sequence[str]) -> str:
    return "/".join(parts)


def without_folders(text: str, folders: Sequence[str] = ()) -> str:
    """A text in which files that are named from the root on stand by their own names.

    `folders` are such whose names may have spaces, which cannot be told from the text around them.
    """
    for folder in sorted(folders, key=len, reverse=True):
        if len(_parts(folder)) > 1:
            text = text.replace(folder.rstrip("/\\") + "/", "").replace(folder, _parts(folder)[-1])
    return ABSOLUTE.sub("", text)
