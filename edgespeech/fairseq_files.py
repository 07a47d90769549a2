"""Whether a path is a checkpoint of fairseq: told by names alone, before torch is loaded."""

from pathlib import Path

SUFFIX = ".pt"


def fairseq_files(path: Path) -> list[Path]:
    """Return the checkpoint files of fairseq that a path stands for.

    That is the file itself, or those in a folder that is no checkpoint in the Hugging Face layout and no bundle.
    """
    if path.suffix == SUFFIX and path.is_file():
        return [path]
    if not path.is_dir() or any((path / name).exists() for name in ("config.json", "edgespeech.json")):
        return []
    return sorted(path.glob(f"*{SUFFIX}"))
