"""Executions of state machines in the other Region: started once, and followed.

Their names follow from the execution that asks, so that whoever asks twice starts one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from mwaa_continuity import aws
from mwaa_continuity.settings import variable


@dataclass(frozen=True)
class PeerExecution:
    """An execution in the other Region as it is now."""

    status: str  #: as Step Functions says it
    output: dict[str, Any]  #: empty unless it succeeded
    error: str = ""
    why: str = ""  #: in words, where it ended badly

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.status in ("RUNNING", "PENDING_REDRIVE")


def states() -> Any:
    """A client of Step Functions in the other Region."""
    return aws.client("stepfunctions", variable("PEER_REGION"))


def find(machine_arn: str, name: str) -> PeerExecution | None:
    """An execution of a machine by its name, or none."""
    try:
        found = states().describe_execution(executionArn=execution_arn(machine_arn, name))
    except ClientError as error:
        if aws.code(error) == "ExecutionDoesNotExist":
            return None
        raise
    status = str(found["status"])
    if status in ("RUNNING", "PENDING_REDRIVE"):
        return PeerExecution(status, {})
    if status == "SUCCEEDED":
        return PeerExecution(status, json.loads(found.get("output") or "{}"))
    error_name, cause = str(found.get("error", "")), str(found.get("cause", ""))
    machine, region = machine_arn.rsplit(":", 1)[-1], machine_arn.split(":")[3]
    why = f"{machine} in {region} ended as {status}: {error_name}: {cause}"
    return PeerExecution(status, {}, error_name, why)


def start_once(machine_arn: str, name: str, given: dict[str, Any]) -> PeerExecution:
    """Start an execution unless there is one of this name; how far it is."""
    found = find(machine_arn, name)
    if found is not None:
        return found
    try:
        states().start_execution(stateMachineArn=machine_arn, name=name, input=json.dumps(given))
    except ClientError as error:
        if aws.code(error) != "ExecutionAlreadyExists":
            raise
    return PeerExecution("RUNNING", {})


def execution_arn(machine_arn: str, name: str) -> str:
    """The ARN of a machine's execution."""
    return machine_arn.replace(":stateMachine:", ":execution:") + f":{name}"


def name_of(what: str, execution: str) -> str:
    """The name of what an execution asks the other Region for."""
    return f"{what}-{hashlib.sha256(execution.encode()).hexdigest()[:32]}"
