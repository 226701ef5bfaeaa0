"""What the report says of each run of a folder of tests."""

from __future__ import annotations

from pathlib import Path

from tests.tools.test_report import of_suites, read_suite

JUNIT = """<testsuites><testsuite name="pytest" tests="7" failures="1" errors="2" time="12.6"
timestamp="2026-11-21T17:00:01.5+00:00"><properties><property name="commit" value="abc1234"/>
<property name="--airflow-versions" value="all"/><property name="--seeds" value="100"/></properties>
</testsuite></testsuites>"""


def test_a_run_is_shown_with_what_it_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "integration-engine.xml"
    file.write_text(JUNIT)
    line = list(of_suites([read_suite(file)]))[3]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:4] == ["integration-engine", "7", "3", "13"]
    assert cells[4:] == ["2026-11-21 17:00", "`abc1234`", "`--airflow-versions all` `--seeds 100`"]
