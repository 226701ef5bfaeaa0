"""All scenarios in one go: the table tells each, and one that failed fails them all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import __main__, every
from tests.rehearsal.every import Ran, exit_code, table

ROOT = __main__.BUILD.parent
GOOD: dict[str, Any] = {
    "passed": True,
    "differences": 0,
    "tables": [{"rows_source": 1000}, {"rows_source": 234}],
    "checks": [{"passed": True}, {"passed": True}],
    "figures": [{"name": "RPO", "seconds": 42.3}, {"name": "RTO", "seconds": 216.0}],
}
BAD = GOOD | {"passed": False, "differences": 3, "checks": [{"passed": True}, {"passed": False}]}


def test_the_table_tells_each() -> None:
    assert table([Ran("backup_restore", 0, GOOD), Ran("drill", 1, BAD), Ran("hibernate", 1, None)]).splitlines() == [
        "scenario        rows  differences  checks  measured             outcome",
        "backup_restore  1234  0            2 of 2  RPO 42 s, RTO 216 s  passed",
        "drill           1234  3            1 of 2  RPO 42 s, RTO 216 s  FAILED (exit code 1)",
        "hibernate       -     -            -       no report            FAILED (exit code 1)",
    ]


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([Ran("a", 0, GOOD), Ran("b", 0, GOOD)], 0),
        ([Ran("a", 0, GOOD), Ran("b", 1, BAD)], 1),
        ([Ran("a", 0, GOOD), Ran("b", 1, GOOD)], 1),
        ([Ran("a", 0, GOOD), Ran("b", 0, None)], 1),
        ([Ran("a", 0, GOOD)], 1),
        ([Ran("a", 130, None)], 130),
    ],
)
def test_only_where_all_passed_all_is_well(runs: list[Ran], code: int) -> None:
    """Failure covered: one scenario fails, and the command succeeds."""
    assert exit_code(runs, ["a", "b"]) == code


def test_each_has_its_folder_and_none_keeps_the_next_from_being_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> int:
        commands.append(command)
        scenario = command[command.index("--scenario") + 1]
        folder = Path(command[command.index("--output") + 1])
        folder.mkdir()
        if scenario != "b":
            (folder / "report.json").write_text(json.dumps(GOOD))
        return int(scenario == "b")

    monkeypatch.setattr(every, "run", run)
    assert every.rehearse_every(["a", "b", "c"], ["--airflow", "2.10.3"], tmp_path) == 1
    assert [command[command.index("--output") + 1] for command in commands] == [str(tmp_path / name) for name in "abc"]
    assert all(command[-2:] == ["--airflow", "2.10.3"] for command in commands)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["scenario", "a", "b", "c"]


#: Starts a command, which tells of itself, and is interrupted meanwhile; how the command ended is told at the end.
CHILD = """
import signal, sys, time
def stop(number, frame):
    print("cleaned", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("began", flush=True)
time.sleep(600)
"""
INTERRUPTED = """
import signal, sys
from tests.rehearsal import every
def stop(number, frame): raise InterruptedError
signal.signal(signal.SIGTERM, stop)
try:
    every.run([sys.executable, "-c", sys.argv[1]])
except InterruptedError:
    print("ended", flush=True)
"""


def test_who_interrupts_waits_until_the_scenario_has_stopped_what_it_started() -> None:
    """Failure covered: the scenario is killed, and its servers run on."""
    running = subprocess.Popen([sys.executable, "-c", INTERRUPTED, CHILD], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdout.readline() == "began\n"
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=120)
    assert out.splitlines() == ["cleaned", "ended"]


def test_all_cannot_be_left_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--scenario", "all", "--keep"]) == 2
    assert capsys.readouterr().err.startswith("--keep: accepted for one scenario")
