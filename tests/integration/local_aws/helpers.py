"""Things that tests of the stand-in set up again and again."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from tests.local_aws.fixtures import RunningStandIn
from tests.waiting import until

ACCOUNT = "123456789012"
HOME, OTHER = "us-east-1", "us-west-2"


def make_role(stand_in: RunningStandIn, name: str, service: str, *statements: dict[str, Any]) -> str:
    """A role that the service may assume, with one policy of these statements; returns its ARN."""
    iam = stand_in.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_document(*statements))
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], resources: str | list[str], **condition: Any) -> dict[str, Any]:
    """An allowing statement."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


LOGGING = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*")


def make_function(stand_in: RunningStandIn, name: str, source: str, role: str, **settings: Any) -> str:
    """A function from the source of one module with a `handler`; returns its ARN."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("module.py", source)
    created = stand_in.client("lambda", settings.pop("region", HOME)).create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="module.handler",
        Code={"ZipFile": package.getvalue()},
        **{"Timeout": 20, **settings},
    )
    return str(created["FunctionArn"])


def run_machine(stand_in: RunningStandIn, name: str, definition: dict[str, Any], role: str) -> dict[str, Any]:
    """Run a new state machine once; returns the description of the ended execution."""
    machines = stand_in.client("stepfunctions")
    machine = machines.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
    started = machines.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = machines.describe_execution(executionArn=started)
        return described if described["status"] != "RUNNING" else None

    done: dict[str, Any] = until(f"the end of {name}", ended, 60)
    return done
