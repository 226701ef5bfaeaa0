"""Checks a request against botocore's model of the MWAA API: members, types, patterns, enumerations, sizes.

botocore checks neither patterns nor enumerations before it sends a request, and requests come from other SDKs too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore.model import Shape

from tests.local_aws.mwaa.errors import invalid

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "double": (int, float),
    "timestamp": (int, float, str),
    "list": list,
    "map": dict,
    "structure": dict,
}
#: What \p{L}, \p{N} and \p{Z} of the model's patterns mean inside a character class.
_UNICODE_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": "",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


def validate(shape: Shape | None, value: dict[str, Any]) -> None:
    """Raise ValidationException, worded as AWS words it, unless the value fits the shape."""
    problems = list(_problems(shape, value, "")) if shape else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise invalid(f"{count}: {'; '.join(problems)}")


@functools.cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of the model as Python understands it. AWS matches whole values."""
    for java, python in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _problem(shown: str, path: str, constraint: str) -> str:
    value = f" '{shown}'" if shown else ""
    return f"Value{value} at '{path}' failed to satisfy constraint: {constraint}"


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    if not isinstance(value, _TYPES[shape.type_name]) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield _problem("", path, f"Member must be of type {shape.type_name}")
        return
    check = _CHECKS.get(shape.type_name)
    if check:
        yield from check(shape, value, path)


def _structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in value:
        if name not in shape.members:
            yield _problem("", _join(path, name), f"Unknown member; accepted: {', '.join(shape.members)}")
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _problems(member, value[name], _join(path, name))


def _list(shape: Any, value: list[Any], path: str) -> Iterator[str]:
    yield from _limits(shape, len(value), "", path, "length")
    for index, item in enumerate(value, start=1):
        yield from _problems(shape.member, item, f"{path}.{index}.member")


def _map(shape: Any, value: dict[Any, Any], path: str) -> Iterator[str]:
    yield from _limits(shape, len(value), "", path, "length")
    for key, item in value.items():
        yield from _problems(shape.key, key, f"{path}.key")
        yield from _problems(shape.value, item, f"{path}.{key}")


def _string(shape: Any, value: str, path: str) -> Iterator[str]:
    shown = "***" if shape.metadata.get("sensitive") else value
    yield from _limits(shape, len(value), shown, path, "length")
    if shape.enum and value not in shape.enum:
        yield _problem(shown, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not compile_pattern(pattern).fullmatch(value):
        yield _problem(shown, path, f"Member must satisfy regular expression pattern: {pattern}")


def _number(shape: Any, value: float, path: str) -> Iterator[str]:
    yield from _limits(shape, value, str(value), path, "value")


def _limits(shape: Any, measured: float, shown: str, path: str, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and measured < least:
        yield _problem(shown, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and measured > most:
        yield _problem(shown, path, f"Member must have {what} less than or equal to {most}")


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


_CHECKS: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _number,
    "double": _number,
}
