"""The smallest caller of the module, from nothing to a running environment and back to nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_terraform import terraform

from tests.integration.apply.fencing import assert_that_a_region_without_the_lease_starts_nothing_new
from tests.local_aws.fixtures import RunningStandIn

REGION = "us-east-1"


def what_exists(stand_in: RunningStandIn) -> dict[str, list[str]]:
    """Names of what the module creates, by kind."""
    client = stand_in.client
    keys = client("kms", REGION).list_keys()["Keys"]
    states = [client("kms", REGION).describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys]
    return {
        "environments": client("mwaa", REGION).list_environments()["Environments"],
        "buckets": [bucket["Name"] for bucket in client("s3", REGION).list_buckets()["Buckets"]],
        "functions": [function["FunctionName"] for function in client("lambda", REGION).list_functions()["Functions"]],
        "machines": [
            machine["name"] for machine in client("stepfunctions", REGION).list_state_machines()["stateMachines"]
        ],
        "roles": [role["RoleName"] for role in client("iam", REGION).list_roles()["Roles"]],
        "schedules": [schedule["Name"] for schedule in client("scheduler", REGION).list_schedules()["Schedules"]],
        "tables": client("dynamodb", REGION).list_tables()["TableNames"],
        "topics": [topic["TopicArn"] for topic in client("sns", REGION).list_topics()["Topics"]],
        "rules": [rule["Name"] for rule in client("events", REGION).list_rules()["Rules"]],
        "alarms": [alarm["AlarmName"] for alarm in client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]],
        "log groups": [group["logGroupName"] for group in client("logs", REGION).describe_log_groups()["logGroups"]],
        "parameters": [
            parameter["Name"]
            for parameter in client("ssm", REGION).describe_parameters()["Parameters"]
            if not parameter["Name"].startswith("/aws/")
        ],
        "keys": [
            state["KeyId"] for state in states if (state["KeyManager"], state["KeyState"]) == ("CUSTOMER", "Enabled")
        ],
    }


@pytest.fixture
def nothing_left(stand_in: RunningStandIn, terraform_environment: None) -> Iterator[None]:
    """After Terraform has destroyed what it applied, the account is as it was before."""
    before = what_exists(stand_in)
    yield
    after = what_exists(stand_in)
    left = {kind: sorted(set(names) - set(before[kind])) for kind, names in after.items()}
    assert {kind: names for kind, names in left.items() if names} == {}


def plan(work_dir: str) -> subprocess.CompletedProcess[str]:
    """A further plan of the same root and state; exit code 0 says that nothing would change."""
    root = Path(__file__).resolve().parents[3] / "examples" / "minimal"
    state = Path(work_dir).parent / "terraform.tfstate"
    return subprocess.run(
        ["terraform", "plan", "-detailed-exitcode", "-input=false", "-no-color", f"-state={state}"],
        cwd=root,
        env={**os.environ, "TF_DATA_DIR": work_dir},
        text=True,
        capture_output=True,
        check=False,
    )


@terraform("minimal", replay=False)
def test_an_environment_from_nothing_to_fenced_to_nothing(
    nothing_left: None, stand_in: RunningStandIn, minimal: Any
) -> None:
    """Failure covered: no fencing: the primary is never paused, so a Region that comes back runs everything twice.

    Also: a second plan that shows changes, and a destroy that leaves something. One apply serves all: it takes long.
    """
    again = plan(minimal.work_dir)
    assert again.returncode == 0, again.stdout + again.stderr

    mwaa = stand_in.client("mwaa", REGION)
    environment = mwaa.get_environment(Name="minimal")["Environment"]
    assert environment["Status"] == "AVAILABLE"
    answer = mwaa.invoke_rest_api(Name="minimal", Method="GET", Path="/dags", QueryParameters={"limit": 100})
    dags = {dag["dag_id"] for dag in answer["RestApiResponse"]["dags"]}
    own = {"snapshot", "restore", "go_live", "beat", "guard"}
    assert {f"continuity_{name}" for name in own} <= dags

    bucket = environment["SourceBucketArn"].rsplit(":", 1)[1]
    s3 = stand_in.client("s3", REGION)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert any(s["Effect"] == "Deny" and s["Condition"]["Bool"] == {"aws:SecureTransport": "false"} for s in statements)

    assert_that_a_region_without_the_lease_starts_nothing_new(stand_in)
