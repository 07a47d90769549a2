"""Figures of live captions as a picture (SVG): how late they are, and what they cost minute by minute."""

from collections.abc import Mapping, Sequence

import numpy as np

WIDTH, HEIGHT = 360, 170  # of a panel, inside its axes
MARGIN = 56
LEGEND = 100  # from the left end of a panel
COLOURS = {"first_partial": "#2a78b5", "committed": "#999999", "final": "#c2572b"}
NAMES = {
    "first_partial": "first text, behind the first word",
    "committed": "committed, behind the word",
    "final": "final, behind the rule",
}
SIZE = 'font-family="sans-serif" font-size="11"'


def picture(delays: Mapping[str, Sequence[float]], cost: Sequence[float], megabytes: Sequence[float]) -> str:
    """Two panels: the share of `delays`, in seconds, that are at most so long; `cost` and memory by minute."""
    width, height = 2 * (WIDTH + 2 * MARGIN), HEIGHT + 2 * MARGIN + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_delays(delays),
        f'<g transform="translate({WIDTH + 2 * MARGIN} 0)">',
        *_costs(cost, megabytes),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _delays(delays: Mapping[str, Sequence[float]]) -> list[str]:
    right = float(np.ceil(2 * max(max(values) for values in delays.values() if values)) / 2)
    left = float(np.floor(2 * min(0.0, *(min(values) for values in delays.values() if values))) / 2)
    parts = _frame("seconds late", "share of them", (left, right), (0.0, 1.0))
    for row, (name, values) in enumerate(delays.items()):
        ordered = np.sort(values)
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        parts.append(_line((ordered - left) / (right - left), shares, COLOURS[name]))
        parts.append(_text(MARGIN + LEGEND, 14 + 14 * row, NAMES[name], COLOURS[name]))
    return parts


def _costs(cost: Sequence[float], megabytes: Sequence[float]) -> list[str]:
    top, most = 1.25 * max(cost), 1.25 * max(megabytes)
    parts = _frame("minute", "cores", (0.0, float(len(cost))), (0.0, top))
    minutes = (np.arange(len(cost)) + 0.5) / len(cost)
    parts.append(_line(minutes, np.asarray(cost) / top, COLOURS["first_partial"]))
    parts.append(_line(minutes, np.asarray(megabytes[: len(cost)]) / most, COLOURS["final"]))
    said = "seconds of one core for a second of sound", f"memory, {megabytes[-1]:.0f} MB at the end"
    parts.append(_text(MARGIN + LEGEND, 14, said[0], COLOURS["first_partial"]))
    parts.append(_text(MARGIN + LEGEND, 28, said[1], COLOURS["final"]))
    return parts


def _frame(across: str, up: str, x: tuple[float, float], y: tuple[float, float]) -> list[str]:
    """Axes with their ends and names."""
    bottom = MARGIN + HEIGHT
    return [
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{MARGIN + WIDTH}" fill="none" stroke="black"/>',
        _text(MARGIN, bottom + 16, f"{x[0]:g}"),
        _text(MARGIN + WIDTH - 16, bottom + 16, f"{x[1]:g}"),
        _text(MARGIN + WIDTH // 2 - 30, bottom + 32, across),
        _text(MARGIN - 40, bottom, f"{y[0]:g}"),
        _text(MARGIN - 40, MARGIN + 8, f"{y[1]:.2g}"),
        _text(MARGIN - 10, MARGIN - 10, up),
    ]


def _line(x: "np.ndarray", y: "np.ndarray", colour: str) -> str:
    points = " ".join(f"{MARGIN + WIDTH * a:.1f},{MARGIN + HEIGHT * (1 - b):.1f}" for a, b in zip(x, y, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _text(x: float, y: float, text: str, colour: str = "black") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" {SIZE}>{text}</text>'
