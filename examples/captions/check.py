"""Runs the frozen app in an empty folder and says how large it is, when its first text is there, and what it opens.

    python examples/captions/check.py build/app/captions BUNDLE

It runs without a home, without Python on the path and, where the system allows that, without a network. Ends with 1
where it opens a file that is neither its own nor the system's, asks for the network, or writes the wrong text.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SOUND = Path(__file__).resolve().parents[2] / "edgespeech" / "checkpoints" / "samples" / "sentence.flac"
EXPECTED = "THE TRAIN TO THE COAST LEAVES AT A"
RUNS = 3
KINDS = {  # of files, by their names
    "Qt": re.compile(r"PySide6|shiboken6|libQt6|libpyside|libshiboken"),
    "runtime and engine": re.compile(r"numpy|onnxruntime|openvino|edgespeech|libscipy|libgfortran|libquadmath"),
    "sound files, microphones": re.compile(r"soundfile|sndfile|soxr|portaudio|sounddevice|libjack|libasound|libdb-5"),
}
OTHER = "Python and the system's libraries"
SYSTEM = re.compile(
    r"/(usr/)?lib(32|64)?/.*\.so[.\d]*$|/etc/(ld\.so\.|fonts/|nsswitch|passwd|localtime|os-release|ssl/|machine-id|alsa|asound|locale)"
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
    """Say what takes how much, links counted once."""
    sizes: Counter[str] = Counter()
    for file in frozen.rglob("*"):
        if file.is_file() and not file.is_symlink():
            name, size = file.relative_to(frozen).as_posix(), file.stat().st_size
            kind = next((title for title, names in KINDS.items() if names.search(name)), OTHER)
            sizes[kind] += size
    print("size without a model")
    for title, size in [*sizes.most_common(), ("all", sizes.total())]:
        print(f"  {title:<34} {size / 1e6:6.1f} MB  {size / 2**20:6.1f} MiB")


def print_times(program: Path, sound: str, display_name: str, folder: Path) -> list[str]:
    """Say when the window, the model and the first text are there, the first time and later."""
    problems = []
    print("seconds after the start, without HOME, PATH and network")
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


def print_trace(program: Path, sound: str, display_name: str, home: Path) -> list[str]:
    """Say which files the app opens, and whether it asks for a network."""
    strace = shutil.which("strace")
    if strace is None:
        print("not traced: there is no strace")
        return []
    log = home / "trace"
    command = [strace, "-f", "-qq", "-o", str(log), "-e", "trace=open,openat,connect,socket,execve"]
    run([*command, str(program), "--file", sound, "--start", "--exit", "--log"], display_name, home / "empty")
    opened, asked, started = traced(log.read_text(encoding="utf-8", errors="replace"))
    own = {file for file in opened if file.startswith(f"{home}/captions")}
    foreign = sorted(file for file in opened - own if not SYSTEM.search(file))
    written = sorted(file for file in own if "/settings/" in file)
    print(
        f"traced: {len(own)} files of its own, {len(opened - own) - len(foreign)} of the system, {len(foreign)} others"
    )
    print(f"  its settings: {', '.join(sorted({str(Path(file).relative_to(home)) for file in written}))[:300]}")
    programs = sorted({line.split('"')[1] for line in started} - {str(program)} - {f"{home}/captions/captions"})
    print(f"  network: {len(asked)} attempts; other programs: {', '.join(programs) or 'none'}")
    return [f"it opened {file}" for file in foreign] + [f"it asked for the network: {line}" for line in asked]


def traced(text: str) -> tuple[set[str], list[str], list[str]]:
    """Files that were opened, calls for a network, programs that were started."""
    opened = {
        path
        for path, result in re.findall(r'open(?:at)?\([^"]*"([^"]*)".*?\) = (-?\d+)', text)
        if not result.startswith("-")
    }
    lines = text.splitlines()
    asked = [line for line in lines if re.search(r"(socket|connect)\(.*AF_INET", line)]
    return opened, asked, [line for line in lines if "execve(" in line and " = 0" in line]


def run(command: list[str], display_name: str, folder: Path) -> list[tuple[float, str]]:
    """The lines that a run prints, each with its seconds after the start."""
    variables = {
        "DISPLAY": display_name,
        "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "xcb" if display_name else "offscreen",
    }
    began, said = time.monotonic(), []
    with subprocess.Popen(
        [*without_network(), *command], cwd=folder, env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        timer = time.monotonic() + 120
        for line in process.stdout or ():
            said.append((time.monotonic() - began, line.strip()))
            if time.monotonic() > timer:
                process.kill()
    return said


def without_network() -> list[str]:
    """What runs a program where there is no network; nothing where the system does not allow it."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode:
        return []
    return [unshare, "-n"]


@contextlib.contextmanager
def display() -> Iterator[str]:
    """A display that nobody sees; "" where there is no Xvfb, for Qt's own."""
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        yield ""
        return
    reader, writer = os.pipe()
    command = [xvfb, "-displayfd", str(writer), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        try:
            os.close(writer)
            with os.fdopen(reader) as said:
                yield f":{said.readline().strip()}"
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
