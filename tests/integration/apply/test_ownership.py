"""A plan that would delete an environment and its database fails, also on values that are not known before apply."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local_aws.fixtures import RunningStandIn

REGION = "us-east-1"
CLAIM = "/mwaa-continuity/owned/ownership/claim"
MODULE = Path(__file__).resolve().parents[3] / "modules" / "environment"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

# Its subnets are known after apply only, like those of a VPC that is about to be replaced.
ROOT = """
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

resource "terraform_data" "network" {
  input = ["subnet-11111111", "subnet-22222222"]
}

module "environment" {
  source = "MODULE"

  name                = "owned"
  prefix              = "owned-us-east-1"
  role                = "standalone"
  environment_owner   = "OWNER"
  network             = { vpc_id = "vpc-11111111", subnet_ids = terraform_data.network.output }
  dag_bucket          = { name = "dags", arn = "arn:aws:s3:::dags" }
  key_arn             = "arn:aws:kms:us-east-1:123456789012:key/mrk-0"
  environment_key_arn = "KEY"
}
"""

Plan = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def plan(terraform_environment: None, tmp_path: Path) -> Plan:
    """Plans an environment with an owner, from nothing, with the real provider."""

    def run(owner: str) -> subprocess.CompletedProcess[str]:
        text = ROOT.replace("MODULE", str(MODULE)).replace("OWNER", owner).replace("KEY", KEY)
        (tmp_path / "main.tf").write_text(text, encoding="utf-8")
        subprocess.run(["terraform", "init", "-input=false"], cwd=tmp_path, check=True, capture_output=True)
        return subprocess.run(
            ["terraform", "plan", "-input=false", "-no-color"],
            cwd=tmp_path,
            text=True,
            capture_output=True,
            check=False,
        )

    return run


@pytest.fixture
def claimed(stand_in: RunningStandIn) -> Iterator[None]:
    """Terraform has owned a running environment here, in other subnets."""
    ssm = stand_in.client("ssm", REGION)
    claim = {
        "environment_owner": "terraform",
        "role": "standalone",
        "kms_key": KEY,
        "subnet_ids": ["subnet-33333333", "subnet-44444444"],
        "endpoint_management": "SERVICE",
    }
    ssm.put_parameter(Name=CLAIM, Type="String", Value=json.dumps(claim))
    yield
    ssm.delete_parameter(Name=CLAIM)


def test_a_first_plan_with_unknown_subnets_passes(plan: Plan) -> None:
    """Nothing is held back before there is anything to lose."""
    first = plan("terraform")

    assert first.returncode == 0, first.stderr
    assert "module.environment.aws_mwaa_environment.this[0] will be created" in first.stdout


def test_subnets_about_to_be_replaced_fail_the_plan(claimed: None, plan: Plan) -> None:
    """Failure covered: unknown `subnet_ids` force a replacement of the environment."""
    refused = plan("terraform")

    assert refused.returncode == 1
    assert "subnets_must_be_known" in refused.stderr
    assert "would replace the environment and delete its database" in refused.stderr


def test_another_owner_fails_the_plan_with_the_steps_to_take(claimed: None, plan: Plan) -> None:
    """Failure covered: the environment is deleted because it was to be somebody else's."""
    refused = plan("lifecycle")

    words = " ".join(refused.stderr.split())
    assert refused.returncode == 1
    assert '`environment_owner` of owned in us-east-1 is "terraform" and cannot just become "lifecycle"' in words
    assert "terraform state rm" in words
    assert f"aws ssm delete-parameter --region {REGION} --name {CLAIM}" in words
