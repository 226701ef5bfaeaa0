"""No policy of the module allows actions by a wildcard; one may deny by it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ACTION = re.compile(r'"(?P<service>[a-z0-9-]+):(?P<name>[A-Za-z*?]*[*?][A-Za-z*?]*)"|\bactions?\s*=\s*\[?\s*"\*"', re.I)
#: The members of a statement stand within so many lines.
NEAR = 6


def allowed_wildcards(text: str) -> list[str]:
    """Lines with a wildcard in an action whose statement does not deny."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        if line.lstrip().startswith("#") or not ACTION.search(line):
            continue
        near = "\n".join(lines[max(0, number - NEAR) : number + NEAR + 1])
        if not re.search(r'effect\s*=\s*"Deny"', near, re.IGNORECASE):
            found.append(line.strip())
    return found


def test_no_file_allows_a_wildcard_of_actions() -> None:
    """Failure covered: ssm:* and grants of whole services."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
    looked = [name for name in files if name.endswith((".tf", ".asl.json", ".states.json"))]
    assert len(looked) > 50
    found = {name: wide for name in looked if (wide := allowed_wildcards((ROOT / name).read_text()))}
    assert found == {}


def test_one_would_be_found() -> None:
    assert allowed_wildcards('Effect = "Allow"\nAction = ["s3:Get*"]') == ['Action = ["s3:Get*"]']
    assert allowed_wildcards('actions = ["*"]') == ['actions = ["*"]']
    assert allowed_wildcards('effect = "Deny"\nactions = ["s3:*"]') == []
    assert allowed_wildcards('resources = ["*"]\nprefix = "logs:a*b/c"') == []
