"""Record real plans for the tests of examples/ci/plan_review: `python -m tests.tools.record_plans`.

Applies tests/plan/roots/reviewed/before to a stand-in, plans `after` and a destruction on the same state, and writes
what `terraform show -json` says of each, without the parts that the tool does not read, to tests/unit/tools/plans/.
The two of the rehearsal's Regions there (destroy-primary, destroy-secondary) were taken after one by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.local_aws.fixtures import RunningStandIn, start_stand_in
from tests.tools import set_up_machine

ROOT = Path(__file__).resolve().parents[2]
ROOTS = ROOT / "tests" / "plan" / "roots" / "reviewed"
RECORDED = ROOT / "tests" / "unit" / "tools" / "plans"
#: What the tool reads; the rest repeats it, or describes the machine.
READ = ("format_version", "terraform_version", "resource_changes", "resource_drift", "output_changes", "errored")


class Terraform:
    """Terraform of one root after another, all on one state."""

    def __init__(self, stand_in: RunningStandIn, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "terraform.tfstate"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **stand_in.terraform_env,
            "TF_CLI_CONFIG_FILE": str(ROOT / "build" / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, root: str, *arguments: str, password: str = "") -> str:
        """Run one command; what it printed. Raises CalledProcessError, after showing what it said."""
        environment = {**self.environment, "TF_DATA_DIR": str(self.folder / root), "TF_VAR_password": password}
        done = subprocess.run(
            ["terraform", f"-chdir={ROOTS / root}", *arguments],
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout, done.stderr, file=sys.stderr)
            done.check_returncode()
        return done.stdout

    def show(self, root: str, *options: str, password: str) -> dict[str, Any]:
        """The JSON of a plan."""
        plan = str(self.folder / "plan")
        self.run(root, "plan", "-input=false", f"-state={self.state}", f"-out={plan}", *options, password=password)
        shown: dict[str, Any] = json.loads(self.run(root, "show", "-json", plan))
        return shown


def recorded(shown: dict[str, Any]) -> str:
    """The parts of a plan that the tool reads, without what stays as it is."""
    kept = {name: shown[name] for name in READ if name in shown}
    kept["resource_changes"] = [
        change
        for change in kept["resource_changes"]
        if change["change"]["actions"] != ["no-op"] or "previous_address" in change
    ]
    return json.dumps(kept, indent=1, sort_keys=True) + "\n"


def record(stand_in: RunningStandIn, folder: Path) -> dict[str, str]:
    """File names with the plans that belong into them."""
    terraform = Terraform(stand_in, folder)
    for root in ("before", "after"):
        terraform.run(root, "init", "-backend=false", "-input=false")
    plans = {"create.json": recorded(terraform.show("before", password="first-secret"))}
    terraform.run("before", "apply", "-input=false", f"-state={terraform.state}", str(folder / "plan"))
    # Somebody changed this by hand.
    stand_in.client("logs").put_retention_policy(logGroupName="/reviewed/kept", retentionInDays=7)
    plans["change.json"] = recorded(terraform.show("after", password="second-secret"))
    plans["destroy.json"] = recorded(terraform.show("before", "-destroy", password="first-secret"))
    return plans


def main() -> int:
    """Exit code 0 where the plans are written."""
    set_up_machine.terraform()
    with tempfile.TemporaryDirectory() as folder:
        stand_in = start_stand_in(Path(folder) / "stand_in")
        try:
            plans = record(stand_in, Path(folder))
        finally:
            stand_in.stop()
    RECORDED.mkdir(exist_ok=True)
    for name, text in plans.items():
        (RECORDED / name).write_text(text)
        print(name, len(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
