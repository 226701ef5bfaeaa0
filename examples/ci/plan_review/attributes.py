"""What differs between the two sides of a change, attribute by attribute; what is sensitive is never among it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ABSENT: Final = "(none)"
UNKNOWN: Final = "(known after apply)"
SENSITIVE: Final = "(sensitive value)"

_NOTHING: Final = object()


@dataclass(frozen=True)
class Attribute:
    """One attribute that changes."""

    path: str
    before: str
    after: str
    forces: bool = False  #: it cannot be changed without a replacement


@dataclass(frozen=True)
class _Side:
    """A value beside what is said of it: sensitive, not known yet."""

    value: Any
    sensitive: Any = False
    unknown: Any = False

    def at(self, key: str | int) -> _Side:
        """A member; what is not there has no value."""
        return _Side(
            _member(self.value, key, _NOTHING), _member(self.sensitive, key, False), _member(self.unknown, key, False)
        )

    @property
    def is_there(self) -> bool:
        return self.unknown is True or self.value not in (_NOTHING, None)

    @property
    def holds_sensitive(self) -> bool:
        """Whether any part of it is sensitive."""
        return _holds_true(self.sensitive)

    def shown(self) -> str:
        """The value for a reader."""
        if self.sensitive is True:
            return SENSITIVE if self.is_there else ABSENT
        if self.unknown is True:
            return UNKNOWN
        return ABSENT if not self.is_there else json.dumps(self.value, ensure_ascii=False)


def differences(change: Mapping[str, Any]) -> list[Attribute]:
    """The attributes that a `change` of a plan changes: of a creation all that are set, of a deletion all that were."""
    before = _Side(change.get("before"), change.get("before_sensitive", False))
    after = _Side(change.get("after"), change.get("after_sensitive", False), change.get("after_unknown", False))
    forcing = [_path(steps) for steps in change.get("replace_paths", [])]
    found = [
        Attribute(path, left.shown(), right.shown(), any(_covers(forced, path) for forced in forcing))
        for path, left, right in _walk("", before, after)
    ]
    # What forces a replacement may be known after apply only, or sensitive: it is named in any case.
    missing = [forced for forced in forcing if not any(_covers(forced, attribute.path) for attribute in found)]
    return [*found, *(Attribute(path, "", "", forces=True) for path in missing)]


def _walk(path: str, before: _Side, after: _Side) -> Iterator[tuple[str, _Side, _Side]]:
    """Every place at which the sides differ, as deep as they can be taken apart."""
    if True in (before.sensitive, after.sensitive) or after.unknown is True:
        hidden = True in (before.sensitive, after.sensitive)
        if after.unknown is True or before.value != after.value:
            yield path, *((_hidden(before), _hidden(after)) if hidden else (before, after))
        return
    if before.value == after.value and not after.unknown:
        return
    left, right = _opened(before), _opened(after)
    keys = _keys(left, right)
    if keys is None:
        if before.is_there or after.is_there:
            yield path, *((_hidden(before), _hidden(after)) if _any_sensitive(before, after) else (before, after))
        return
    for key in keys:
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
        yield from _walk(path + step, left.at(key), right.at(key))


def _any_sensitive(*sides: _Side) -> bool:
    return any(side.holds_sensitive for side in sides)


def _hidden(side: _Side) -> _Side:
    """A side of which nothing is shown but whether it is there."""
    return _Side(side.value, sensitive=True, unknown=side.unknown)


def _opened(side: _Side) -> _Side:
    """A side whose value is a JSON document in a text (a policy, a state machine) as that document."""
    if isinstance(side.value, str) and side.value[:1] in ("{", "["):
        try:
            return _Side(json.loads(side.value))
        except ValueError:
            return side
    return side


def _keys(left: _Side, right: _Side) -> Sequence[str | int] | None:
    """What both sides can be taken apart by, or none where they are shown as a whole."""
    values = [side.value for side in (left, right) if side.is_there and side.unknown is not True]
    unknown = right.unknown
    if values and all(isinstance(value, dict) for value in values):
        more = unknown if isinstance(unknown, dict) else {}
        return sorted({key for value in [*values, more] for key in value})
    if values and all(isinstance(value, list) for value in values):
        plain = all(not isinstance(item, dict | list) for value in values for item in value)
        if plain and not isinstance(unknown, list):
            return None
        if plain and not _holds_true(unknown):
            return None
        more_items = len(unknown) if isinstance(unknown, list) else 0
        return range(max([more_items, *map(len, values)]))
    return None


def _member(value: Any, key: str | int, missing: Any) -> Any:
    """A member of a value or of a mark on one; a mark that is plainly true or false holds for all members."""
    if isinstance(value, bool) and isinstance(missing, bool):
        return value
    if isinstance(value, dict):
        return value.get(key, missing)
    if isinstance(value, list) and isinstance(key, int):
        return value[key] if key < len(value) else missing
    return missing


def _holds_true(mark: Any) -> bool:
    if isinstance(mark, dict):
        return any(_holds_true(member) for member in mark.values())
    if isinstance(mark, list):
        return any(_holds_true(member) for member in mark)
    return mark is True


def _path(steps: Sequence[str | int]) -> str:
    """A path of `replace_paths` as it is written here."""
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def _covers(forced: str, path: str) -> bool:
    """Whether what forces is this attribute, a part of it, or what it is a part of."""
    return any(
        whole == part or (whole.startswith(part) and whole[len(part)] in ".[")
        for whole, part in ((path, forced), (forced, path))
    )
