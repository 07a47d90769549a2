"""Runs the frozen app in an empty folder and says how large it is, when its first text is there, and what it opens.

    python examples/captions/check.py build/app/captions BUNDLE

It runs without a home, without Python on the path and, where the system allows that, without a network. Ends with 1
where it opens a file that is neither its own nor the system's, asks for the network, or writes the wrong text.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader
from virtual_display import display

SOUND = Path(__file__).resolve().parents[2] / "edgespeech" / "checkpoints" / "samples" / "sentence.flac"
EXPECTED = "THE TRAIN TO THE COAST LEAVES AT A"
RUNS = 3
PATIENCE = 120  # seconds for a run
NAME = "edgespeech-captions"  # of the folder of settings
KINDS = {  # of files, by their names
    "Qt": re.compile(r"PySide6|shiboken6|libQt6|libpyside|libshiboken"),
    "runtime and engine": re.compile(r"numpy|onnxruntime|openvino|edgespeech|libscipy|libgfortran|libquadmath"),
    "sound files, microphones": re.compile(r"soundfile|sndfile|soxr|portaudio|sounddevice|libjack|libasound|libdb-5"),
}
OTHER = "Python and the system's libraries"
SYSTEM = re.compile(
    r"/(usr/)?lib(32|64)?/(?!python).*\.so[.\d]*$"
    r"|/etc/(ld\.so\.|fonts/|nsswitch|passwd|localtime|os-release|ssl/|machine-id|alsa|asound|locale)"
    r"|/usr/(local/)?share/(fonts|fontconfig|X11|icons|mime|locale|alsa|themes|glvnd|drirc\.d|zoneinfo|egl)"
    r"|/var/cache/fontconfig/|/usr/lib/(locale|[^/]*/(gconv|dri|alsa-lib|qt6))|/(proc|sys|dev)/|/tmp/\.X11-unix"
    r"|/usr/lib/ssl/openssl\.cnf|/var/lib/dbus/machine-id|/etc/xdg|/usr/share$|/$"
)


def main() -> int:
    """Run the checks on the frozen folder and the bundle that are named, and return the exit code."""
    frozen, bundle = Path(sys.argv[1]), Path(sys.argv[2])
    print_sizes(frozen)
    with tempfile.TemporaryDirectory(prefix="captions-") as folder, display() as name:
        home = Path(folder)
        program = shutil.copytree(frozen, home / "captions", symlinks=True) / "captions"
        shutil.copytree(bundle, home / "captions" / "models" / bundle.name, symlinks=False)
        sound = shutil.copy(SOUND, home / "captions")
        (home / "empty").mkdir()
        problems = print_times(program, sound, name, home / "empty")
        problems += print_trace(program, sound, name, home)
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def print_sizes(frozen: Path) -> None:
    """Say what takes how much, links counted once; modules of Python are in an archive within the program."""
    sizes: Counter[str] = Counter()
    program = CArchiveReader(str(frozen / "captions"))
    archive = program.open_embedded_archive(next(name for name in program.toc if name.startswith("PYZ")))
    for name, (_, _, length) in archive.toc.items():
        sizes[kind_of(name)] += length
        sizes[OTHER] -= length  # where the program is counted as a whole
    for file in frozen.rglob("*"):
        if file.is_file() and not file.is_symlink():
            name, size = file.relative_to(frozen).as_posix(), file.stat().st_size
            sizes[kind_of(name)] += size
    print("size without a model")
    for title, size in [*sizes.most_common(), ("all", sizes.total())]:
        print(f"  {title:<34} {size / 1e6:6.1f} MB  {size / 2**20:6.1f} MiB")


def kind_of(name: str) -> str:
    """What a file, or a module of Python, belongs to."""
    return next((title for title, names in KINDS.items() if names.search(name)), OTHER)


def print_times(program: Path, sound: str, display_name: str, folder: Path) -> list[str]:
    """Say when the window, the model and the first text are there, the first time and later."""
    problems = []
    load = f", load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""
    print(f"seconds after the start, without HOME, PATH and network{load}")
    for kind in ("--file", "--microphone"):
        for number in range(RUNS):
            said = run([str(program), kind, sound, "--start", "--exit", "--log"], display_name, folder)
            named = {line.split()[0]: (seconds, line) for seconds, line in said}
            shown = "  ".join(
                f"{name} {named[name][0]:.2f}" for name in ("shown", "ready", "text", "done") if name in named
            )
            print(f"  {kind[2:]:<10} {'first run' if number == 0 else 'again':<9}  {shown}")
            if EXPECTED not in named.get("done", (0, ""))[1]:
                problems.append(f"{kind}: expected the text {EXPECTED!r}, got {said}")
    print("  (the first word of the recording ends 0.62 s after it begins: with --microphone that is waited for)")
    return problems


def print_trace(program: Path, sound: str, display_name: str, folder: Path) -> list[str]:
    """Say which files the app opens and whether it asks for a network: without a home, and with one."""
    strace = shutil.which("strace")
    if strace is None:
        print("not traced: there is no strace")
        return []
    problems, home = [], folder / "home"
    home.mkdir()
    for variables, settings in (({}, program.parent / "settings"), ({"HOME": str(home)}, home / ".config" / NAME)):
        log = folder / "trace"
        command = [strace, "-f", "-qq", "-o", str(log), "-e", "trace=open,openat,connect,socket,execve", str(program)]
        run([*command, "--file", sound, "--start", "--exit", "--log"], display_name, folder / "empty", variables)
        opened, asked, started = traced(log.read_text(encoding="utf-8", errors="replace"))
        own = {file for file in opened if Path(file).is_relative_to(program.parent)}
        kept = {file for file in opened if Path(file).is_relative_to(settings)}
        foreign = sorted(file for file in opened - own - kept if not SYSTEM.match(file))
        system = len(opened - own - kept) - len(foreign)
        others = sorted({line.split('"')[1] for line in started} - {str(program)})
        print(f"traced {'with a home' if variables else 'without a home'}:")
        print(f"  opened {len(own - kept)} files of its own, {system} of the system, {len(foreign)} others")
        print(f"  settings in {settings.relative_to(folder)}: {', '.join(names(settings))}")
        print(f"  asked for the network {len(asked)} times; ran other programs: {', '.join(others) or 'none'}")
        left = [
            str(file) for file in home.rglob("*") if file.is_file() and not file.is_relative_to(home / ".config" / NAME)
        ]
        problems += [f"it opened {file}" for file in foreign] + [f"it asked for the network: {line}" for line in asked]
        problems += [f"it left {file} in the home folder" for file in left]
    return problems


def names(folder: Path) -> list[str]:
    """What lies in a folder, to the second level."""
    files = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return sorted({"/".join(file.parts[:2]) for file in files})


def traced(text: str) -> tuple[set[str], list[str], list[str]]:
    """Files that were opened, calls for a network, programs that were started; of a log of strace."""
    opened, begun = set(), {}  # what a thread has begun to open, where another one's line came between
    for line in text.splitlines():
        thread = line.split(maxsplit=1)[0]
        call = re.search(r'open(?:at)?\([^"]*"([^"]*)"', line)
        path = call[1] if call else begun.pop(thread, None) if re.search(r"<\.\.\. open\w* resumed", line) else None
        if path is not None and line.endswith("<unfinished ...>"):
            begun[thread] = path
        elif path is not None and not re.search(r"\) += -1 ", line):
            opened.add(path)
    lines = text.splitlines()
    asked = [line for line in lines if re.search(r"(socket|connect)\(.*AF_INET", line)]
    return opened, asked, [line for line in lines if "execve(" in line and " = 0" in line]


def run(
    command: list[str], display_name: str, folder: Path, more: Mapping[str, str] | None = None
) -> list[tuple[float, str]]:
    """The lines that a run prints, each with its seconds after the start; it has few variables, and `more`."""
    variables = {
        "DISPLAY": display_name,
        "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "xcb" if display_name else "offscreen",
        **(more or {}),
    }
    began = time.monotonic()
    with subprocess.Popen(
        [*without_network(), *command], cwd=folder, env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        said = [(time.monotonic() - began, line.strip()) for line in process.stdout or ()]
        timer.cancel()
    return said


def without_network() -> list[str]:
    """What runs a program where there is no network; nothing where the system does not allow it."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode:
        return []
    return [unshare, "-n"]


if __name__ == "__main__":
    sys.exit(main())
