"""What static analysis finds is mended, or suppressed where it is with a reason; never by the way."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.tools.security_checks import told

ROOT = Path(__file__).resolve().parents[3]
SUPPRESSION = re.compile(r"^\s*#checkov:skip=(?P<check>CKV2?_[A-Z]+_[0-9]+):(?P<reason>.+)$")


def test_every_suppression_has_its_reason() -> None:
    """Failure covered: a finding is switched off, and nobody knows why."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
    lines = [
        (name, line)
        for name in files
        if name.endswith((".tf", ".yml", ".yaml", ".toml"))
        for line in (ROOT / name).read_text().splitlines()
        if "checkov:skip" in line or "zizmor: ignore" in line or "skip-check" in line
    ]
    assert lines
    for name, line in lines:
        found = SUPPRESSION.match(line)
        assert found, f"{name}: {line.strip()}; accepted: #checkov:skip=<check>:<reason>"
        assert len(found["reason"].split()) >= 5, f"{name}: {line.strip()}"
    assert not [name for name in files if Path(name).name in (".checkov.yml", ".checkov.yaml", "zizmor.yml")]


def answer(**summary: int) -> dict[str, Any]:
    counted = {"passed": 9, "failed": 0, "skipped": 1, "parsing_errors": 0, "resource_count": 4} | summary
    failed = {
        "check_id": "CKV_AWS_18",
        "check_name": "access logging",
        "resource": "aws_s3_bucket.this",
        "file_path": "/modules/storage/buckets.tf",
        "file_line_range": [3, 10],
    }
    return {"summary": counted, "results": {"failed_checks": [failed] * counted["failed"], "parsing_errors": []}}


@pytest.mark.parametrize(
    ("summary", "fine"),
    [({}, True), ({"failed": 1}, False), ({"resource_count": 0}, False), ({"parsing_errors": 1}, False)],
)
def test_a_finding_or_nothing_looked_at_is_a_failure(summary: dict[str, int], fine: bool) -> None:
    lines, well = told(answer(**summary))
    assert well is fine
    where = "modules/storage/buckets.tf:3: aws_s3_bucket.this: CKV_AWS_18 access logging"
    assert (where in lines) == bool(summary.get("failed"))
