"""Functions run from their zip, under their role, within their time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.local_aws.helpers import LOGGING, allow, make_function, make_role
from tests.local_aws.fixtures import RunningStandIn
from tests.waiting import until

_SOURCE = """
import os, time, boto3

def handler(event, context):
    print("event", event)
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("fail"):
        raise KeyError(event["fail"])
    if event.get("exit"):
        os._exit(3)
    body = boto3.client("s3").get_object(Bucket="functions-data", Key=event["key"])["Body"].read().decode()
    return {"body": body, "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis()}
"""


@pytest.fixture(scope="module")
def function(stand_in: RunningStandIn) -> str:
    """A function that may read one object."""
    s3 = stand_in.client("s3")
    s3.create_bucket(Bucket="functions-data")
    s3.put_object(Bucket="functions-data", Key="open", Body=b"data")
    s3.put_object(Bucket="functions-data", Key="closed", Body=b"data")
    reading = allow("s3:GetObject", "arn:aws:s3:::functions-data/open")
    role = make_role(stand_in, "functions-reader", "lambda.amazonaws.com", LOGGING, reading)
    return make_function(stand_in, "functions-reader", _SOURCE, role, Timeout=4)


def _invoke(stand_in: RunningStandIn, function: str, **event: Any) -> tuple[str | None, dict[str, Any]]:
    answer = stand_in.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_runs_under_its_role_and_logs(stand_in: RunningStandIn, function: str) -> None:
    error, answer = _invoke(stand_in, function, key="open")
    assert error is None
    assert (answer["body"], answer["arn"]) == ("data", function)
    assert 0 < answer["left"] < 4000
    found = stand_in.client("logs").filter_log_events(logGroupName="/aws/lambda/functions-reader")["events"]
    assert any("event {'key': 'open'}" in line["message"] for line in found)


def test_is_denied_what_its_role_may_not(stand_in: RunningStandIn, function: str) -> None:
    error, answer = _invoke(stand_in, function, key="closed")
    assert error == "Unhandled"
    assert (
        "is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::functions-data/closed"
        in (answer["errorMessage"])
    )
    line = [e for e in stand_in.get("authz") if e["resource"].endswith("functions-data/closed")][-1]
    assert (line["role"].rsplit("/", 1)[-1], line["action"], line["allowed"]) == (
        "functions-reader",
        "s3:GetObject",
        False,
    )


def test_a_missing_object_is_forbidden_without_list_permission(stand_in: RunningStandIn) -> None:
    """S3 tells a caller who may not list a bucket 403, not 404, for an object that is not there."""
    role = make_role(
        stand_in,
        "functions-blind",
        "lambda.amazonaws.com",
        LOGGING,
        allow("s3:GetObject", "arn:aws:s3:::functions-data/*"),
    )
    function = make_function(stand_in, "functions-blind", _SOURCE, role)
    _, answer = _invoke(stand_in, function, key="none")
    assert "s3:ListBucket on resource: arn:aws:s3:::functions-data" in answer["errorMessage"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [({"fail": "why"}, "KeyError"), ({"sleep": 30}, "Sandbox.Timedout"), ({"exit": True}, "Runtime.ExitError")],
)
def test_failures_have_the_names_that_aws_gives_them(
    stand_in: RunningStandIn, function: str, event: dict[str, Any], kind: str
) -> None:
    error, answer = _invoke(stand_in, function, **event)
    assert (error, answer["errorType"]) == ("Unhandled", kind)


def test_a_role_that_does_not_trust_lambda_cannot_run(stand_in: RunningStandIn) -> None:
    role = make_role(stand_in, "functions-untrusting", "ec2.amazonaws.com", LOGGING)
    error, answer = _invoke(stand_in, make_function(stand_in, "functions-untrusting", _SOURCE, role), key="open")
    assert error == "Unhandled"
    assert "does not admit" in answer["errorMessage"]


def test_asynchronous_invocations_return_at_once(stand_in: RunningStandIn, function: str) -> None:
    answer = stand_in.client("lambda").invoke(
        FunctionName=function, InvocationType="Event", Payload=json.dumps({"key": "open", "sleep": 1})
    )
    assert answer["StatusCode"] == 202
    before = len(stand_in.events("invocation", function="functions-reader", succeeded=True))
    until(
        "another invocation",
        lambda: len(stand_in.events("invocation", function="functions-reader", succeeded=True)) > before,
        30,
    )
