"""The calendar of a hibernation: days on which no schedule puts the environment away."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from mwaa_continuity.errors import BadInput
from mwaa_continuity.settings import optional_variable, variable


def is_exception(scheduled_at: datetime) -> bool:
    """Whether the day of an instant, in the calendar's time zone, is an exception. Raises `BadInput`."""
    listed = days()
    return bool(listed) and scheduled_at.astimezone(time_zone()).date() in listed


def days() -> set[date]:
    """The days that variable EXCEPTIONS names."""
    names = [name.strip() for name in (optional_variable("EXCEPTIONS") or "").split(",")]
    try:
        return {date.fromisoformat(name) for name in names if name}
    except ValueError:
        raise BadInput(
            "EXCEPTIONS holds no date; accepted: dates such as 2026-12-24, with commas between them"
        ) from None


def time_zone() -> ZoneInfo:
    """The time zone that variable TIMEZONE names."""
    name = variable("TIMEZONE")
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no name of one, or none that this machine has data of
        raise BadInput(f"TIMEZONE is {name!r}; accepted: the name of a time zone such as Europe/Berlin") from None
