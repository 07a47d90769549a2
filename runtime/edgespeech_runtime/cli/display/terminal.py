"""Lines on a terminal that are drawn again and again, by escape sequences (ECMA-48), without any package."""

import os
import shutil
import sys
import unicodedata
from typing import TextIO

ERASE_LINE = "\r\x1b[2K"
DIM, GREEN, YELLOW, PLAIN = "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
ELLIPSIS = "…"
USUAL = 80  # columns


def enable_escapes(stream: TextIO) -> None:
    """Make a console of Windows follow escape sequences; terminals elsewhere do."""
    if sys.platform == "win32":
        import ctypes

        handle = ctypes.windll.kernel32.GetStdHandle(-12 if stream is sys.stderr else -11)
        mode = ctypes.c_ulong()
        if ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            ctypes.windll.kernel32.SetConsoleMode(handle, mode.value | 4)  # ENABLE_VIRTUAL_TERMINAL_PROCESSING


def columns(stream: TextIO) -> int:
    """How many characters of one column's width stand in a line of the terminal, but for the last column."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return (width or shutil.get_terminal_size().columns or USUAL) - 1  # a terminal need not know its size


def width(text: str) -> int:
    """Columns that a text takes: two for each wide letter, none for a combining one."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def fitted(text: str, stream: TextIO) -> str:
    """As much of the beginning as one line of the terminal holds."""
    most = columns(stream)
    if width(text) <= most:
        return text
    while text and width(text) > most - 1:
        text = text[:-1]
    return text + ELLIPSIS


def ending(text: str, most: int) -> str:
    """As much of the end as `most` columns hold."""
    if width(text) <= most:
        return text
    while text and width(text) > most - 1:
        text = text[1:]
    return ELLIPSIS + text
