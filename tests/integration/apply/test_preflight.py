"""A secondary as Terraform makes it passes its own preflight, under its own role; a broken one is told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.fixtures import RunningStandIn
from tests.local_aws.grants import all_grants, compare
from tests.waiting import until

NAME, REGION, PRIMARY = "standby", "us-west-2", "us-east-1"
FUNCTION_ROLE = f"{NAME}-{REGION}-preflight-function"
MODULE = Path(__file__).resolve().parents[3]

# Without automatic failover: its primary does not exist.
ROOT = f"""
terraform {{
  required_providers {{
    aws = {{
      source = "hashicorp/aws"
    }}
  }}
}}

provider "aws" {{
  region = "{REGION}"
}}

module "standby" {{
  source = "{MODULE}"

  name              = "{NAME}"
  role              = "secondary"
  environment_owner = "lifecycle"
  peer              = {{ region = "{PRIMARY}" }}
  network           = {{ egress = "endpoints" }}
  environment       = {{ webserver_access_mode = "PUBLIC_ONLY" }}
  heartbeat         = {{ schedule = "rate(1 day)" }}
  snapshot          = {{ schedule = "rate(1 day)" }}
  failover          = {{ automatic = false }}
  force_destroy     = true
}}

output "buckets" {{
  value = {{ dag = module.standby.dag_bucket, snapshot = module.standby.snapshot_bucket }}
}}

output "state_machine_arns" {{
  value = module.standby.state_machine_arns
}}
"""

#: What only a snapshot that is asked for, or the version of a file, needs: unit tests ask.
UNUSED = {
    "s3:GetObject manifest.json",
    "s3:GetObject spec.json",
    "s3:GetObject verification.json",
    "s3:GetObjectVersion *",
}


@pytest.fixture
def outputs(stand_in: RunningStandIn, terraform_environment: None, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The outputs of an applied secondary, which is destroyed afterwards."""
    (tmp_path / "main.tf").write_text(ROOT, encoding="utf-8")

    def terraform(*arguments: str) -> str:
        done = subprocess.run(["terraform", *arguments], cwd=tmp_path, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout

    terraform("init", "-input=false")
    try:
        terraform("apply", "-input=false", "-auto-approve")
        shown = json.loads(terraform("output", "-json"))
        yield {name: output["value"] for name, output in shown.items()}
    finally:
        terraform("destroy", "-input=false", "-auto-approve")


def run(stand_in: RunningStandIn, machine: str) -> dict[str, Any]:
    """An execution of a machine, when it has ended."""
    machines = stand_in.client("stepfunctions", REGION)
    arn = machines.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = machines.describe_execution(executionArn=arn)
        return None if described["status"] == "RUNNING" else described

    done: dict[str, Any] = until("the preflight ends", ended, 300)
    return done


def unused(stand_in: RunningStandIn) -> set[str]:
    """What the function's role may do and did not, but for what AWS does on its behalf."""
    mine = [grant for grant in all_grants(stand_in.client("iam")) if grant.role.endswith(f"/{FUNCTION_ROLE}")]
    log = stand_in.get("authz")
    assert [entry for entry in log if entry["role"].endswith(f"/{FUNCTION_ROLE}") and not entry["allowed"]] == []
    idle = compare(mine, log, []).unused
    return {f"{grant.action} {grant.resource.rsplit('/', 1)[-1]}" for grant in idle}


def test_a_secondary_as_applied_is_ready_and_a_broken_one_is_told(
    stand_in: RunningStandIn, outputs: dict[str, Any]
) -> None:
    """Failure covered: a standby that nobody has looked at since it was made, and that cannot take over."""
    s3, iam = stand_in.client("s3", REGION), stand_in.client("iam")
    bucket, machine = outputs["buckets"]["snapshot"]["name"], outputs["state_machine_arns"]["preflight"]
    # What a primary does: it publishes its spec, and its environment brings MWAA's role.
    spec = s3.get_object(Bucket=bucket, Key=f"spec/{NAME}/published.{REGION}.json")["Body"].read()
    s3.put_object(Bucket=bucket, Key=f"spec/{NAME}/published.{PRIMARY}.json", Body=spec)
    if not any(role["RoleName"] == "AWSServiceRoleForAmazonMWAA" for role in iam.list_roles()["Roles"]):
        iam.create_service_linked_role(AWSServiceName="airflow.amazonaws.com")

    done = run(stand_in, machine)
    assert done["status"] == "SUCCEEDED", done
    checks = {check["name"]: check["found"] for check in json.loads(done["output"])["preflight"]["checks"]}
    assert checks["way_out"] == "by VPC endpoints"
    assert checks["log_groups"] == "5 of 5 log groups are there"
    assert unused(stand_in) == UNUSED

    s3.delete_public_access_block(Bucket=outputs["buckets"]["dag"]["name"])
    done = run(stand_in, machine)
    assert (done["error"], done["cause"]) == ("NotReady", 'these checks failed: ["dag_bucket"]')

    def told() -> list[dict[str, Any]]:
        words = f"preflight of the MWAA environment {NAME}"
        return [notice for notice in stand_in.get("sns") if words in notice["message"]]

    (notice,) = until("the notice arrives", told, 120)
    assert "dag_bucket" in notice["message"]
