"""`terraform validate` and `terraform test` for each module folder, two at a time; prints what failed.

python -m tests.tools.terraform_checks . modules/network ...
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: The root keeps its plan tests beside the other tests; a submodule keeps them in its own folder.
ROOT_TEST_DIRECTORY = "tests/plan"


@dataclass(frozen=True)
class Outcome:
    """What became of one folder."""

    folder: str
    passed: int
    failed: int
    seconds: float
    output: str

    @property
    def ok(self) -> bool:
        return self.failed == 0


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a folder, with its data kept out of the tree and no way to reach an account."""
    data = ROOT / "build" / "terraform" / (str(folder.relative_to(ROOT)).replace(os.sep, "-") or "root")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "TF_DATA_DIR": str(data),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
    }
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def check(name: str) -> Outcome:
    """Initialise, validate and test one folder."""
    folder = (ROOT / name).resolve()
    started = time.monotonic()
    output = ""
    passed = 0
    where = [f"-test-directory={ROOT_TEST_DIRECTORY}"] if folder == ROOT else []
    # `init` must know the tests too: it installs the modules they run, such as the examples.
    for arguments in (("init", "-backend=false", "-input=false", *where), ("validate", *where)):
        done = terraform(folder, *arguments, "-no-color")
        if done.returncode:
            return Outcome(name, 0, 1, time.monotonic() - started, done.stdout)
    has_tests = any((folder / ROOT_TEST_DIRECTORY).glob("*.tftest.hcl")) if folder == ROOT else True
    failed = 0
    if has_tests:
        done = terraform(folder, "test", *where, "-no-color")
        output = done.stdout
        counted = re.search(r"(\d+) passed, (\d+) failed", output)
        passed, failed = (int(counted[1]), int(counted[2])) if counted else (0, 1)
        failed = max(failed, 1 if done.returncode else 0)
    return Outcome(name, passed, failed, time.monotonic() - started, output)


def main(names: list[str]) -> int:
    """Check every folder named; exit code 1 if one fails or holds no test."""
    if not names:
        print("usage: python -m tests.tools.terraform_checks FOLDER...", file=sys.stderr)
        return 2
    (ROOT / "build" / "terraform").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = list(pool.map(check, names))
    for outcome in outcomes:
        untested = outcome.ok and outcome.passed == 0
        verdict = "no test" if untested else "ok" if outcome.ok else "FAILED"
        counts = f"{outcome.passed} passed, {outcome.failed} failed"
        print(f"terraform {outcome.folder:24} {verdict:8} {counts} ({outcome.seconds:.0f} s)")
        if not outcome.ok:
            print(outcome.output)
    return 0 if all(outcome.ok and outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
