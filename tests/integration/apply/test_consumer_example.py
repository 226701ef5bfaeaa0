"""The example that uses a release by git: everything that the module reads must be in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.tools import set_up_machine

_ROOT = Path(__file__).resolve().parents[3]
_ADDRESS = "https://github.com/example/terraform-aws-mwaa-continuity.git"


def test_a_release_is_all_that_a_consumer_needs(tmp_path: Path) -> None:
    """Failure covered: a file that the module reads, such as the functions' package, is not in the repository."""
    set_up_machine.terraform()
    shutil.copy(_ROOT / "examples" / "consumer" / "main.tf", tmp_path)
    released = tmp_path / "released.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(_ROOT), str(released)], check=True)
    subprocess.run(["git", "-C", str(released), "tag", "v0.1.0"], check=True)
    environment = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": str(_ROOT / "build" / "terraform.rc"),
        "CHECKPOINT_DISABLE": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{released}.insteadOf",
        "GIT_CONFIG_VALUE_0": _ADDRESS,
    }
    for arguments in (("init", "-backend=false", "-input=false"), ("validate",)):
        done = subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / ".terraform" / "modules" / "mwaa" / "functions" / "package.zip").exists()
