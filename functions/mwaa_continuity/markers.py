"""Environment markers of requirements (PEP 508), as far as they can be decided without the machine that they are about.

What they say of an MWAA image is known but for the processor, the kernel and the last number of Python's version.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

from mwaa_continuity.versions import NotAVersion, parse_specifier

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>'[^']*'|"[^"]*")|(?P<operator>===|~=|==|!=|<=|>=|<|>)"""
    r"""|(?P<bracket>[()])|(?P<word>[A-Za-z_][A-Za-z0-9_.]*))"""
)
_COMPARED_AS_VERSIONS: Final = frozenset({"python_version", "python_full_version", "implementation_version"})
_UNKNOWN: Final = frozenset(
    {"python_full_version", "implementation_version", "platform_machine", "platform_release", "platform_version"}
)
#: How texts are compared. Which of two is the greater is answered by each version of pip in its own way.
_TEXT_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
}


class NotAMarker(ValueError):
    """A text is no environment marker."""


def known_environment(python: str) -> Mapping[str, str]:
    """What is known of an MWAA image with this Python, such as "3.11"."""
    return {
        "python_version": python,
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "extra": "",
    }


def applies(marker: str, known: Mapping[str, str]) -> bool | None:
    """Whether a marker holds; none where that depends on what is not known. Raises `NotAMarker`."""
    reader = _Reader(marker, known)
    holds = reader.alternatives()
    if reader.tokens:
        raise NotAMarker(f"{reader.tokens[0][1]!r} is not expected there")
    return holds


class _Reader:
    """Reads a marker from left to right. `or` binds less than `and`."""

    def __init__(self, marker: str, known: Mapping[str, str]) -> None:
        self.tokens = tokens_of(marker)
        self.known = known

    def take(self) -> tuple[str, str]:
        """The next token: its kind and its text."""
        if not self.tokens:
            raise NotAMarker("it ends too early")
        return self.tokens.pop(0)

    def skip(self, text: str) -> bool:
        """Whether the next token is this one; it is then taken."""
        if self.tokens and self.tokens[0][0] != "string" and self.tokens[0][1] == text:
            self.tokens.pop(0)
            return True
        return False

    def alternatives(self) -> bool | None:
        """Parts with `or` between them."""
        holds = self.conjunction()
        while self.skip("or"):
            holds = either(holds, self.conjunction())
        return holds

    def conjunction(self) -> bool | None:
        """Parts with `and` between them."""
        holds = self.part()
        while self.skip("and"):
            holds = both(holds, self.part())
        return holds

    def part(self) -> bool | None:
        """One comparison, or a marker in brackets."""
        if self.skip("("):
            holds = self.alternatives()
            if not self.skip(")"):
                raise NotAMarker("a bracket is not closed")
            return holds
        left, compared, right = self.take(), self.comparison(), self.take()
        names = [text for kind, text in (left, right) if kind == "word"]
        if not names or any(kind not in ("word", "string") for kind, _ in (left, right)):
            raise NotAMarker("a comparison wants a variable, such as python_version, and a text in quotes")
        values = self.value(left), self.value(right)
        if values[0] is None or values[1] is None:
            return None
        return compare(values[0], compared, values[1], as_versions=not _COMPARED_AS_VERSIONS.isdisjoint(names))

    def comparison(self) -> str:
        """An operator."""
        kind, text = self.take()
        if kind == "operator" or text == "in":
            return text
        if text == "not" and self.skip("in"):
            return "not in"
        raise NotAMarker(f"{text!r} is no comparison")

    def value(self, token: tuple[str, str]) -> str | None:
        """What a token stands for, or none where that is not known."""
        kind, text = token
        if kind == "string":
            return text[1:-1]
        if text in self.known:
            return self.known[text]
        if text in _UNKNOWN:
            return None
        raise NotAMarker(f"{text!r} is no variable of a marker")


def tokens_of(marker: str) -> list[tuple[str, str]]:
    """Kind and text of every token. Raises `NotAMarker`."""
    tokens: list[tuple[str, str]] = []
    place = 0
    text = marker.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise NotAMarker(f"{text[place:].strip()!r} cannot be read")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


def compare(left: str, compared: str, right: str, *, as_versions: bool) -> bool | None:
    """One comparison: of versions where that is what it is about, else of texts; none where it cannot be told."""
    if as_versions and compared not in ("in", "not in"):
        try:
            return parse_specifier(f"{compared}{right}").allows(left)
        except NotAVersion:
            return None
    decide = _TEXT_OPERATORS.get(compared)
    return None if decide is None else decide(left, right)


def either(left: bool | None, right: bool | None) -> bool | None:
    """`or` of what may be unknown."""
    if left or right:
        return True
    return None if left is None or right is None else False


def both(left: bool | None, right: bool | None) -> bool | None:
    """`and` of what may be unknown."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True
