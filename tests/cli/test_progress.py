"""Progress: lines where nobody watches, a moving line on a terminal, and results that it leaves alone."""

import io
import os
import re
import sys

import pytest

from edgespeech.cli.display.progress import RichCounter as Counter
from edgespeech.cli.display.progress import Steps


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def watched(monkeypatch):
    """`watched()`: make stderr a terminal from here on, and return it."""

    def begin():
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return begin


def test_steps_are_lines_where_there_is_no_terminal(capsys):
    with Steps() as step:
        step("reading")
        assert capsys.readouterr().err == "  reading\n"  # at once, not when it ends
        step("writing")
    assert capsys.readouterr().err == "  writing\n"


def test_quiet_steps_say_nothing(watched):
    terminal = watched()
    with Steps(quiet=True) as step:
        step("reading")
    assert terminal.getvalue() == ""


def test_steps_on_a_terminal_end_with_their_seconds(watched):
    terminal = watched()
    with Steps() as step:
        step("reading [x]")
        step("writing")
    shown = terminal.getvalue()
    assert re.search(r"reading \[x\]  \d+\.\d s\n", shown)
    assert re.search(r"writing  \d+\.\d s\n", shown)


def test_a_step_that_fails_did_not_end(watched):
    terminal = watched()
    with pytest.raises(ValueError, match="no"), Steps() as step:
        step("reading")
        raise ValueError("no")
    assert " s" not in terminal.getvalue()


def test_the_counter_is_silent_where_there_is_no_terminal(capsys):
    with Counter(2) as counter, counter.one_more():
        pass
    assert capsys.readouterr().err == ""


def test_the_counter_counts_on_a_terminal(watched):
    terminal = watched()
    with Counter(2) as counter:
        for _ in range(2):
            with counter.one_more():
                pass
    shown = re.sub(r"\x1b\[[\d;?]*\w", "", terminal.getvalue())  # without colours
    assert "2/2" in shown


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals of one's own here")
def test_results_are_the_same_beside_a_terminal(run, start, bundle, recordings):
    main, side = os.openpty()
    process = start("transcribe", bundle, *recordings, stderr=side)
    os.close(side)
    out, _ = process.communicate(timeout=60)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert process.returncode == 0
    assert out == run("transcribe", bundle, *recordings).stdout
    assert "transcribing" in shown
