"""Terraform once more in the root of what a test applied, on the same state."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def plan_again(example: str, work_dir: str) -> subprocess.CompletedProcess[str]:
    """A further plan; exit code 0 says that nothing would change."""
    return _terraform(example, work_dir, "plan", "-detailed-exitcode", "-input=false")


def destroy(example: str, work_dir: str) -> subprocess.CompletedProcess[str]:
    """A destroy that nobody is asked to approve."""
    return _terraform(example, work_dir, "destroy", "-auto-approve", "-input=false")


def resources(example: str, work_dir: str) -> list[str]:
    """Addresses of what the state holds, without what was only read."""
    listed = _terraform(example, work_dir, "state", "list", coloured=False).stdout.splitlines()
    return [address for address in listed if ".data." not in address]


def _terraform(example: str, work_dir: str, *command: str, coloured: bool = True) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[3] / "examples" / example
    state = Path(work_dir).parent / "terraform.tfstate"
    return subprocess.run(
        ["terraform", *command, *(["-no-color"] if coloured else []), f"-state={state}"],
        cwd=root,
        env={**os.environ, "TF_DATA_DIR": work_dir},
        text=True,
        capture_output=True,
        check=False,
    )
