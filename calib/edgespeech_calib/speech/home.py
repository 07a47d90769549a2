"""Where downloaded speech lies."""

import os
import re
from pathlib import Path

VARIABLE = "EDGESPEECH_DATA"
SUBSET = re.compile(r"[\w-]+")


def data_home() -> Path:
    """Return the folder for downloads: $EDGESPEECH_DATA, or edgespeech/speech in the user's cache."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "edgespeech" / "speech"


def fetched(subset: str) -> Path | None:
    """Return the archive of a subset that was downloaded there, None if there is none."""
    if not SUBSET.fullmatch(subset):
        return None
    archive = data_home() / f"{subset}.tar.gz"
    return archive if archive.is_file() else None
