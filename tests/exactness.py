"""How many rows of which table were compared after a restore, and whether all were equal, by Airflow version.

Tests hand over what they compared through the fixture `exactness`. At the end of a run the matrix is printed, and kept
below build/reports, where `tests/tools/test_report.py` finds it; each test keeps a file of its own, so that parts can
be run one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from tests.tools.test_report import Matrix, exactness_file, merged_exactness, of_exactness

_PROPERTY = "exactness"
#: Airflow version, rows of each table that were to be restored, rows expected after it, rows found.
Record = Callable[[str, Mapping[str, int], Mapping[str, Counter[str]], Mapping[str, Counter[str]]], None]


@pytest.fixture
def exactness(record_property: Callable[[str, object], None]) -> Record:
    """Call it before asserting that the rows are equal: a difference belongs into the matrix as well."""

    def record(
        version: str,
        rows: Mapping[str, int],
        expected: Mapping[str, Counter[str]],
        found: Mapping[str, Counter[str]],
    ) -> None:
        tables = {
            table: {"rows": count, "equal": expected.get(table, Counter()) == found.get(table, Counter())}
            for table, count in rows.items()
        }
        record_property(_PROPERTY, json.dumps({version: tables}))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print and keep the matrix; reports of other processes bring what their tests recorded with them."""
    by_test: dict[str, list[Matrix]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "call":
                test = report.location[2].partition("[")[0]
                found = [json.loads(str(value)) for name, value in report.user_properties if name == _PROPERTY]
                by_test.setdefault(test, []).extend(found)
    compared = {test: merged_exactness(found) for test, found in by_test.items() if found}
    for test, matrix in compared.items():
        file = exactness_file(test)
        before: Matrix = json.loads(file.read_text()) if file.exists() else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(before | matrix, indent=1, sort_keys=True) + "\n")
    if compared:
        terminalreporter.write_sep("=", "exactness")
        terminalreporter.write_line("\n".join(of_exactness(merged_exactness(compared.values()))))
