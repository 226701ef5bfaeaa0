"""Numbers as people read them."""

from __future__ import annotations


def seconds_of(value: float) -> str:
    """A time span: 4.2 s, 61 s, 3 min 5 s."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s"


def count_of(value: int) -> str:
    """A number with narrow spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")
