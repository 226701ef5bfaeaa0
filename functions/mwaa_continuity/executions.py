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
    machine = execution.replace(":execution:", ":stateMachine:").rpartition(":")[0]
    pages = aws.client("stepfunctions").get_paginator("list_executions")
    running = [
        (found["startDate"], str(found["executionArn"]))
        for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
        for found in page["executions"]
    ]
    own = next((found for found in running if found[1] == execution), None)
    others = [found for found in running if found[1] != execution and (own is None or found < own)]
    return min(others)[1] if others else None
