"""Static analysis of what is given to others: Terraform by checkov, pipelines by zizmor and their schema.

python -m tests.tools.security_checks

Offline, in the environment build/security. Nothing is left out on the command line: a finding that is meant is
suppressed where it is, with its reason. Exit code 1 where one is left, or where nothing was looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "security" / "bin"
WORKFLOWS = sorted((ROOT / "examples" / "ci" / "github-actions").glob("*.yml"))
#: What is not given to anybody: what commands made, and what tests apply to the stand-in.
NOT_OURS = ("build", "tests")


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the tools."""
    return subprocess.run(
        [str(TOOLS / tool), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "LOG_LEVEL": "ERROR"},
        text=True,
        capture_output=True,
        check=False,
    )


def checkov() -> dict[str, Any]:
    """What checkov says of the Terraform of this repository."""
    left_out = [argument for name in NOT_OURS for argument in ("--skip-path", f"(^|/){name}/")]
    done = run("checkov", "-d", ".", "--framework", "terraform", "--skip-download", "-o", "json", *left_out)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"checkov did not answer:\n{done.stdout}{done.stderr}") from None
    return answer


def told(answer: dict[str, Any]) -> tuple[list[str], bool]:
    """What is printed of checkov's answer, and whether all is well."""
    results, summary = answer["results"], answer["summary"]
    lines = [
        f"{found['file_path'].lstrip('/')}:{found['file_line_range'][0]}: {found['resource']}: "
        f"{found['check_id']} {found['check_name']}"
        for found in results["failed_checks"]
    ]
    lines += [f"not parsed: {path}" for path in results.get("parsing_errors", [])]
    lines.append(
        f"checkov: {summary['resource_count']} resources, {summary['passed']} checks passed, "
        f"{summary['skipped']} suppressed with their reasons, {summary['failed']} findings"
    )
    looked = summary["resource_count"] > 0 and summary["passed"] > 0
    return lines, looked and not summary["failed"] and not summary["parsing_errors"]


def pipelines() -> tuple[list[str], bool]:
    """What zizmor and the schema say of the workflows."""
    audited = run("zizmor", "--offline", "--no-progress", *WORKFLOWS)
    shaped = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    failed = [done for done in (audited, shaped) if done.returncode]
    lines = [f"{done.stdout}{done.stderr}".rstrip() for done in failed]
    lines.append(f"zizmor, check-jsonschema: {len(WORKFLOWS)} workflows, {len(failed)} of 2 found something")
    return lines, bool(WORKFLOWS) and not failed


def main() -> int:
    """Exit code 0 where nothing is found."""
    outcomes = [told(checkov()), pipelines()]
    for lines, _ in outcomes:
        print("\n".join(lines))
    return 0 if all(fine for _, fine in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
