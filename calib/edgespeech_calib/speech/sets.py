"""Opening a set of recordings, whatever form it has, as utterances that are read when they are needed.

A set is: a folder in LibriSpeech's layout or simply of sound files, nested anywhere; a tar archive of such a folder; a
manifest (`manifests`); a list of utterances of another set (`lists`); the name of a subset that `fetch` has downloaded.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgespeech_runtime.errors import AudioError, AudioPackageError

from edgespeech_calib.errors import DataError, DataMissingError
from edgespeech_calib.speech import librispeech, lists, manifests
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.home import fetched
from edgespeech_calib.speech.sampling import sample
from edgespeech_calib.speech.segments import RTTM, read_rttm
from edgespeech_calib.speech.utterance import Skipped, Utterance

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
Progress = Callable[[int], object]  # called with the utterances looked at so far


@dataclass(frozen=True)
class SpeechSet:
    """The utterances of a set, in the order in which they are read fastest, and what was left out."""

    name: str
    utterances: tuple[Utterance, ...]
    skipped: tuple[Skipped, ...] = ()
    hint: str = ""  # where transcripts might be, if there are none

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    @property
    def seconds(self) -> float:
        """Length of all of it, as far as it is known."""
        return sum(utterance.seconds or 0.0 for utterance in self.utterances)

    @property
    def lengths(self) -> tuple[float, ...]:
        """Seconds of each utterance, as far as they are known."""
        return tuple(utterance.seconds for utterance in self.utterances if utterance.seconds)

    def sample(self, count: int | None, seed: int = 0) -> "SpeechSet":
        """Return `count` utterances spread over speakers and lengths (`sampling.sample`); all for None."""
        if count is None:
            return self
        return replace(self, utterances=tuple(sample(self.utterances, count, seed)))

    def transcribed(self) -> "SpeechSet":
        """Return the utterances of which it is known what is said; the others are counted as skipped.

        Raises:
            DataError: it is known of none.
        """
        kept = tuple(utterance for utterance in self.utterances if utterance.text is not None)
        if not kept:
            raise DataError(
                f"{self.name} has no transcripts, and word errors cannot be counted without; give a folder with "
                f".trans.txt files, or a manifest with a column text{self.hint}"
            )
        return self._keeping(kept, "no transcript")

    def labelled(self) -> "SpeechSet":
        """Return the utterances whose class is known; the others are counted as skipped.

        Where a set says no class and no text at all, the folder in which a recording lies says its class.

        Raises:
            DataError: it is known of none.
        """
        kept = tuple(utterance for utterance in self.utterances if utterance.label is not None)
        if not kept and all(utterance.text is None for utterance in self.utterances):
            kept = tuple(replace(u, label=u.folder) for u in self.utterances if u.folder is not None)
        if not kept:
            raise DataError(
                f"{self.name} has no labels, and accuracy cannot be measured without; give a manifest with a column "
                f"label, or a folder with one folder for each label{self.hint}"
            )
        return self._keeping(kept, "no label")

    def segmented(self) -> "SpeechSet":
        """Return the utterances of which it is known when which label holds, the others are counted as skipped.

        A manifest says it, or an RTTM file beside the sound file and of its name.

        Raises:
            DataError: it is known of none, or an RTTM file cannot be read.
        """
        kept = tuple(u for u in map(_with_rttm, self.utterances) if u.segments is not None)
        if not kept:
            raise DataError(
                f"{self.name} does not say when which label holds, and accuracy by frame cannot be measured without; "
                f"give a manifest in JSON lines with segments, or .rttm files beside the recordings{self.hint}"
            )
        return self._keeping(kept, "no segments")

    def _keeping(self, remaining: tuple[Utterance, ...], reason: str) -> "SpeechSet":
        """Only these; of the others it is said why not."""
        kept = {utterance.id for utterance in remaining}
        missing = tuple(Skipped(u.id, reason) for u in self.utterances if u.id not in kept)
        return replace(self, utterances=remaining, skipped=self.skipped + missing)


def open_set(
    path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> SpeechSet:
    """Open the set at `path`: find its utterances and their lengths, and decode nothing.

    `root` is the set that a list draws from; without it, the list says, or the folder in which it lies is searched, or
    what was fetched. Utterances whose file is missing, damaged or not what a list promises are left out and named in
    `skipped`.

    Raises:
        DataMissingError: there is no such set.
        DataError: it is none, it holds no utterance that can be used, or a file of it cannot be read.
        AudioPackageError: a package that reads sound is not installed.
    """
    location = locate(path)
    if location.is_file() and lists.is_list(location):
        listed = lists.read(location)
        source, utterances, missing = _listed(listed, location, root)
        usable, skipped = _looked_at(utterances, progress)
        usable, changed = lists.unchanged(listed, usable)
        hint, skipped = "", [*missing, *skipped, *changed]
    else:
        if root is not None:
            raise DataError(f"{location} is no list, so it takes no other set to draw from; leave the root out")
        source = location
        utterances, doubled = _distinct(_collected(location))
        hint = _manifest_hint(location)
        usable, skipped = _looked_at(utterances, progress)
        skipped = [*doubled, *skipped]
    if not usable:
        raise DataError(_nothing(source, skipped) + hint)
    return SpeechSet(str(path), tuple(usable), tuple(skipped), hint)


def locate(path: str | os.PathLike[str]) -> Path:
    """Return where a set lies. Raises DataMissingError."""
    location = Path(path).expanduser()
    if location.exists():
        return location
    if (archive := fetched(os.fspath(path))) is not None:
        return archive
    raise DataMissingError(
        f"{path}: no such folder, archive, manifest or list, and no subset of this name has been fetched"
    )


def _with_rttm(utterance: Utterance) -> Utterance:
    if utterance.segments is not None or not isinstance(utterance.audio, FileAudio):
        return utterance
    path = utterance.audio.path.with_suffix(RTTM)
    return replace(utterance, segments=read_rttm(path)) if path.is_file() else utterance


def _collected(location: Path) -> list[Utterance]:
    if location.is_dir():
        return librispeech.read_folder(location)
    if location.name.lower().endswith(TAR_SUFFIXES):
        return librispeech.read_archive(location)
    if manifests.is_manifest(location):
        return manifests.read(location)
    raise DataError(
        f"{location} is no set of recordings: give a folder, an archive ({', '.join(TAR_SUFFIXES)}), a manifest "
        f"({', '.join(manifests.SUFFIXES)}) or a list"
    )


def _listed(
    listed: "lists.ListFile", location: Path, root: str | os.PathLike[str] | None
) -> tuple[Path, list[Utterance], list[Skipped]]:
    """The set that a list draws from, and those of its utterances that are there and not there."""
    tried = []
    for source in [Path(root).expanduser()] if root is not None else lists.roots(listed, location):
        if not source.exists():
            tried.append(source)
            continue
        utterances, _ = _distinct(_collected(source))
        by_id = {utterance.id: utterance for utterance in utterances}
        wanted = [entry.id for entry in listed.entries]
        if not by_id.keys() & set(wanted):
            tried.append(source)
            continue
        order = {utterance.id: index for index, utterance in enumerate(utterances)}
        here = sorted((name for name in wanted if name in by_id), key=order.__getitem__)
        missing = [Skipped(name, f"not in {source}") for name in wanted if name not in by_id]
        return source, [by_id[name] for name in here], missing
    raise DataMissingError(
        f"{location} lists utterances of {listed.facts.get('set', 'another set')}, and none is in "
        f"{', '.join(map(str, tried))}; say where the set lies (--root)"
    )


def _distinct(utterances: Iterable[Utterance]) -> tuple[list[Utterance], list[Skipped]]:
    by_id: dict[str, Utterance] = {}
    skipped = []
    for utterance in utterances:
        first = by_id.setdefault(utterance.id, utterance)
        if first is not utterance:
            skipped.append(Skipped(utterance.id, f"{utterance.audio.name} has the id of {first.audio.name}"))
    return list(by_id.values()), skipped


def _looked_at(utterances: Iterable[Utterance], progress: Progress | None) -> tuple[list[Utterance], list[Skipped]]:
    """The utterances with their lengths, and those whose sound cannot be opened."""
    usable, skipped = [], []
    for index, utterance in enumerate(utterances, start=1):
        try:
            header = utterance.audio.header()
            usable.append(replace(utterance, seconds=utterance.seconds or header.seconds))
        except AudioPackageError:
            raise
        except AudioError as error:
            skipped.append(Skipped(utterance.id, str(error)))
        if progress is not None:
            progress(index)
    return usable, skipped


def _nothing(source: Path, skipped: list[Skipped]) -> str:
    if not skipped:
        return f"{source} holds no sound files"
    return f"none of the {len(skipped)} recordings in {source} can be used; the first: {skipped[0].reason}"


def _manifest_hint(location: Path) -> str:
    """Words on manifests that lie in a folder, which is not read as one."""
    if not location.is_dir():
        return ""
    there = sorted(path for path in location.iterdir() if manifests.is_manifest(path) and path.suffix != ".json")
    return f"; {there[0]} may be one" if there else ""
