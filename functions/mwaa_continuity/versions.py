"""Versions of Python packages and what a specifier such as `>=2.1,!=2.4.*` allows, as PEP 440 orders them.

The standard library has nothing of this, and a function has nothing but it. Whether a range admits pre-releases when
pip looks for a candidate is not decided here: a version that is pinned elsewhere is allowed or is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_VERSION: Final = re.compile(
    r"""v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]+)?)?
    (?P<post>-(?P<post_short>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]+)?)?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.IGNORECASE,
)
_STAGES: Final = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_NO_STAGE: Final = (3, 0)
_BEFORE_STAGES: Final = (-1, 0)
_SPECIFIER: Final = re.compile(r"\s*(?P<operator>===|~=|==|!=|<=|>=|<|>)\s*(?P<version>[^\s,;)]+)\s*")
#: Operators that take a version with a local part; for the others it is an error.
_TAKE_LOCAL: Final = frozenset({"==", "!=", "==="})


class NotAVersion(ValueError):
    """A text is no version, or no specifier, of PEP 440."""


Local = tuple[tuple[int, int, str], ...]
Key = tuple[int, tuple[int, ...], tuple[int, int], int, tuple[int, int], Local]


@dataclass(frozen=True)
class Version:
    """One version in its parts; `key` orders it."""

    epoch: int
    release: tuple[int, ...]
    pre: tuple[int, int] | None
    post: int | None
    dev: int | None
    local: Local

    @cached_property
    def key(self) -> Key:
        """What versions are compared by. Zeros at the end of a release mean nothing."""
        pre = self.pre or _NO_STAGE
        if self.pre is None and self.post is None and self.dev is not None:
            pre = _BEFORE_STAGES
        post = -1 if self.post is None else self.post
        dev = (1, 0) if self.dev is None else (0, self.dev)
        return self.epoch, stripped(self.release), pre, post, dev, self.local

    @property
    def is_before_release(self) -> bool:
        """Whether it is a pre-release or a development release."""
        return self.pre is not None or self.dev is not None

    @property
    def base(self) -> tuple[int, tuple[int, ...]]:
        """Epoch and release: what versions of one release share."""
        return self.epoch, stripped(self.release)

    @property
    def public(self) -> Version:
        """The version without its local part."""
        return Version(self.epoch, self.release, self.pre, self.post, self.dev, ())


@dataclass(frozen=True)
class Specifier:
    """One comparison of a requirement, such as `>=2.1`."""

    operator: str
    text: str  #: the version as it was written, with `.*` where it had that

    def __str__(self) -> str:
        return f"{self.operator}{self.text}"

    @property
    def exact(self) -> str | None:
        """The one version that it asks for, or none."""
        named = self.operator in ("==", "===") and not self.text.endswith(".*")
        return self.text if named else None

    def allows(self, version: str) -> bool:
        """Whether a version meets it. Raises `NotAVersion`."""
        if self.operator == "===":
            return version.strip().lower() == self.text.lower()
        found = parse_version(version)
        if self.text.endswith(".*"):
            same = begins_with(found, parse_version(self.text[:-2]))
            return same is (self.operator == "==")
        return compares(found, self.operator, parse_version(self.text))


def parse_version(text: str) -> Version:
    """A version. Raises `NotAVersion`."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise NotAVersion(f"{text.strip()!r} is no version; accepted: one of PEP 440, such as 2.10.3 or 1.0rc1")
    stage = found["pre"]
    return Version(
        epoch=int(found["epoch"] or 0),
        release=tuple(int(part) for part in found["release"].split(".")),
        pre=(_STAGES[stage.lower()], int(found["pre_number"] or 0)) if stage else None,
        post=int(found["post_short"] or found["post_number"] or 0) if found["post"] else None,
        dev=int(found["dev_number"] or 0) if found["dev"] else None,
        local=tuple(local_part(part) for part in re.split(r"[-_.]", (found["local"] or "").lower()) if part),
    )


def local_part(part: str) -> tuple[int, int, str]:
    """One part of a local version: numbers are newer than words."""
    return (1, int(part), "") if part.isdigit() else (0, 0, part)


def stripped(release: tuple[int, ...]) -> tuple[int, ...]:
    """A release without the zeros at its end."""
    end = len(release)
    while end > 1 and release[end - 1] == 0:
        end -= 1
    return release[:end]


def begins_with(version: Version, prefix: Version) -> bool:
    """Whether a version is one of `prefix.*`."""
    length = len(prefix.release)
    padded = (version.release + (0,) * length)[:length]
    return version.epoch == prefix.epoch and padded == prefix.release


def compares(found: Version, operator: str, wanted: Version) -> bool:
    """Whether `found operator wanted` holds by PEP 440."""
    public = found.public.key
    if operator in ("==", "!="):
        same = (found if wanted.local else found.public).key == wanted.key
        return same is (operator == "==")
    if operator == ">=":
        return public >= wanted.key
    if operator == "<=":
        return public <= wanted.key
    if operator == "~=":
        series = Version(wanted.epoch, wanted.release[:-1], None, None, None, ())
        return public >= wanted.key and begins_with(found, series)
    same_release = found.base == wanted.base
    if operator == "<":
        early = same_release and found.is_before_release and not wanted.is_before_release
        return found.key < wanted.key and not early
    late = same_release and (bool(found.local) or (found.post is not None and wanted.post is None))
    return found.key > wanted.key and not late


def parse_specifiers(text: str) -> tuple[Specifier, ...]:
    """Specifiers with commas between them; none of an empty text. Raises `NotAVersion`."""
    if not text.strip():
        return ()
    return tuple(parse_specifier(part) for part in text.split(",") if part.strip())


def parse_specifier(text: str) -> Specifier:
    """One specifier. Raises `NotAVersion` with what is wrong with it."""
    found = _SPECIFIER.fullmatch(text)
    if found is None:
        raise NotAVersion(f"{text.strip()!r} is no comparison; accepted: == != <= >= < > ~= === and a version")
    operator, version = found["operator"], found["version"]
    if operator == "===":
        return Specifier(operator, version)
    wildcard = version.endswith(".*")
    parsed = parse_version(version[:-2] if wildcard else version)
    plain = parsed == Version(parsed.epoch, parsed.release, None, None, None, ())
    if wildcard and not (operator in ("==", "!=") and plain):
        raise NotAVersion(f"{text.strip()!r}: .* is accepted after the numbers of == and != only")
    if operator == "~=" and len(parsed.release) == 1:
        raise NotAVersion(f"{text.strip()!r}: ~= takes a version of two numbers or more")
    if parsed.local and operator not in _TAKE_LOCAL:
        raise NotAVersion(f"{text.strip()!r}: a version with + is accepted after == and != only")
    return Specifier(operator, version)


def all_allow(specifiers: Iterable[Specifier], version: str) -> bool:
    """Whether a version meets every specifier. Raises `NotAVersion`."""
    return all(specifier.allows(version) for specifier in specifiers)
