"""Would pip, held to what MWAA holds it to, install a requirements file on an image?

Decided offline from the image's pins. What they do not decide (what a package that is not in the image needs itself,
what lies at an address) is said to be unknown; it is never guessed. docs/requirements.md has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from mwaa_continuity import requirements_file
from mwaa_continuity.image_pins import Image, image, known_versions
from mwaa_continuity.markers import NotAMarker, applies, known_environment
from mwaa_continuity.requirements_file import Direct, Entry, Fault, Obscure, Option, Requirement, Unreadable
from mwaa_continuity.versions import NotAVersion, Specifier, all_allow, parse_specifiers

REFUSED: Final = "refused"  #: pip ends with an error and installs nothing of the file
WARNING: Final = "warning"  #: it installs, and this is probably not what is wanted
UNKNOWN: Final = "unknown"  #: cannot be told from here
FINE: Final = "fine"

#: Where MWAA lays DAGs and plugins, the only files beside requirements.txt that pip finds there.
IN_ENVIRONMENT: Final = ("/usr/local/airflow/dags/", "/usr/local/airflow/plugins")

_OFFICIAL: Final = re.compile(
    r"https://raw\.githubusercontent\.com/apache/airflow/constraints-(?P<airflow>[0-9.]+)/"
    r"constraints-(?P<python>[0-9.]+)\.txt"
)


@dataclass(frozen=True)
class Remark:
    """What is said of one line, or of the file (line 0)."""

    line: int
    about: str
    level: str
    found: str
    do: str = ""


@dataclass(frozen=True)
class Pin:
    """One version that pip is held to, and whose word that is."""

    version: str
    source: str


@dataclass(frozen=True)
class Rules:
    """What a file is judged by: the image and what the options of the file say for all of it."""

    image: Image
    pins: tuple[Callable[[str], Pin | None], ...]
    hashes: bool
    no_source: bool  #: neither an index nor a place to find packages
    exact: Mapping[str, tuple[Requirement, str]]  #: packages for which a line asks for one version

    def pins_of(self, name: str) -> list[Pin]:
        """The versions that pip is held to for a package."""
        return [found for pin in self.pins if (found := pin(name)) is not None]


def check(content: bytes, airflow: str) -> list[Remark]:
    """Everything that is to be said of a requirements file, in the order of its lines.

    Raises `LookupError` for a version of Airflow whose image is not known.
    """
    found = image(airflow)
    if found is None:
        raise LookupError(f"Airflow {airflow}: its image is not known here; known: {', '.join(known_versions())}")
    try:
        text = requirements_file.text_of(content)
    except Unreadable as error:
        return [Remark(0, "file", REFUSED, str(error), "save it as UTF-8")]
    said = list(requirements_file.entries(text))
    applied, remarks = applying(said, known_environment(found.python))
    pins, about_constraints = constraints(said, text, found)
    rules = rules_of(said, applied, found, pins)
    remarks += about_constraints
    for entry in said:
        if not isinstance(entry, Requirement):
            remarks += judged_line(entry)
    for requirement in applied:
        remarks.append(judged(requirement, rules))
    return sorted(remarks, key=lambda remark: remark.line)


def installs(remarks: Sequence[Remark]) -> bool:
    """Whether nothing is known that pip would refuse."""
    return not any(remark.level == REFUSED for remark in remarks)


def applying(said: Sequence[Entry], known: Mapping[str, str]) -> tuple[list[Requirement], list[Remark]]:
    """The requirements that hold on the image, and remarks on those that may not."""
    applied, remarks = [], []
    for entry in said:
        if not isinstance(entry, Requirement):
            continue
        try:
            holds = applies(entry.marker, known) if entry.marker else True
        except NotAMarker as error:
            remarks.append(Remark(entry.line, str(entry), REFUSED, f"its marker cannot be read: {error}", "mend it"))
            continue
        if holds:
            applied.append(entry)
        elif holds is None:
            remarks.append(Remark(entry.line, str(entry), UNKNOWN, "whether its marker holds there is not known here"))
        else:
            remarks.append(Remark(entry.line, str(entry), FINE, "not for this image, by its marker"))
    return applied, remarks


def constraints(
    said: Sequence[Entry], text: str, found: Image
) -> tuple[list[Callable[[str], Pin | None]], list[Remark]]:
    """What pip is held to, and remarks on the file's own constraints."""
    pins: list[Callable[[str], Pin | None]] = [partial(pinned, found.enforced, "MWAA always holds it to this version")]
    default = f"the constraints of Airflow {found.airflow}"
    remarks = []
    options = [entry for entry in said if isinstance(entry, Option) and entry.name == "--constraint"]
    if not requirements_file.names_constraints(text):
        pins.append(partial(pinned, found.constraints, default))
    if not options:
        remarks.append(no_constraints(text, default))
    for option in options:
        official = _OFFICIAL.fullmatch(option.value.strip("\"'"))
        if official is None:
            remarks.append(other_constraints(option))
            continue
        named = image(official["airflow"])
        if named is not None and named.python == official["python"]:
            pins.append(partial(pinned, named.constraints, f"the constraints of Airflow {named.airflow}"))
        remarks.append(official_constraints(option.line, official["airflow"], official["python"], found))
    return pins, remarks


