"""Line charts as SVG, by hand: few points, a logarithmic axis to the right, a linear one up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 40, 50, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
STEPS = 5

Points = Sequence[tuple[float, float]]


def line_chart(title: str, unit: str, series: Mapping[str, Points], limit: tuple[str, float] | None = None) -> str:
    """A chart of series over a number of task instances; `limit` is a dashed line with its name."""
    sizes = sorted({size for points in series.values() for size, _ in points})
    highest = max(value for points in series.values() for _, value in points)
    top = _round_up(max(highest, limit[1] if limit else 0.0))

    def x(size: float) -> float:
        low, high = math.log10(sizes[0]), math.log10(sizes[-1])
        return LEFT + (WIDTH - LEFT - RIGHT) * ((math.log10(size) - low) / (high - low) if high > low else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{LEFT}" y="38" fill="#555">{escape(unit)}, over the number of task instances</text>',
    ]
    for step in range(STEPS + 1):
        value = top * step / STEPS
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts += [
        f'<text x="{x(size):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{size:,.0f}</text>' for size in sizes
    ]
    if limit:
        parts.append(_line([(LEFT, y(limit[1])), (WIDTH - RIGHT, y(limit[1]))], "#555", ' stroke-dasharray="6 4"'))
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y(limit[1]) - 5:.1f}" text-anchor="end">{escape(limit[0])}</text>')
    for points, colour in zip(series.values(), COLOURS, strict=False):
        places = [(x(size), y(value)) for size, value in points]
        parts.append(_line(places, colour))
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
    for number, (name, colour) in enumerate(zip(series, COLOURS, strict=False)):
        at = LEFT + number * (WIDTH - LEFT - RIGHT) / len(series)
        parts.append(f'<rect x="{at:.0f}" y="{HEIGHT - 20}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{at + 15:.0f}" y="{HEIGHT - 11}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _line(places: Points, colour: str, more: str = "") -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{more}/>'


def _round_up(value: float) -> float:
    """The next number above that five steps divide well."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * factor for factor in (1, 1.5, 2, 2.5, 4, 5, 7.5, 10) if size * factor >= value)
