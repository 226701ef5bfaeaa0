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

from tests.conftest import locked_versions
from tests.rehearsal.__main__ import BUILD
from tests.rehearsal.processes import processes_of
from tests.rehearsal.scenarios import SCENARIOS

ROOT = BUILD.parent


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.rehearsal", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [
        ("--dags", "no/such/folder", "a folder with DAG files"),
        ("--scenario", "flood", "backup_restore"),
        ("--history", "1000000", "with --scenario hot_standby"),
    ],
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
    assert done.stdout == f"SCENARIO is 'flood'; accepted: {' '.join(sorted(SCENARIOS))} all\n"


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
    if "rehearsed" in metafunc.fixturenames:
        asked = str(metafunc.config.getoption("--rehearse"))
        metafunc.parametrize("rehearsed", sorted(rehearsals(asked)), ids="-".join)


def rehearsals(asked: str) -> set[tuple[str, str]]:
    """Scenarios and the Airflow version of each. Raises `pytest.UsageError` for what there is not."""
    chosen: set[tuple[str, str]] = set()
    for part in (part.strip() for part in asked.split(",")):
        scenario, _, version = part.partition("-")
        found = {
            (name, locked)
            for name in SCENARIOS
            for locked in locked_versions()
            if scenario in {name, "all"} and (version or "all") in {locked, "all"}
        }
        if not found:
            accepted = f"{', '.join(SCENARIOS)} or all, with - and one of {', '.join(locked_versions())} or all"
            raise pytest.UsageError(f"--rehearse: {part}; accepted: {accepted}")
        chosen |= found
    return chosen


def test_what_is_rehearsed_is_asked_for_by_scenario_and_version() -> None:
    assert rehearsals("drill-2.10.3, hibernate-3.3.1") == {("drill", "2.10.3"), ("hibernate", "3.3.1")}
    assert rehearsals("failback-all") == {("failback", version) for version in locked_versions()}
    assert rehearsals("all-3.3.1") == {(scenario, "3.3.1") for scenario in SCENARIOS}
    assert rehearsals("all") == {(scenario, version) for scenario in SCENARIOS for version in locked_versions()}
    for unknown in ("flood-2.10.3", "drill-1.10.15", "drill,"):
        with pytest.raises(pytest.UsageError, match="accepted: backup_restore"):
            rehearsals(unknown)


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
def test_nothing_is_lost(rehearsed: tuple[str, str]) -> None:
    scenario, airflow = rehearsed
    report = rehearse(scenario, airflow, BUILD / "reports" / f"rehearsal-{scenario}-{airflow}")
    if scenario == "hibernate":
        asleep = {part["label"]: part["seconds"] for part in report["timeline"]["parts"]}
        awake_again = asleep["creation"] + asleep["restore"] + asleep["go live"]
        assert awake_again == pytest.approx(report["live_seconds"], abs=0.5)
        assert 0 < report["creation_seconds"] < report["live_seconds"]
    elif "rto_seconds" in report:
        assert report["rpo_seconds"] > 0
        assert sum(report["rto_parts"].values()) == pytest.approx(report["rto_seconds"], abs=0.5)
