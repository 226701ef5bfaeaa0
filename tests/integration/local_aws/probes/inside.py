"""What the probes share: clients, a role and state machines inside the mock."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
from moto.core.config import default_user_config

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"


def client(service: str, region: str = "us-east-1") -> Any:
    """A client inside the mock."""
    return boto3.client(service, region_name=region)


def role() -> str:
    """A role that moto accepts for functions."""
    client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
    return ROLE


def machine(states: dict[str, Any], start: str = "A") -> str:
    """The ARN of a state machine of these states."""
    definition = json.dumps({"StartAt": start, "States": states})
    arn: str = client("stepfunctions").create_state_machine(name="m", definition=definition, roleArn=ROLE)[
        "stateMachineArn"
    ]
    return arn


def run(states: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Description of an execution when it has ended, or after five seconds."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    machines = client("stepfunctions")
    execution = machines.start_execution(stateMachineArn=machine(states), name="x", **arguments)["executionArn"]
    for _ in range(100):
        described: dict[str, Any] = machines.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            break
        time.sleep(0.05)
    return described


def sdk_task(action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """A state, the last one, that calls a service through its SDK."""
    return {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{action}", "Parameters": parameters, "End": True}
