"""A further plan of what a test applied."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def plan_again(example: str, work_dir: str) -> subprocess.CompletedProcess[str]:
    """A further plan of the same root and state; exit code 0 says that nothing would change."""
    root = Path(__file__).resolve().parents[3] / "examples" / example
    state = Path(work_dir).parent / "terraform.tfstate"
    return subprocess.run(
        ["terraform", "plan", "-detailed-exitcode", "-input=false", "-no-color", f"-state={state}"],
        cwd=root,
        env={**os.environ, "TF_DATA_DIR": work_dir},
        text=True,
        capture_output=True,
        check=False,
    )
