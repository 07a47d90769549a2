"""Charts as SVG text: errors against speed and size, noise by layer. They need no script and nothing from outside."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 380  # of a chart
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 16, 48  # margins
LARGEST, SMALLEST = 26.0, 5.0  # radii
ROW, NAMES = 15, 300  # height of a bar, width of the column of names
COLOURS = ("#1f6fb4", "#c4541c", "#2f8f4e", "#8a4fa3", "#a8861b", "#3d8f96", "#b5446e", "#5f6a72")


@dataclass(frozen=True)
class Point:
    """One system: real-time factor, error rate with its bounds (fractions), size in bytes."""

    name: str
    speed: float
    rate: float
    low: float
    high: float
    size: int


@dataclass(frozen=True)
class LayerNoise:
    """A layer of an INT8 model: its output over the error in it where it alone is quantized, in dB (None: unknown)."""

    name: str
    ratio: float | None
    is_float: bool


@dataclass(frozen=True)
class Axis:
    """From values to places between two ends."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high, value = (math.log(v) if self.is_log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values: 1, 2 and 5 of each decade, or about five evenly spaced ones."""
        if self.is_log:
            first = math.floor(math.log10(self.low))
            last = math.ceil(math.log10(self.high))
            values = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
        else:
            rough = (self.high - self.low) / 5
            unit = 10.0 ** math.floor(math.log10(rough))
            step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
            values = [step * index for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in values if self.low <= value <= self.high]


def errors_by_speed(points: Sequence[Point], what: str = "word errors") -> str:
    """Error rate against real-time factor; a disc's area is the system's size, its line the 95 % interval."""
    speeds = [point.speed for point in points]
    top = max(max(point.high for point in points) * 1.1, 0.01)
    across = Axis(min(speeds) / 2, max(speeds) * 2, LEFT, WIDTH - RIGHT, is_log=True)
    up = Axis(0.0, top, HEIGHT - BOTTOM, TOP)
    parts = [*_grid(across, up), *_titles("seconds of work for a second of speech", f"{what}, %")]
    biggest = max(point.size for point in points) or 1
    for index, point in enumerate(points):
        x, y = across(point.speed), up(point.rate)
        radius = max(SMALLEST, LARGEST * math.sqrt(point.size / biggest))
        colour = COLOURS[index % len(COLOURS)]
        parts += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(point.low):.1f}" y2="{up(point.high):.1f}" stroke="{colour}" '
            'stroke-width="2"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.45" '
            f'stroke="{colour}"><title>{escape(point.name)}</title></circle>',
            _label(x, y - radius - 5, point.name),
        ]
    return _svg(parts, f"{what} against speed and size")


def noise_by_layer(layers: Sequence[LayerNoise]) -> str:
    """A bar for each layer, in the order of the network; layers that compute in float are pale."""
    height = TOP + ROW * len(layers) + BOTTOM
    top = max([layer.ratio for layer in layers if layer.ratio is not None and layer.ratio < math.inf], default=1.0)
    along = Axis(0.0, max(top * 1.05, 1.0), NAMES, WIDTH - RIGHT)
    parts = []
    for value in along.ticks():
        x = along(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    for index, layer in enumerate(layers):
        y = TOP + ROW * index
        parts.append(f'<text x="{NAMES - 8}" y="{y + ROW - 4}" text-anchor="end">{escape(layer.name)}</text>')
        ratio = 0.0 if layer.ratio is None else min(max(layer.ratio, 0.0), along.high)
        said = "not measured" if layer.ratio is None else f"{layer.ratio:.1f} dB"
        said += ", computes in float" if layer.is_float else ""
        parts.append(
            f'<rect x="{NAMES}" y="{y + 2}" width="{along(ratio) - NAMES:.1f}" height="{ROW - 4}" '
            f'fill="{COLOURS[1] if layer.is_float else COLOURS[0]}" fill-opacity="{0.35 if layer.is_float else 0.85}">'
            f"<title>{escape(layer.name)}: {said}</title></rect>"
        )
        if layer.is_float:
            parts.append(f'<text x="{along(ratio) + 6:.1f}" y="{y + ROW - 4}">float</text>')
    middle = (NAMES + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 10}" text-anchor="middle">signal to quantization noise, dB</text>')
    return _svg(parts, "signal to quantization noise by layer", height)


def _label(x: float, y: float, name: str) -> str:
    """A name that stays within the chart: it begins, is centred or ends at x."""
    anchor = "start" if x < WIDTH / 4 else "end" if x > 3 * WIDTH / 4 else "middle"
    return f'<text x="{x:.1f}" y="{max(y, TOP):.1f}" text-anchor="{anchor}">{escape(name)}</text>'


def _grid(across: Axis, up: Axis) -> list[str]:
    def lines(axis: Axis, line: Callable[[float], str], label: Callable[[float, float], str]) -> list[str]:
        return [part for value in axis.ticks() for part in (line(axis(value)), label(axis(value), value))]

    return [
        *lines(
            across,
            lambda x: f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
            lambda x, value: f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>',
        ),
        *lines(
            up,
            lambda y: f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
            lambda y, value: f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{100 * value:g}</text>',
        ),
    ]


def _titles(across: str, up: str) -> list[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{escape(up)}</text>',
    ]


def _svg(parts: Sequence[str], title: str, height: float = HEIGHT) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return "\n".join([head, *parts, "</svg>"])
