"""The time line of a report as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any

from tests.rehearsal.readable import seconds_of

LEFT, WIDTH, HEIGHT = 20.0, 1000.0, 40.0
TOTAL = LEFT * 2 + WIDTH
CHARACTER = 7.2
ROW = 17.0
TICKS = (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 36000)


def timeline(drawn: dict[str, Any]) -> str:
    """A picture in scale of the member `timeline` of a report: parts as bars, marks above them, an axis below."""
    parts = [(part, _epoch(part["begin"]), _epoch(part["end"])) for part in drawn["parts"]]
    marks = [(mark["label"], _epoch(mark["at"])) for mark in drawn["marks"]]
    moments = [at for _, *both in parts for at in both] + [at for _, at in marks]
    begin, end = min(moments), max(moments)
    scale = WIDTH / max(end - begin, 1.0)

    def x(at: float) -> float:
        return LEFT + (at - begin) * scale

    above, top = _marks([(x(at), label) for label, at in marks])
    bars = [_bar(part, x(first), x(last), top) for part, first, last in parts]
    axis = _axis(begin, end, x, _epoch(drawn["zero"]), top + HEIGHT + 26)
    legend, bottom = _legend(drawn["parts"], top + HEIGHT + 58)
    label = escape(drawn["title"], quote=True)
    return (
        f'<svg viewBox="0 0 {TOTAL:.0f} {bottom:.0f}" role="img" aria-label="Time line: {label}">'
        f"{''.join([*bars, *above, *axis, *legend])}</svg>"
    )


def _bar(part: dict[str, Any], x1: float, x2: float, top: float) -> str:
    text = f"{part['label']} {seconds_of(part['seconds'])}"
    return (
        f'<rect x="{x1:.1f}" y="{top:.0f}" width="{max(x2 - x1, 1.0):.1f}" height="{HEIGHT:.0f}" '
        f'style="fill: var(--{part["colour"]})"><title>{escape(text)}</title></rect>'
    )


def _marks(marks: list[tuple[float, str]]) -> tuple[list[str], float]:
    """Labelled lines, and where the bars below them begin; a label that would run into another goes up a row."""
    placed: list[tuple[float, float, int, str]] = []
    ends: list[float] = []
    for at, text in sorted(marks):
        width = CHARACTER * len(text)
        start = min(max(at - width / 2, 2.0), TOTAL - 2.0 - width)
        row = next((index for index, end in enumerate(ends) if start > end + 8), len(ends))
        ends[row : row + 1] = [start + width]
        placed.append((at, start, row, text))
    top = 16.0 + ROW * len(ends)
    drawn = []
    for at, start, row, text in placed:
        y = top - 10 - ROW * row
        drawn.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{y + 3:.0f}" y2="{top + HEIGHT:.0f}"/>')
        drawn.append(f'<text x="{start:.1f}" y="{y:.0f}">{escape(text)}</text>')
    return drawn, top


def _axis(begin: float, end: float, x: Callable[[float], float], zero: float, y: float) -> list[str]:
    step = next((tick for tick in TICKS if (end - begin) / tick <= 14), TICKS[-1])
    first = math.ceil((begin - zero) / step)
    drawn = []
    for number in range(first, int((end - zero) // step) + 1):
        at = x(zero + number * step)
        sign = "+" if number > 0 else ""
        drawn.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 20:.0f}" y2="{y - 14:.0f}"/>')
        drawn.append(
            f'<text class="small" text-anchor="middle" x="{at:.1f}" y="{y:.0f}">{sign}{number * step} s</text>'
        )
    return drawn


def _legend(parts: list[dict[str, Any]], y: float) -> tuple[list[str], float]:
    """What each colour is, in as many rows as it takes; and where the picture ends."""
    drawn, at = [], LEFT
    for part in parts:
        text = f"{part['label']} {seconds_of(part['seconds'])}"
        width = 18 + CHARACTER * len(text)
        if at + width > TOTAL:
            at, y = LEFT, y + ROW + 4
        drawn.append(
            f'<rect x="{at:.0f}" y="{y - 11:.0f}" width="12" height="12" rx="2" style="fill: var(--{part["colour"]})"/>'
        )
        drawn.append(f'<text x="{at + 18:.0f}" y="{y:.0f}">{escape(text)}</text>')
        at += width + 24
    return drawn, y + 14


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
