"""Expressions of EventBridge Scheduler: `rate(5 minutes)`, `cron(0 3 ? * MON-FRI *)`, `at(2026-11-22T03:00:00)`."""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = {name.upper(): str(number) for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: str(number) for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}


class BadExpression(ValueError):
    """Not a schedule expression; the message says what is accepted."""


def rate_seconds(expression: str) -> int | None:
    """Seconds of a rate; None when the expression is none."""
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    return int(match.group(1)) * _UNITS[match.group(2)] if match else None


def at_time(expression: str, timezone: str) -> datetime | None:
    """The one time of an `at`; None when the expression is none."""
    match = re.fullmatch(r"at\((.+)\)", expression)
    return datetime.fromisoformat(match.group(1)).replace(tzinfo=ZoneInfo(timezone)) if match else None


def _field_matches(field: str, value: int, low: int, high: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        elif "-" in span:
            first, last = (int(item) for item in span.split("-"))
        else:
            first = int(span)
            last = high if step else first
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


def _named(field: str, names: dict[str, str]) -> str:
    return re.sub("[A-Z]{3}", lambda match: names.get(match.group(0), match.group(0)), field.upper())


def _day_of_month_matches(field: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if field == "L":
        return day.day == last
    if match := re.fullmatch(r"(\d+|L)W", field):
        wanted = last if match.group(1) == "L" else min(int(match.group(1)), last)
        return day.day == _nearest_weekday(day.replace(day=wanted), last)
    return _field_matches(field, day.day, 1, 31)


def _nearest_weekday(day: date, last: int) -> int:
    if day.weekday() == 5:
        return day.day - 1 if day.day > 1 else day.day + 2
    if day.weekday() == 6:
        return day.day + 1 if day.day < last else day.day - 2
    return day.day


def _day_of_week_matches(field: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1
    if match := re.fullmatch(r"(\d)#(\d)", field):
        return number == int(match.group(1)) and (day.day - 1) // 7 + 1 == int(match.group(2))
    if match := re.fullmatch(r"(\d)?L", field):
        last = calendar.monthrange(day.year, day.month)[1]
        return number == int(match.group(1) or 7) and (not match.group(1) or day.day + 7 > last)
    return _field_matches(field, number, 1, 7)


def cron_matches(expression: str, moment: datetime) -> bool | None:
    """Whether a cron expression means the minute of `moment` (in the schedule's time zone); None: it is no cron.

    Raises BadExpression.
    """
    match = re.fullmatch(r"cron\((.+)\)", expression)
    if not match:
        return None
    fields = match.group(1).split()
    if len(fields) != 6 or (fields[2] != "?") == (fields[4] != "?"):
        raise BadExpression(f"{expression}: accepted: six fields, one of day-of-month and day-of-week being ?")
    minute, hour, day_of_month, month, day_of_week, year = fields
    return (
        _field_matches(minute, moment.minute, 0, 59)
        and _field_matches(hour, moment.hour, 0, 23)
        and _day_of_month_matches(day_of_month.upper(), moment.date())
        and _field_matches(_named(month, _MONTHS), moment.month, 1, 12)
        and _day_of_week_matches(_named(day_of_week, _DAYS), moment.date())
        and _field_matches(year, moment.year, 1970, 2199)
    )
