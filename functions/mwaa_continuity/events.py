"""Reading an event: every field is checked before anything is touched.

Every error is `BadInput` and names the field, what was wrong and what is accepted. Values are not repeated in
messages, except those that can hold no secret: an action and the id of a snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from mwaa_continuity.errors import BadInput

Event = Mapping[str, object]

SNAPSHOT_ID: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.+-]{1,200}")


def as_event(event: object) -> Event:
    """The event as a mapping. Raises `BadInput` if it is anything else than a JSON object."""
    if not isinstance(event, Mapping):
        raise BadInput(f"event is {kind(event)}; accepted: a JSON object")
    return event


def kind(value: object) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    return "an object" if isinstance(value, Mapping) else "a list"


def text(event: Event, field: str, accepted: str = "a non-empty string") -> str:
    """A string that must be there."""
    value = event.get(field)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{field} is {kind(value)}; accepted: {accepted}")
    return value


def optional_text(event: Event, field: str, accepted: str = "a non-empty string, or null") -> str | None:
    """A string that may be missing or null."""
    return None if event.get(field) is None else text(event, field, accepted)


def number(event: Event, field: str, *, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    value = event.get(field)
    accepted = f"a whole number from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{field} is {kind(value)}; accepted: {accepted}")
    if not low <= value <= high:
        raise BadInput(f"{field} is {value}; accepted: {accepted}")
    return value


def optional_number(event: Event, field: str, default: int, *, low: int, high: int) -> int:
    """A whole number from `low` to `high`, or `default` where the field is missing or null."""
    return default if event.get(field) is None else number(event, field, low=low, high=high)


def flag(event: Event, field: str) -> bool:
    """A boolean, false where the field is missing or null."""
    value = event.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise BadInput(f"{field} is {kind(value)}; accepted: true or false")
    return value


def choice(event: Event, field: str, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    value = optional_choice(event, field, choices)
    if value is None:
        raise BadInput(f"{field} is missing; accepted: {', '.join(choices)}")
    return value


def optional_choice(event: Event, field: str, choices: tuple[str, ...]) -> str | None:
    """One of a few words, or none where the field is missing or null."""
    accepted = f"{', '.join(choices)}, or null"
    value = optional_text(event, field, accepted)
    if value is not None and value not in choices:
        raise BadInput(f"{field} is another word; accepted: {accepted}")
    return value


def snapshot_id(event: Event, field: str = "snapshot_id") -> str:
    """The id of a snapshot."""
    accepted = "YYYYMMDDTHHMMSSZ-<8 hex digits>"
    value = text(event, field, accepted)
    if not SNAPSHOT_ID.fullmatch(value):
        raise BadInput(f"{field} is {value[:60]!r}; accepted: {accepted}")
    return value


def optional_snapshot_id(event: Event, field: str = "snapshot_id") -> str | None:
    """The id of a snapshot, or none."""
    return None if event.get(field) is None else snapshot_id(event, field)


def request_id(event: Event) -> str:
    """The id of a request: part of an object key and of a DAG run's id."""
    accepted = "1 to 200 of the characters A-Z a-z 0-9 _ . + -"
    value = text(event, "request_id", accepted)
    if not REQUEST_ID.fullmatch(value):
        raise BadInput(f"request_id is not of that form; accepted: {accepted}")
    return value


def instant(event: Event, field: str) -> datetime | None:
    """An instant with its time zone, or none where the field is missing or null."""
    accepted = "an instant such as 2026-11-21T08:15:00Z"
    value = optional_text(event, field, accepted)
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{field} is a string of another form; accepted: {accepted}") from None
    if parsed.tzinfo is None:
        raise BadInput(f"{field} has no time zone; accepted: {accepted}")
    return parsed.astimezone(UTC)


def needed_instant(event: Event, field: str) -> datetime:
    """An instant with its time zone that must be there."""
    value = instant(event, field)
    if value is None:
        raise BadInput(f"{field} is missing; accepted: an instant such as 2026-11-21T08:15:00Z")
    return value
