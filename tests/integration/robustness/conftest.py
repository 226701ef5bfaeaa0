"""What can go wrong, against the databases and the bucket of the engine's tests."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.s3 import models

from tests.conftest import chosen_versions, is_long
from tests.integration.engine.conftest import (  # noqa: F401  (fixtures)
    aws,
    cluster,
    databases,
    kms_key,
    lease_table,
    sides,
    template,
)
from tests.integration.engine.worker import Side
from tests.integration.robustness.sabotage import Fault

#: Real schedulers take minutes: where time is short, these tests share out the versions, the oldest and the newest.
ON_ONE: dict[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
    "test_live_restore": lambda versions: versions[:1],
    "test_live_replace": lambda versions: versions[-1:],
    "test_continuation": lambda versions: versions[-1:],
}
#: Minutes of a real scheduler, which rehearsals show the gist of: for the long matrices, or by name.
LONG = ("test_hibernation.py", "test_live_standby.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file is left out; None: whatever others say."""
    named = any(collection_path.name in argument for argument in config.args)
    return True if collection_path.name in LONG and not named and not is_long(config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each chosen Airflow version; what is drawn by lot once per seed, which the versions share out."""
    if "airflow_version" not in metafunc.fixturenames:
        return
    versions = chosen_versions(metafunc.config)
    if "seed" in metafunc.fixturenames:
        seeds = range(metafunc.config.getoption("--seeds"))
        pairs = sorted((versions.index(versions[seed % len(versions)]), seed) for seed in seeds)
        names = [(versions[place], seed) for place, seed in pairs]
        metafunc.parametrize(("airflow_version", "seed"), names, scope="package")
    else:
        share = ON_ONE.get(metafunc.module.__name__.rpartition(".")[2])
        if share and not is_long(metafunc.config):
            versions = share(versions)
        metafunc.parametrize("airflow_version", versions, scope="package")


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    return is_long(pytestconfig)


@dataclass
class Ended:
    """How an order ended."""

    killed: bool
    error: str | None
    points: list[str]
    struck: bool

    def __str__(self) -> str:
        return "killed" if self.killed else self.error or "ended well"

    @property
    def well(self) -> bool:
        return not self.killed and self.error is None


@dataclass
class Worker:
    """Does what it is told in processes that may die."""

    process: subprocess.Popen[str]

    def do(self, action: str, side: Side, snapshot_id: str, fault: Fault | None = None) -> Ended:
        fault = fault or Fault()
        order = {
            "action": action,
            "side": dataclasses.asdict(side),
            "snapshot_id": snapshot_id,
            "fault": {"kind": fault.kind, "at": fault.at, "lasting": fault.lasting},
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))


@pytest.fixture(scope="package")
def known_points() -> dict[tuple[str, str], list[str]]:
    """(Airflow version, action) -> the points that an undisturbed run of it passes by."""
    return {}


@pytest.fixture(scope="package")
def worker(aws: str, pytestconfig: pytest.Config) -> Iterator[Worker]:  # noqa: F811  (a fixture)
    root = pytestconfig.rootpath
    command = [sys.executable, "-m", "tests.integration.robustness.worker"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{root}:{root / 'dags'}")
        patch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)
        with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            yield Worker(process)
            assert process.stdin is not None
            process.stdin.close()
