"""What a requirements file says, line by line, as pip reads it. Nothing it names is opened."""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mwaa_continuity.versions import NotAVersion, Specifier, parse_specifiers

_COMMENT: Final = re.compile(r"(^|\s+)#.*$")
_VARIABLE: Final = re.compile(r"\$\{[A-Z0-9_]+\}")
_NAME: Final = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*")
_EXTRA: Final = re.compile(r"\s*[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NAMED_ADDRESS: Final = re.compile(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@")
_ARCHIVES: Final = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

#: Options of a whole file and, with a value, what stands after them; by their long names.
_FLAGS: Final = frozenset({"--no-index", "--pre", "--prefer-binary", "--require-hashes"})
_WITH_VALUE: Final = frozenset(
    {
        "--constraint",
        "--editable",
        "--extra-index-url",
        "--find-links",
        "--index-url",
        "--no-binary",
        "--only-binary",
        "--pypi-url",
        "--requirement",
        "--trusted-host",
        "--use-feature",
    }
)
_OF_REQUIREMENT: Final = frozenset({"--hash", "--config-settings", "--config-setting", "--global-option"})
_LONG: Final = {
    "-i": "--index-url",
    "-c": "--constraint",
    "-r": "--requirement",
    "-e": "--editable",
    "-f": "--find-links",
    "-C": "--config-settings",
}
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Unreadable(ValueError):
    """A requirements file, or a line of it, is not what pip accepts; the text says why. It repeats no address."""


@dataclass(frozen=True)
class Requirement:
    """A line that asks for a package by its name."""

    line: int
    name: str  #: as it was written
    specifiers: tuple[Specifier, ...] = ()
    marker: str = ""
    hashed: bool = False

    @property
    def key(self) -> str:
        """The name as packages are compared by it."""
        return normalized(self.name)

    def __str__(self) -> str:
        return self.name + ",".join(str(specifier) for specifier in self.specifiers)


@dataclass(frozen=True)
class Direct:
    """A line that says where a package lies: an address or a path. Not its value, which may hold credentials."""

    line: int
    name: str  #: of the package where the line gives it, else ""
    editable: bool
    path: str  #: the path, "" for an address


@dataclass(frozen=True)
class Option:
    """An option of the whole file."""

    line: int
    name: str  #: its long form
    value: str = field(default="", repr=False)


@dataclass(frozen=True)
class Fault:
    """A line that pip refuses."""

    line: int
    why: str


@dataclass(frozen=True)
class Obscure:
    """A line that says nothing before variables of the environment are filled in."""

    line: int


Entry = Requirement | Direct | Option | Fault | Obscure


def normalized(name: str) -> str:
    """A package's name in the form by which packages are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def text_of(content: bytes) -> str:
    """The file as text. Raises `Unreadable` where it is neither UTF-8 nor begins with a byte order mark."""
    marked = ((mark, encoding) for mark, encoding in _BOMS if content.startswith(mark))
    mark, encoding = next(marked, (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(f"the file is not {encoding.upper()}") from None


def names_constraints(text: str) -> bool:
    """Whether MWAA takes the file to name its own constraints.

    It looks for these letters anywhere in any line, comments included, before pip reads the file.
    """
    return any("-c " in line or "--constraint " in line for line in text.splitlines())


def entries(text: str) -> Iterator[Entry]:
    """Every line that says something."""
    for number, line in logical_lines(text):
        if _VARIABLE.search(line):
            yield Obscure(number)
            continue
        try:
            yield from entry(number, line)
        except Unreadable as error:
            yield Fault(number, str(error))


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines by the number at which they begin: continued ones in one, without comments and empty ones."""
    joined, start = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start or number
        # A comment ends a line that would go on.
        if line.endswith("\\") and not _COMMENT.search(line):
            joined += line.removesuffix("\\")
            continue
        said = _COMMENT.sub("", joined + line).strip()
        if said:
            yield start, said
        joined, start = "", 0


def entry(number: int, line: str) -> Iterator[Entry]:
    """What one line says. Raises `Unreadable`."""
    if line.startswith("-"):
        yield from options(number, line)
        return
    asked, own = split_options(line)
    names = [name for name, _ in read_options(own, _OF_REQUIREMENT)]
    yield requirement(number, asked, hashed="--hash" in names)


def options(number: int, line: str) -> Iterator[Entry]:
    """The options of a line that begins with one. Raises `Unreadable`."""
    for name, value in read_options(line, _FLAGS | _WITH_VALUE | _OF_REQUIREMENT):
        if name == "--editable":
            yield direct(number, value, editable=True)
        elif name not in _OF_REQUIREMENT:
            yield Option(number, name, value)


def split_options(line: str) -> tuple[str, str]:
    """A requirement and the options after it."""
    words = line.split(" ")
    place = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    return " ".join(words[:place]).strip(), " ".join(words[place:])


def read_options(text: str, accepted: frozenset[str]) -> list[tuple[str, str]]:
    """Options by their long names with their values. Raises `Unreadable` for one that is not accepted there."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise Unreadable("a quote is not closed") from None
    found = []
    while words:
        name, value = split_option(words.pop(0))
        if name not in accepted:
            raise Unreadable(f"{name.split('=')[0]!r} is no option that pip accepts here")
        if name not in _FLAGS and value is None:
            if not words:
                raise Unreadable(f"{name} wants a value")
            value = words.pop(0)
        found.append((name, value or ""))
    return found


def split_option(word: str) -> tuple[str, str | None]:
    """The long name of an option and the value that is written onto it, if one is."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    name = _LONG.get(word[:2], word[:2])
    return name, word[2:] or None


def requirement(number: int, text: str, *, hashed: bool) -> Requirement | Direct:
    """A requirement without its options. Raises `Unreadable`."""
    asked = text.partition(";")[0].strip()
    is_path = "/" in asked.partition("@")[0] or asked.startswith(".") or asked.lower().endswith(_ARCHIVES)
    if _ADDRESS.match(text) or (is_path and not _NAMED_ADDRESS.match(text)):
        return direct(number, text)
    found = _NAME.match(text)
    if found is None:
        raise Unreadable("it begins with no name of a package")
    for extra in (found["extras"] or "").split(","):
        if found["extras"] and not _EXTRA.fullmatch(extra):
            raise Unreadable(f"[{found['extras']}] is no list of extras")
    rest = text[found.end() :]
    if rest.startswith("@"):
        return direct(number, rest[1:].strip(), name=found["name"])
    asked, _, marker = rest.partition(";")
    return Requirement(number, found["name"], versions_of(asked), marker.strip(), hashed)


def versions_of(asked: str) -> tuple[Specifier, ...]:
    """The specifiers of a requirement, in brackets or not. Raises `Unreadable`."""
    asked = asked.strip()
    if asked.startswith("("):
        if not asked.endswith(")"):
            raise Unreadable("a bracket is not closed")
        asked = asked[1:-1]
    try:
        return parse_specifiers(asked)
    except NotAVersion as error:
        raise Unreadable(str(error)) from None


def direct(number: int, where: str, *, name: str = "", editable: bool = False) -> Direct:
    """A line that says where a package lies. The address itself is left out."""
    where = where.removeprefix("file://")
    if _ADDRESS.match(where):
        return Direct(number, name or egg(where), editable, "")
    return Direct(number, name, editable, where.split(";")[0].split("[")[0].strip())


def egg(address: str) -> str:
    """The package's name where an address carries it."""
    found = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", address)
    return found[1] if found else ""
