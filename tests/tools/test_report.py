"""The report of `make test-all`: from what the runs below build/reports left to docs/test-report.md.

    python -m tests.tools.test_report

Reads `*.xml` (JUnit, one a folder of tests), `rehearsal-*/report.json` and `exactness-*.json`, and says of each when
and at which commit it ran. A part that did not run is not in the report.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / "build" / "reports"
TARGET = ROOT / "docs" / "test-report.md"

#: Airflow version -> table -> {"rows": how many were compared, "equal": whether all were}.
Matrix = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Suite:
    """One run of one folder of tests."""

    name: str
    tests: int
    failed: int
    seconds: float
    started: str
    commit: str
    asked: str  #: which Airflow versions, rehearsals and seeds


def read_suite(path: Path) -> Suite:
    """A JUnit file as pytest writes it; errors count as failures."""
    suite = next(ElementTree.parse(path).getroot().iter("testsuite"))  # noqa: S314 - our own file
    properties = {entry.get("name"): entry.get("value", "") for entry in suite.iter("property")}
    return Suite(
        name=path.stem,
        tests=int(suite.get("tests", 0)),
        failed=int(suite.get("failures", 0)) + int(suite.get("errors", 0)),
        seconds=float(suite.get("time", 0)),
        started=suite.get("timestamp", "")[:16].replace("T", " "),
        commit=properties.get("commit", "?"),
        asked=" ".join(f"`{name} {value}`" for name, value in properties.items() if name and name.startswith("--")),
    )


def table(head: list[str], rows: list[list[Any]]) -> Iterator[str]:
    """A Markdown table, and an empty line after it."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
    yield ""


def of_suites(suites: list[Suite]) -> Iterator[str]:
    """What was run, and how it ended."""
    yield "## Tests\n"
    rows = [[s.name, s.tests, s.failed, f"{s.seconds:.0f}", s.started, f"`{s.commit}`", s.asked] for s in suites]
    yield from table(["tests", "run", "failed", "seconds", "started (UTC)", "commit", "asked for"], rows)


def of_rehearsals(documents: list[dict[str, Any]]) -> Iterator[str]:
    """One line a rehearsal."""
    yield "## Rehearsals\n"
    rows = []
    for found in documents:
        compared = sum(entry["rows_source"] for entry in found["tables"])
        checks = f"{sum(check['passed'] for check in found['checks'])} of {len(found['checks'])}"
        figures = ", ".join(f"{figure['name']} {figure['seconds']:.0f} s" for figure in found["figures"])
        rows.append([found["scenario"], found["versions"]["Airflow"], found["differences"], compared, checks, figures])
        rows[-1] += [f"{found['seconds'] / 60:.1f} min", found["started_at"][:16].replace("T", " ")]
    head = ["scenario", "Airflow", "differences", "rows compared", "checks passed", "figures", "took", "started (UTC)"]
    yield from table(head, rows)


def exactness_file(test: str) -> Path:
    """Where a test keeps its matrix."""
    return REPORTS / f"exactness-{test}.json"


def merged_exactness(matrices: Iterable[Matrix]) -> Matrix:
    """All rows that were compared; a table is equal where it was each time."""
    merged: Matrix = {}
    for version, tables in (item for matrix in matrices for item in matrix.items()):
        for name, result in tables.items():
            so_far = merged.setdefault(version, {}).setdefault(name, {"rows": 0, "equal": True})
            so_far["rows"] += result["rows"]
            so_far["equal"] = so_far["equal"] and result["equal"]
    return merged


def of_exactness(matrix: Matrix) -> Iterator[str]:
    """Rows per table and version; a difference is shown as such."""
    yield "## Exactness: rows restored per table, all compared value by value\n"
    versions = sorted(matrix, key=lambda version: [int(part) for part in version.split(".")])
    names = sorted({name for of_version in matrix.values() for name in of_version})
    rows = [[name, *(_cell(matrix[version].get(name)) for version in versions)] for name in names]
    yield from table(["table", *versions], rows)


def _cell(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    return str(result["rows"]) if result["equal"] else f"{result['rows']} **differ**"


def machine() -> str:
    """Cores and memory, as they matter for how long it takes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, Python {platform.python_version()}"


def main() -> int:
    """Write the report; 1 if there is nothing to report, or if something in it failed."""
    suites = [read_suite(path) for path in sorted(REPORTS.glob("*.xml"))]
    rehearsals = [json.loads(path.read_text()) for path in sorted(REPORTS.glob("rehearsal-*/report.json"))]
    exactness = merged_exactness(json.loads(path.read_text()) for path in sorted(REPORTS.glob("exactness-*.json")))
    if not suites:
        print(f"there is no JUnit file below {REPORTS.relative_to(ROOT)}; `make test-all` makes them", file=sys.stderr)
        return 1
    lines = [
        "# Last runs of the long tests\n",
        f"Parts of `make test-all`, on {machine()}. Made by `tests/tools/test_report.py`.\n",
    ]
    lines += of_suites(suites)
    lines += of_rehearsals(rehearsals) if rehearsals else []
    lines += of_exactness(exactness) if exactness else []
    TARGET.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"report: {TARGET.relative_to(ROOT)}")
    return int(any(suite.failed for suite in suites) or not all(found["passed"] for found in rehearsals))


if __name__ == "__main__":
    sys.exit(main())
