"""Versions, specifiers and markers of requirements: the same answers as the library `packaging` gives."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Theirs
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as TheirVersion

from mwaa_continuity import image_pins, requirements_file
from mwaa_continuity.markers import NotAMarker, applies, known_environment
from mwaa_continuity.requirements_file import Fault, Requirement, Unreadable
from mwaa_continuity.versions import NotAVersion, all_allow, parse_specifiers, parse_version

NUMBERS = st.integers(0, 3) | st.sampled_from([10, 2024])
RELEASES = st.lists(NUMBERS, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["", "", "", "1!", "v"]),
    RELEASES,
    st.sampled_from(["", "", "a1", "b2", "rc1", ".alpha", "-preview-3", "c0", "RC2"]),
    st.sampled_from(["", "", ".post1", "-1", "-r4", ".rev"]),
    st.sampled_from(["", "", ".dev0", ".dev12", "_dev"]),
    st.sampled_from(["", "", "+cpu", "+1.abc", "+Ubuntu-2"]),
)
OPERATORS = st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "==="])
SPECIFIERS = st.builds(
    lambda sign, version, end: sign + version + end, OPERATORS, VERSIONS, st.sampled_from(["", ".*"])
)


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_pep_440_orders_them(left: str, right: str) -> None:
    ours, theirs = (parse_version(left).key, parse_version(right).key), (TheirVersion(left), TheirVersion(right))
    assert (ours[0] < ours[1], ours[0] == ours[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1])


@given(st.lists(SPECIFIERS, max_size=3).map(",".join), VERSIONS)
@example("<1.0", "1.0rc1")
@example(">1.0", "1.0.post1")
@example(">1.0", "1.0+cpu")
@example("==1.0.*", "1rc1")
@example("~=2.2.post3", "2.9")
def test_a_specifier_allows_what_pip_lets_it_allow(specifiers: str, version: str) -> None:
    try:
        theirs = SpecifierSet(specifiers)
    except InvalidSpecifier:
        with pytest.raises(NotAVersion):
            parse_specifiers(specifiers)
        return
    ours = parse_specifiers(specifiers)
    # A version that `===` names is compared as text; another library's reading of its spelling is no matter here.
    if "===" not in specifiers:
        assert all_allow(ours, version) == theirs.contains(version, prereleases=True)


@pytest.mark.parametrize("text", ["", "latest", "1.0-foo", "1..0", "1.0+", "1.0 beta 1", "٣.1"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(InvalidVersion):
        TheirVersion(text)
    with pytest.raises(NotAVersion, match="is no version"):
        parse_version(text)


VARIABLES = {
    "python_version": ["3.8", "3.11", "3.12", "2.7", "3.*"],
    "sys_platform": ["linux", "win32"],
    "platform_system": ["Linux", "Windows"],
    "os_name": ["posix", "nt"],
    "implementation_name": ["cpython", "pypy"],
    "extra": ["", "aws"],
}
COMPARISONS = st.sampled_from(sorted(VARIABLES)).flatmap(
    lambda name: st.builds(
        lambda sign, value, turned: f"'{value}' {sign} {name}" if turned else f'{name} {sign} "{value}"',
        st.sampled_from(["==", "!=", "in", "not in", *(["<", "<=", ">", ">="] if name == "python_version" else [])]),
        st.sampled_from([value for value in VARIABLES[name] if value != "3.*"]),
        st.booleans(),
    )
)
MARKERS = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(lambda a, word, b: f"({a}) {word} {b}", inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=5,
)


@given(MARKERS, st.sampled_from(["3.11", "3.12"]))
def test_a_marker_holds_where_pip_says_so(marker: str, python: str) -> None:
    known = known_environment(python)
    assert applies(marker, known) == Marker(marker).evaluate(dict(known))


@pytest.mark.parametrize(
    "marker", ["python_version", "python_version >", "colour == 'red'", "'a' == 'b'", "(os_name == 'nt'", "os_name 'x'"]
)
def test_what_is_no_marker(marker: str) -> None:
    with pytest.raises(NotAMarker):
        applies(marker, known_environment("3.11"))
    if marker != "'a' == 'b'":  # which the grammar knows, and which says nothing
        with pytest.raises(InvalidMarker):
            Marker(marker)


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("platform_machine == 'x86_64'", None),
        ("platform_machine == 'x86_64' and os_name == 'nt'", False),
        ("platform_machine == 'x86_64' or os_name == 'posix'", True),
        ("python_full_version >= '3.11.4'", None),
        ("sys_platform > 'darwin'", None),
    ],
)
def test_what_is_not_known_of_an_image_decides_nothing(marker: str, holds: bool | None) -> None:
    assert applies(marker, known_environment("3.11")) is holds


NAMES = st.sampled_from(
    ["pandas", "Flask_Login", "zope.interface", "a", "-x", "x-", "apache-airflow[celery,aws]", "y[]"]
)
LINES = st.builds(
    lambda *parts: "".join(parts),
    NAMES,
    st.sampled_from(["", " ", "  "]),
    st.sampled_from(["", "=", "(", "latest"]) | st.lists(SPECIFIERS, max_size=2).map(",".join),
    st.sampled_from(["", " ; python_version < '3.12'", ";os_name=='posix'"]),
)


@given(LINES)
def test_a_requirement_is_read_as_pip_reads_it(line: str) -> None:
    if line.startswith("-"):
        return
    try:
        theirs = Theirs(line)
    except InvalidRequirement:
        theirs = None
    (ours,) = requirements_file.entries(line)
    if theirs is None:
        assert isinstance(ours, Fault), line
        return
    assert isinstance(ours, Requirement), line
    assert ours.name == theirs.name
    assert {str(part) for part in ours.specifiers} == {str(part).replace(" ", "") for part in theirs.specifier}
    assert bool(ours.marker) == bool(theirs.marker)


@pytest.mark.parametrize("airflow", image_pins.known_versions())
def test_what_is_known_of_an_image(airflow: str) -> None:
    image = image_pins.image(airflow)
    assert image is not None
    assert image.enforced["apache-airflow"] == image.packages["apache-airflow"] == airflow
    assert image.python == ("3.11" if parse_version(airflow).key < parse_version("2.11").key else "3.12")
    assert {"boto3", "cryptography", "sqlalchemy", "psycopg2", "celery"} <= image.packages.keys()
    assert not {"pandas", "numpy", "pyarrow"} & image.packages.keys()
    for held in (image.packages, image.enforced, image.constraints):
        assert list(held) == sorted({requirements_file.normalized(name) for name in held})
        assert all(TheirVersion(version) for version in held.values() if version is not None)
    # What an image has is what pip would leave alone.
    for name, version in image.packages.items():
        assert version in (None, image.constraints.get(name), image.enforced.get(name))


def test_an_unknown_image() -> None:
    assert image_pins.image("2.10.2") is None
    assert image_pins.image("../package") is None
    assert image_pins.known_versions()[:2] == ["2.9.2", "2.10.3"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
def test_a_file_is_read_by_its_byte_order_mark(encoding: str) -> None:
    mark = "\N{BYTE ORDER MARK}" if encoding == "utf-16-be" else ""
    assert requirements_file.text_of((mark + "pandas # ä").encode(encoding)) == "pandas # ä"


def test_a_file_in_another_encoding() -> None:
    with pytest.raises(Unreadable, match="not UTF-8"):
        requirements_file.text_of("pandas # ä".encode("latin-1"))


def test_lines_go_on_and_comments_end_them() -> None:
    text = "a==1 \\\n  ; os_name == 'posix'\n# only a comment \\\nb # c\n\n  \nc==\\\n2"
    found = list(itertools.islice(requirements_file.logical_lines(text), 9))
    assert found == [(1, "a==1   ; os_name == 'posix'"), (4, "b"), (7, "c==2")]


def test_pins_are_plain_json() -> None:
    held = json.loads((image_pins.FOLDER / "2.10.3.json").read_text(encoding="utf-8"))
    assert sorted(held) == ["constraints", "enforced", "packages", "python"]
