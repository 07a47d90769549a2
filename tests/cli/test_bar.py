"""The bar of long works: on a terminal, and nowhere else."""

import io
import sys

import pytest

from edgespeech.cli.display.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch, stream, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with Bar(**options) as bar:
        bar("[first]", 3, 10)
        bar("[second]", 2_000_000, 4_000_000)
        bar("[second]", 4_000_000, 4_000_000)
    return stream.getvalue()


def test_a_terminal_sees_what_is_done_and_how_much(monkeypatch):
    text = shown(monkeypatch, Terminal())
    assert "[second]" in text  # brackets are no markup
    assert "4000000/4000000" in text


def test_bytes_are_shown_as_sizes(monkeypatch):
    assert "4.0/4.0 MB" in shown(monkeypatch, Terminal(), in_bytes=True)


@pytest.mark.parametrize(("stream", "quiet"), [(io.StringIO(), False), (Terminal(), True)])
def test_nobody_else_sees_anything(monkeypatch, stream, quiet):
    assert shown(monkeypatch, stream, quiet=quiet) == ""
