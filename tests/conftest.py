"""Fixtures and options that more than one folder of tests uses."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# How long an example takes says something about the machine, not about the project.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

pytest_plugins = ["tests.local_aws.fixtures", "tests.exactness"]

#: Tests that need no server, so that each may run anywhere.
_ALONE = "tests/unit"
#: Tests that have servers for each Airflow version.
_BY_VERSION = "tests/integration"
_VERSION = re.compile(r"(?<=[\[-])[0-9]+[.][0-9]+[.][0-9]+(?=[]-])")
_REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
_USUAL_VERSIONS = "2.10.3,3.3.1"
#: From so many seeds on a run is a long one.
_LONG_SEEDS = 100
#: The shortest that cover a takeover and a sleep, on either major version.
_USUALLY_REHEARSED = "drill-2.10.3,hibernate-3.3.1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this project's tests."""
    parser.addoption(
        "--airflow-versions",
        default=_USUAL_VERSIONS,
        metavar="VERSION,...",
        help="Airflow versions that the integration tests run on, or 'all' (default: %(default)s)",
    )
    parser.addoption(
        "--rehearse",
        default=_USUALLY_REHEARSED,
        metavar="SCENARIO-VERSION,...",
        help="what is rehearsed, each scenario on an Airflow version; 'all' for either, or both (default: %(default)s)",
    )
    parser.addoption(
        "--seeds",
        type=int,
        default=4,
        metavar="N",
        help="how many journeys of a snapshot are disturbed at points drawn by lot (default: %(default)s)",
    )


class FolderScheduling(LoadScopeScheduling):
    """Where two processes share the tests, one takes a whole folder, or what of it is about one Airflow version: its
    servers are started once, and tests that build on each other stay together. Those that need no server go wherever
    there is room. Rehearsals are not shared out: two of them at a time would wait for each other's processors."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::", maxsplit=1)[0])
        if path.is_relative_to(_ALONE):
            return nodeid
        version = _VERSION.search(nodeid) if path.is_relative_to(_BY_VERSION) else None
        return f"{path.parent} {version.group() if version else ''}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderScheduling | None:
    """`--dist loadscope`: a scope is a folder."""
    return FolderScheduling(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="session", autouse=True)
def circumstances(record_testsuite_property: Callable[[str, object], None], pytestconfig: pytest.Config) -> None:
    """The report of a run says at which commit it ran, and how much of it."""
    asked = ["git", "describe", "--always", "--dirty"]
    shown = subprocess.run(asked, cwd=_REQUIREMENTS, text=True, capture_output=True, check=False).stdout
    record_testsuite_property("commit", shown.strip() or "no commit")
    for option in ("--airflow-versions", "--rehearse", "--seeds"):
        record_testsuite_property(option, pytestconfig.getoption(option))


def chosen_versions(config: pytest.Config) -> tuple[str, ...]:
    """The Airflow versions asked for, oldest first. Raises `pytest.UsageError` for one that has no lock file."""
    locked = locked_versions()
    asked = str(config.getoption("--airflow-versions"))
    wanted = set(locked) if asked == "all" else {part.strip() for part in asked.split(",")}
    if unknown := wanted - set(locked):
        accepted = ", ".join([*locked, "all"])
        raise pytest.UsageError(f"--airflow-versions: {', '.join(_ordered(unknown))}; accepted: {accepted}")
    return _ordered(wanted)


def locked_versions() -> tuple[str, ...]:
    """The Airflow versions that have a lock file, oldest first."""
    return _ordered({path.stem.removeprefix("airflow-") for path in _REQUIREMENTS.glob("airflow-*.txt")})


def is_long(config: pytest.Config) -> bool:
    """Whether this is the long run: everything on every version, and new examples."""
    return int(config.getoption("--seeds")) >= _LONG_SEEDS


def versions_of(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    """The chosen versions that a test runs on: the oldest is enough for one that says nothing about Airflow, and in the
    usual run for one of how the engine works rather than what it works on."""
    versions = chosen_versions(metafunc.config)
    marks = {"any_airflow"} | (set() if is_long(metafunc.config) else {"usually_once"})
    return versions[:1] if any(metafunc.definition.get_closest_marker(mark) for mark in marks) else versions


def _ordered(versions: set[str]) -> tuple[str, ...]:
    return tuple(sorted(versions, key=lambda version: [part.zfill(4) for part in version.split(".")]))
