"""The rehearsal itself: it passes, and an interrupt leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import chosen_versions
from tests.rehearsal.__main__ import BUILD
from tests.rehearsal.processes import processes_of
from tests.rehearsal.scenarios import SCENARIOS

ROOT = BUILD.parent


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.rehearsal", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [("--dags", "no/such/folder", "a folder with DAG files"), ("--scenario", "flood", "backup_restore")],
)
def test_bad_input_is_named(option: str, value: str, accepted: str) -> None:
    done = start(option, value)
    out, _ = done.communicate(timeout=60)
    assert done.returncode == 2
    assert out.startswith(f"{option}: {value}")
    assert f"accepted: {accepted}" in out


def test_make_knows_the_scenarios_and_refuses_others() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "rehearse", "SCENARIO=flood"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == f"SCENARIO is 'flood'; accepted: {' '.join(sorted(SCENARIOS))}\n"


def test_an_interrupt_stops_everything() -> None:
    output = BUILD / "rehearsal-interrupted"
    running = start("--output", str(output))
    assert running.stdout is not None
    for line in running.stdout:
        if "terraform apply: secondary ..." in line:
            break
    time.sleep(8)
    assert processes_of(output)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "interrupted" in out
    assert processes_of(output) == []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lost" in metafunc.fixturenames:
        ways = {"backup_restore": "--rehearsals", "drill": "--drills", "warm_standby": "--standbys"}
        lost = [(way, version) for way, option in ways.items() for version in chosen_versions(metafunc.config, option)]
        metafunc.parametrize("lost", lost, ids="-".join)
    if "put_to_sleep" in metafunc.fixturenames:
        metafunc.parametrize("put_to_sleep", chosen_versions(metafunc.config, "--hibernations"))


def rehearse(scenario: str, airflow: str, output: Path) -> dict[str, Any]:
    """The report of a run in which nothing differed."""
    running = start("--scenario", scenario, "--airflow", airflow, "--output", str(output))
    out, _ = running.communicate()
    assert running.returncode == 0, out[-8000:]
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    assert report["scenario"] == scenario
    assert report["differences"] == 0
    assert "0 differences" in out
    assert [check["name"] for check in report["checks"] if not check["passed"]] == []
    assert sum(table["rows_source"] for table in report["tables"]) > 1000
    return report


@pytest.mark.timeout(2400)
def test_a_lost_region_comes_back_with_nothing_lost(lost: tuple[str, str]) -> None:
    scenario, airflow = lost
    report = rehearse(scenario, airflow, BUILD / "reports" / f"rehearsal-{scenario}-{airflow}")
    assert report["rpo_seconds"] > 0
    assert sum(report["rto_parts"].values()) == pytest.approx(report["rto_seconds"], abs=0.5)


@pytest.mark.timeout(2400)
def test_an_environment_that_slept_comes_back_with_nothing_lost(put_to_sleep: str) -> None:
    report = rehearse("hibernate", put_to_sleep, BUILD / "reports" / f"rehearsal-hibernate-{put_to_sleep}")
    asleep = {part["label"]: part["seconds"] for part in report["timeline"]["parts"]}
    awake_again = asleep["creation"] + asleep["restore"] + asleep["go live"]
    assert awake_again == pytest.approx(report["live_seconds"], abs=0.5)
    assert 0 < report["creation_seconds"] < report["live_seconds"]
