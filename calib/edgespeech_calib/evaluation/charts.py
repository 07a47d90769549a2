"""Charts as SVG text: errors against speed and size, noise by layer. They need no script and nothing from outside."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 720, 400  # of a chart, without its rows of numbers
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 44, 72  # margins, with room for the larger letters of narrow screens
LARGEST, SMALLEST = 26.0, 5.0  # radii
KEY = 36  # pixels between the numbers of two systems, which stand in rows above the chart
TICK = 110  # pixels that a value of the lower axis needs
LETTER = 14  # pixels of a digit on narrow screens
COLOURS = 8
MANY, WORST = 60, 12  # layers that are too many to show all at first, and how many are shown then


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
        """Round values that leave room for each other: 1, 2 and 5 of each decade, or about five evenly spaced ones."""
        if self.is_log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for steps, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 5)):
                powers = [power for power in range(first, last + 1) if power % every == 0]
                values = [step * 10.0**power for power in powers for step in steps]
                values = [value for value in values if self.low <= value <= self.high]
                if all(abs(self(b) - self(a)) >= TICK for a, b in pairwise(values)):
                    break
            return values
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        values = [step * index for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in values if self.low <= value <= self.high]


@dataclass(frozen=True)
class Chart:
    """A chart as SVG, and the names of what it numbers from 1 on."""

    svg: str
    names: tuple[str, ...]


def errors_by_speed(points: Sequence[Point], what: str = "word errors") -> Chart:
    """Error rate against real-time factor; a disc's area is the system's size, its line the 95 % interval.

    Discs have numbers, which stand in rows above all of them, so that no name can cover another one.
    """
    keys, rows = key_places([math.log(point.speed) for point in points])
    top = TOP + KEY * rows
    height = HEIGHT + KEY * rows
    speeds = [point.speed for point in points]
    highest = max(max(point.high for point in points) * 1.1, 0.01)
    across = Axis(min(speeds) / 2, max(speeds) * 2, LEFT, WIDTH - RIGHT, is_log=True)
    up = Axis(0.0, highest, height - BOTTOM, top)
    biggest = max(point.size for point in points) or 1
    lines, discs = [], []
    for index, point in enumerate(points):
        x, y = across(point.speed), up(point.rate)
        radius = max(SMALLEST, LARGEST * math.sqrt(point.size / biggest))
        place, row = keys[index]
        key_y = TOP + KEY * (row + 0.5)
        lines.append(
            f'<line class="leader" x1="{place:.1f}" x2="{x:.1f}" y1="{key_y + 8:.1f}" y2="{max(top, y - radius):.1f}"/>'
        )
        colour = f"c{index % COLOURS}"
        discs += [
            f'<line class="interval {colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{up(point.low):.1f}" '
            f'y2="{up(point.high):.1f}"/>',
            f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{escape(point.name)}</title>'
            "</circle>",
            f'<text class="key" x="{place:.1f}" y="{key_y:.1f}" text-anchor="middle">{index + 1}</text>',
        ]
    titles = [
        f'<text x="0" y="20">{escape(what)}, %</text>',
        f'<text x="{WIDTH - RIGHT}" y="{height - 12}" text-anchor="end">seconds of work for a second of speech</text>',
    ]
    parts = [*_grid(across, up, top, height), *titles, *lines, *discs]
    return Chart(_svg(parts, f"{what} against speed and size", height), tuple(point.name for point in points))


def key_places(positions: Sequence[float]) -> tuple[list[tuple[float, int]], int]:
    """Where the numbers of systems stand, each with its row, and how many rows there are; none covers another one.

    Within a row they are in the order of the positions, as close to them as their widths let.
    """
    low, high = LEFT + KEY / 2, WIDTH - RIGHT - KEY / 2
    most = int((high - low) // KEY) + 1
    rows = -(-len(positions) // most)
    least, spread = min(positions) - math.log(2), max(positions) - min(positions) + 2 * math.log(2)
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    places: list[tuple[float, int]] = [(0.0, 0)] * len(positions)
    for row in range(rows):
        members = order[row::rows]
        own = [LEFT + (positions[index] - least) / spread * (WIDTH - RIGHT - LEFT) for index in members]
        for index, place in zip(members, apart(own, KEY, low, high), strict=True):
            places[index] = (place, row)
    return places, rows


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places in ascending order, moved so that `gap` is between neighbours, between `low` and `high`."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, low, moved[-1] + gap if moved else low))
    limit = high
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - gap
    return moved


@dataclass(frozen=True)
class NoiseRow:
    """A layer's bar, `width` in percent, and what it says."""

    name: str
    value: str
    width: float
    is_float: bool
    said: str


@dataclass(frozen=True)
class NoiseChart:
    """Bars of layers in the order of the network; the `worst` of them first where they are many. `full` is in dB."""

    rows: tuple[NoiseRow, ...]
    worst: tuple[NoiseRow, ...]
    full: float


def noise_by_layer(layers: Sequence[LayerNoise]) -> NoiseChart:
    """A bar for each layer."""
    known = [layer.ratio for layer in layers if layer.ratio is not None and math.isfinite(layer.ratio)]
    full = max(10.0, 10 * math.ceil(max(known, default=0.0) / 10))
    rows = tuple(_noise_row(layer, full) for layer in layers)
    if len(rows) <= MANY:
        return NoiseChart(rows, (), full)
    order = sorted(range(len(rows)), key=lambda index: math.inf if (db := layers[index].ratio) is None else db)
    return NoiseChart(rows, tuple(rows[index] for index in order[:WORST]), full)


def _noise_row(layer: LayerNoise, full: float) -> NoiseRow:
    ratio = layer.ratio
    if ratio is None or math.isnan(ratio):
        value, said, width = "\N{EN DASH}", "not measured", 0.0
    elif math.isinf(ratio):
        value, said, width = "no error", "no error", 100.0
    else:
        value, said, width = f"{ratio:.1f}", f"{ratio:.1f} dB", 100 * min(max(ratio / full, 0.0), 1.0)
    said += ", computes in float" if layer.is_float else ""
    return NoiseRow(layer.name, value, width, layer.is_float, said)


def _grid(across: Axis, up: Axis, top: float, height: float) -> list[str]:
    parts = []
    for value in across.ticks():
        x, label = across(value), f"{value:g}"
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - BOTTOM}"/>')
        x = min(x, WIDTH - LETTER * len(label) / 2)
        parts.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 26}" text-anchor="middle">{label}</text>')
    for value in up.ticks():
        y = up(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 10}" y="{y + 5:.1f}" text-anchor="end">{100 * value:g}</text>')
    return parts


def _svg(parts: Sequence[str], title: str, height: float) -> str:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return "\n".join([head, *parts, "</svg>"])
