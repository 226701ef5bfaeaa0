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
