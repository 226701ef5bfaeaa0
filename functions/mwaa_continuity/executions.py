"""Executions of state machines: whether one goes on."""

from __future__ import annotations

from datetime import datetime

from botocore.exceptions import ClientError

from mwaa_continuity import aws


def execution_state(execution: str) -> tuple[bool, datetime | None]:
    """Whether an execution runs, and when it ended. One that Step Functions forgot does not run."""
    if not execution:
        return False, None
    try:
        answer = aws.client("stepfunctions").describe_execution(executionArn=execution)
    except ClientError as error:
        if aws.code(error) in {"ExecutionDoesNotExist", "InvalidArn"}:
            return False, None
        raise
    return answer["status"] == "RUNNING", answer.get("stopDate")


def earlier_execution(execution: str) -> str | None:
    """The ARN of the oldest execution of the same machine that runs and began before this one, or none.

    Of several that were started, one is at work: whoever finds an earlier one leaves it alone.
    """
    return next(iter(earlier_executions(execution)), None)


def earlier_executions(execution: str) -> list[str]:
    """The ARNs of all such executions, the oldest first."""
    found = running(execution.replace(":execution:", ":stateMachine:").rpartition(":")[0])
    own = next((each for each in found if each[1] == execution), None)
    return [arn for started, arn in found if arn != execution and (own is None or (started, arn) < own)]


def running(machine: str) -> list[tuple[datetime, str]]:
    """The executions of a machine, by its ARN, that run: when each began, and its ARN; the oldest first."""
    pages = aws.client("stepfunctions").get_paginator("list_executions")
    return sorted(
        (found["startDate"], str(found["executionArn"]))
        for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
        for found in page["executions"]
    )


def last_start(machine: str) -> datetime | None:
    """When the newest execution of a machine began, none where there was none that Step Functions remembers."""
    found = aws.client("stepfunctions").list_executions(stateMachineArn=machine, maxResults=1)["executions"]
    return found[0]["startDate"] if found else None