def pinned(held: Mapping[str, str], source: str, name: str) -> Pin | None:
    """The pin of a package among some, if it has one."""
    return Pin(held[name], source) if name in held else None


def no_constraints(text: str, default: str) -> Remark:
    """Of a file without constraints of its own."""
    if requirements_file.names_constraints(text):
        found = "a comment speaks of constraints, so MWAA adds none: only what it always enforces holds"
        return Remark(0, "--constraint", WARNING, found, "name constraints, or take the letters out of the comment")
    return Remark(0, "--constraint", FINE, f"the file names none: MWAA holds it to {default}")


def other_constraints(option: Option) -> Remark:
    """Of constraints that are not Airflow's own."""
    value = option.value.strip("\"'")
    if "://" not in value and not value.startswith(IN_ENVIRONMENT):
        found, do = "no such file is there when pip runs", f"name one below {IN_ENVIRONMENT[0]}, or an address"
        return Remark(option.line, "--constraint", REFUSED, found, do)
    return Remark(option.line, "--constraint", UNKNOWN, "constraints of your own are not read here")


def official_constraints(line: int, airflow: str, python: str, found: Image) -> Remark:
    """Of constraints that Airflow publishes."""
    if (airflow, python) == (found.airflow, found.python):
        return Remark(line, "--constraint", FINE, f"of Airflow {airflow} and Python {python}, as the image")
    wrong = f"of Airflow {airflow} and Python {python}; the image is Airflow {found.airflow} and Python {found.python}"
    return Remark(line, "--constraint", WARNING, wrong, "name the constraints of the image")


def rules_of(
    said: Sequence[Entry], applied: Sequence[Requirement], found: Image, pins: Sequence[Callable[[str], Pin | None]]
) -> Rules:
    """What each requirement is judged by."""
    names = {entry.name for entry in said if isinstance(entry, Option)}
    exact: dict[str, tuple[Requirement, str]] = {}
    for requirement in applied:
        for specifier in requirement.specifiers:
            if specifier.exact is not None:
                exact.setdefault(requirement.key, (requirement, specifier.exact))
    return Rules(
        image=found,
        pins=tuple(pins),
        hashes="--require-hashes" in names or any(requirement.hashed for requirement in applied),
        no_source="--no-index" in names and "--find-links" not in names,
        exact=exact,
    )


def judged_line(entry: Entry) -> Iterator[Remark]:
    """Remarks on a line that asks for nothing by name."""
    if isinstance(entry, Fault):
        yield Remark(entry.line, "line", REFUSED, f"pip cannot read it: {entry.why}", "mend it")
    elif isinstance(entry, Obscure):
        yield Remark(entry.line, "line", UNKNOWN, "it depends on variables of the environment")
    elif isinstance(entry, Direct):
        yield judged_direct(entry)
    elif isinstance(entry, Option) and entry.name == "--requirement":
        yield judged_other_file(entry)


def judged_direct(entry: Direct) -> Remark:
    """Of an address or a path."""
    about = entry.name or ("--editable" if entry.editable else "an address" if not entry.path else "a path")
    if entry.path and not entry.path.startswith(IN_ENVIRONMENT):
        do = "put the package into plugins.zip and name it below /usr/local/airflow/plugins"
        return Remark(entry.line, about, REFUSED, "no such path is there when pip runs", do)
    return Remark(entry.line, about, UNKNOWN, "what lies there is not looked at")


