"""How many times as fast each contender is as the first of its kind, as a picture (SVG) of bars."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LABEL, ROW, GAP = 760, 330, 18, 30  # pixels: of all, of titles; heights of a bar and of a heading
OURS, OTHERS = "#2a78b5", "#9a9a9a"
FONT = 'font-family="sans-serif"'


def picture(parts: Mapping[str, Sequence[tuple[str, float]]], machine: str) -> str:
    """A heading and bars for each part: pairs of a title and how many times as fast. The first of a part is 1."""
    lines, y = list[str](), 10
    for name, rows in parts.items():
        y += GAP
        lines.append(_text(8, y - 8, name, 13, "bold"))
        most = max(times for _, times in rows)
        for title, times in rows:
            colour = OURS if "bundle" in title or "edgespeech" in title or "streams" in title else OTHERS
            length = (WIDTH - LABEL - 60) * times / most
            lines.append(_text(LABEL - 8, y + 12, title, 11, "normal", "end"))
            lines.append(f'<rect x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{ROW - 5}" fill="{colour}"/>')
            lines.append(_text(LABEL + length + 5, y + 12, f"{times:.1f} x", 11))
            y += ROW
    y += GAP
    lines.append(_text(8, y - 8, machine, 11))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" fill="white"/>', *lines, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, size: int, weight: str = "normal", anchor: str = "start") -> str:
    said = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="black" {FONT}'
    return f'<text x="{x:.1f}" y="{y:.1f}" {said}>{escape(text)}</text>'
