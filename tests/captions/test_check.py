"""What `make app-check` reads of the trace of the frozen app."""

import importlib.util
from pathlib import Path

import pytest

TRACE = """\
11 execve("/box/app/app", ["/box/app/app"], 0x7f /* 2 vars */) = 0
11 openat(AT_FDCWD, "/box/app/lib.so", O_RDONLY|O_CLOEXEC) = 3
11 openat(AT_FDCWD, "/etc/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)
12 openat(AT_FDCWD, "/box/late", O_RDONLY <unfinished ...>
13 openat(AT_FDCWD, "/box/never", O_RDONLY <unfinished ...>
11 socket(AF_UNIX, SOCK_STREAM, 0) = 5
12 <... openat resumed>) = 4
13 <... openat resumed>) = -1 ENOENT (No such file or directory)
12 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 6
14 execve("/sbin/ldconfig", ["/sbin/ldconfig", "-p"], 0x7f /* 2 vars */) = 0
"""


@pytest.fixture(scope="module")
def check():
    pytest.importorskip("PyInstaller")
    file = Path(__file__).resolve().parents[2] / "examples" / "captions" / "check.py"
    spec = importlib.util.spec_from_file_location("check", file)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(file.parent)  # as if it was run
        spec.loader.exec_module(module)
    return module


def test_files_networks_and_programs_are_found(check):
    opened, asked, started = check.traced(TRACE)
    assert opened == {"/box/app/lib.so", "/box/late"}
    assert [line.split()[0] for line in asked] == ["12"]
    assert [line.split('"')[1] for line in started] == ["/box/app/app", "/sbin/ldconfig"]


@pytest.mark.parametrize(
    ("file", "is_system"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", True),
        ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", True),
        ("/proc/self/maps", True),
        ("/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", False),
        ("/usr/lib/python3/dist-packages/numpy/__init__.py", False),
        ("/box/a/dev/b", False),
        ("/etc/shadow", False),
    ],
)
def test_what_is_the_systems(check, file, is_system):
    assert bool(check.SYSTEM.match(file)) is is_system