def judged_other_file(entry: Option) -> Remark:
    """Of another requirements file."""
    value = entry.value.strip("\"'")
    if "://" in value or value.startswith(IN_ENVIRONMENT):
        return Remark(entry.line, entry.name, UNKNOWN, "the other file is not read here: check it by itself")
    do = f"put its lines into this file, or name it below {IN_ENVIRONMENT[0]}"
    return Remark(entry.line, entry.name, REFUSED, "no such file is there when pip runs: MWAA hands it this one", do)


def judged(requirement: Requirement, rules: Rules) -> Remark:
    """Of one requirement that holds on the image."""
    try:
        found = contradiction(requirement, rules) or missing_hash(requirement, rules)
        return found or placed(requirement, rules)
    except NotAVersion as error:
        return Remark(requirement.line, str(requirement), REFUSED, str(error), "mend it")


def contradiction(requirement: Requirement, rules: Rules) -> Remark | None:
    """What keeps any version from being chosen, if anything does."""
    pins = rules.pins_of(requirement.key)
    for pin in pins:
        if not all_allow(requirement.specifiers, pin.version):
            found = f"{pin.source}: {pin.version}"
            return Remark(requirement.line, str(requirement), REFUSED, found, advice(requirement, pin, rules))
    for pin in pins[1:]:
        if not all_allow(parse_pin(pin), pins[0].version):
            found = f"{pins[0].source} ({pins[0].version}), and {pin.source} say {pin.version}"
            return Remark(requirement.line, str(requirement), REFUSED, found, "take the line out")
    other, version = rules.exact.get(requirement.key, (requirement, ""))
    if other is not requirement and not all_allow(requirement.specifiers, version):
        found = f"line {other.line} asks for {other}"
        return Remark(requirement.line, str(requirement), REFUSED, found, "keep one of the two")
    return None


def parse_pin(pin: Pin) -> tuple[Specifier, ...]:
    """A pin as what it demands."""
    return parse_specifiers(f"=={pin.version}")


def advice(requirement: Requirement, pin: Pin, rules: Rules) -> str:
    """What to do about a requirement that contradicts a pin."""
    there = requirement.key in rules.image.packages
    if requirement.key in rules.image.enforced:
        return (
            f"take the line out: the image has {requirement.name} {pin.version}" if there else f"ask for {pin.version}"
        )
    return f"ask for {requirement.name}=={pin.version}, or name constraints of your own (docs/requirements.md)"


def missing_hash(requirement: Requirement, rules: Rules) -> Remark | None:
    """Where one line has a hash, pip wants one of each that it installs, and an exact version."""
    if not rules.hashes or satisfied(requirement, rules):
        return None
    if requirement.hashed and any(specifier.exact for specifier in requirement.specifiers):
        return None
    found = "another line has a hash, or --require-hashes is set: pip wants name==version and a hash of each"
    return Remark(requirement.line, str(requirement), REFUSED, found, "add what is missing, of its dependencies too")


def satisfied(requirement: Requirement, rules: Rules) -> bool:
    """Whether the image already has what is asked for."""
    version = rules.image.packages.get(requirement.key)
    if version is None:
        return False
    held = [parse_pin(pin) for pin in rules.pins_of(requirement.key)]
    return all(all_allow(asked, version) for asked in [requirement.specifiers, *held])


def placed(requirement: Requirement, rules: Rules) -> Remark:
    """Where a requirement that nothing contradicts comes from: the image, or an index."""
    line, about, name = requirement.line, str(requirement), requirement.key
    if name in rules.image.packages:
        version = rules.image.packages[name]
        if version is None:
            return Remark(line, about, FINE, "in the image; its build does not fix the version")
        if satisfied(requirement, rules):
            return Remark(line, about, FINE, f"in the image already: {version}")
        found = f"it replaces {version} of the image, which other packages of the image may need"
        return Remark(line, about, WARNING, found, "test it, or take the image's version")
    if rules.no_source:
        found = "not in the image, and --no-index without --find-links leaves pip nothing to take it from"
        return Remark(line, about, REFUSED, found, "name --find-links /usr/local/airflow/plugins")
    pins = rules.pins_of(name)
    if pins:
        return Remark(line, about, FINE, f"not in the image; {pins[0].version} would be installed")
    return Remark(line, about, UNKNOWN, "not in the image and in no constraints: an index decides, and what it needs")
