"""Every scenario, one after the other, each in a process and a folder of its own; one table at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What is asked for in the place of a scenario's name.
EVERY = "all"
HEADER = ("scenario", "rows", "differences", "checks", "measured", "outcome")
INTERRUPTED = 130


@dataclass(frozen=True)
class Ran:
    """How the rehearsal of one scenario ended: its exit code, and its report where there is one."""

    scenario: str
    code: int
    report: Mapping[str, Any] | None

    @property
    def passed(self) -> bool:
        """Whether it said so itself and its report does."""
        return self.code == 0 and self.report is not None and bool(self.report["passed"])

    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        outcome = "passed" if self.passed else f"FAILED (exit code {self.code})"
        if self.report is None:
            return (self.scenario, "-", "-", "-", "no report", outcome)
        checks = self.report["checks"]
        good = sum(bool(check["passed"]) for check in checks)
        rows = sum(int(table["rows_source"]) for table in self.report["tables"])
        figures = ", ".join(f"{figure['name']} {figure['seconds']:.0f} s" for figure in self.report["figures"])
        return (self.scenario, str(rows), str(self.report["differences"]), f"{good} of {len(checks)}", figures, outcome)


def table(runs: Iterable[Ran]) -> str:
    """What came of all of them."""
    rows = [HEADER, *(run.row() for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def exit_code(runs: Sequence[Ran], scenarios: Iterable[str]) -> int:
    """0 where every scenario ran and passed; 130 where it was interrupted; else 1."""
    if any(run.code == INTERRUPTED for run in runs):
        return INTERRUPTED
    return int({run.scenario for run in runs if run.passed} != set(scenarios))


def rehearse_every(scenarios: Sequence[str], options: Sequence[str], output: Path) -> int:
    """Rehearse each with these options, below `output`; the exit code. One that fails keeps none from being tried."""
    runs: list[Ran] = []
    for scenario in scenarios:
        folder = output / scenario
        command = [sys.executable, "-m", "tests.rehearsal", "--scenario", scenario, "--output", str(folder), *options]
        code = run(command)
        runs.append(Ran(scenario, code, read_report(folder)))
        if code == INTERRUPTED:
            break
    print(table(runs))
    return exit_code(runs, scenarios)


def run(command: Sequence[str]) -> int:
    """The exit code of a command. Interrupted, it is waited for all the same: it stops what it started by itself."""
    child = subprocess.Popen(command)
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report of a run, none where it did not come so far."""
    path = folder / "report.json"
    if not path.exists():
        return None
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report
