"""State machines: tokens, heartbeats, retries, errors, events and schedules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.local_aws.helpers import (
    ACCOUNT,
    HOME,
    LOGGING,
    allow,
    make_function,
    make_role,
    run_machine,
)
from tests.local_aws.fixtures import RunningStandIn
from tests.waiting import until

_ANSWERING = """
import boto3, json, threading, time

def handler(event, context):
    states = boto3.client("stepfunctions")
    if event["mode"] == "beat":
        for _ in range(10):
            time.sleep(1)
            states.send_task_heartbeat(taskToken=event["token"])
    if event["mode"] != "silent":
        states.send_task_success(taskToken=event["token"], output=json.dumps({"mode": event["mode"]}))
    return None
"""


@pytest.fixture(scope="module")
def answering(stand_in: RunningStandIn) -> str:
    """A function that answers a task token, after heartbeats, at once, or never."""
    tokens = allow(["states:SendTaskSuccess", "states:SendTaskHeartbeat"], "*")
    role = make_role(stand_in, "machines-answering", "lambda.amazonaws.com", LOGGING, tokens)
    return make_function(stand_in, "machines-answering", _ANSWERING, role)


@pytest.fixture(scope="module")
def machine_role(stand_in: RunningStandIn, answering: str) -> str:
    """A machine's role that may invoke the function, without waiting for it."""
    rights = [allow("lambda:InvokeFunction", answering), allow("airflow:GetEnvironment", "*")]
    return make_role(stand_in, "machines-role", "states.amazonaws.com", *rights)


def _token_task(function: str, mode: str, **fields: Any) -> dict[str, Any]:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": function,
            "InvocationType": "Event",
            "Payload": {"mode": mode, "token.$": "$$.Task.Token"},
        },
        "TimeoutSeconds": 30,
        "End": True,
        **fields,
    }
    return {"StartAt": "A", "States": {"A": task}}


def test_heartbeats_keep_a_task_alive(stand_in: RunningStandIn, answering: str, machine_role: str) -> None:
    """Ten heartbeats a second apart, with a limit of eight seconds, and then the answer."""
    done = run_machine(stand_in, "machines-beat", _token_task(answering, "beat", HeartbeatSeconds=8), machine_role)
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"), stand_in.events("invocation"))
    assert json.loads(done["output"]) == {"mode": "beat"}


def test_an_answer_before_the_wait_counts(stand_in: RunningStandIn, answering: str, machine_role: str) -> None:
    """The function answers its token before it returns, while the machine still waits for the function."""
    definition = _token_task(answering, "answer", HeartbeatSeconds=5)
    definition["States"]["A"]["Parameters"]["InvocationType"] = "RequestResponse"
    assert run_machine(stand_in, "machines-early", definition, machine_role)["status"] == "SUCCEEDED"


def test_a_silent_task_times_out(stand_in: RunningStandIn, answering: str, machine_role: str) -> None:
    """Failure covered: a clean-up that fails never sends its task token, and everybody waits for 60 minutes."""
    done = run_machine(stand_in, "machines-silent", _token_task(answering, "silent", HeartbeatSeconds=2), machine_role)
    assert (done["status"], done["error"]) == ("FAILED", "States.Timeout")


def test_a_missing_environment_has_the_error_name_of_aws(stand_in: RunningStandIn, machine_role: str) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:mwaa:getEnvironment",
        "Parameters": {"Name": "none"},
        "Catch": [{"ErrorEquals": ["Mwaa.ResourceNotFoundException"], "Next": "Gone"}],
        "End": True,
    }
    states = {"A": task, "Gone": {"Type": "Pass", "Result": {"gone": True}, "End": True}}
    done = run_machine(stand_in, "machines-gone", {"StartAt": "A", "States": states}, machine_role)
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"gone": True})


def test_throttled_calls_are_retried(stand_in: RunningStandIn, answering: str, machine_role: str) -> None:
    stand_in.post("fault", service="lambda", operation="Invoke", error="TooManyRequestsException", status=429, count=2)
    retry = {"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1, "MaxAttempts": 3}
    done = run_machine(stand_in, "machines-throttled", _token_task(answering, "answer", Retry=[retry]), machine_role)
    assert done["status"] == "SUCCEEDED"


def test_a_time_limit_ends_the_execution(stand_in: RunningStandIn, machine_role: str) -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 60, "End": True}}, "TimeoutSeconds": 2}
    assert run_machine(stand_in, "machines-late", definition, machine_role)["status"] == "TIMED_OUT"


def test_status_changes_become_notices(stand_in: RunningStandIn, machine_role: str) -> None:
    """Failure covered: a successful failover notifies nobody. The rule's input transformer words the notice."""
    topic = stand_in.client("sns").create_topic(Name="machines-notices")["TopicArn"]
    events = stand_in.client("events")
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["FAILED"], "stateMachineArn": [{"suffix": "machines-noted"}]},
    }
    rule = events.put_rule(Name="machines-noted", EventPattern=json.dumps(pattern))["RuleArn"]
    transformer = {
        "InputPathsMap": {"name": "$.detail.stateMachineArn", "cause": "$.detail.cause"},
        "InputTemplate": '"<name> failed: <cause>"',
    }
    events.put_targets(Rule="machines-noted", Targets=[{"Id": "t", "Arn": topic, "InputTransformer": transformer}])
    failing = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Own", "Cause": "because"}}}
    # Without a topic policy that admits EventBridge nothing arrives.
    machines = stand_in.client("stepfunctions")
    run_machine(stand_in, "machines-noted", failing, machine_role)
    until("the lost event", lambda: stand_in.events("event_lost", rule="machines-noted"), 30)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stand_in.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    machines.start_execution(stateMachineArn=f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:machines-noted")
    notices = until("the notice", lambda: [n for n in stand_in.get("sns") if n["topic"] == topic], 30)
    machine = f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:machines-noted"
    assert notices[0]["message"] == f'"{machine} failed: because"'


def test_a_schedule_starts_a_machine_under_its_role(stand_in: RunningStandIn, machine_role: str) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machines, schedules = stand_in.client("stepfunctions"), stand_in.client("scheduler")
    machine = machines.create_state_machine(name="machines-timed", definition=definition, roleArn=machine_role)
    arn = machine["stateMachineArn"]
    role = make_role(stand_in, "machines-timer", "scheduler.amazonaws.com", allow("states:StartExecution", arn))
    attributes = {"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}
    schedules.create_schedule(
        Name="machines-timed",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role, "Input": json.dumps(attributes)},
    )
    stand_in.post("fire", region=HOME, name="machines-timed")
    started = until("the execution", lambda: machines.list_executions(stateMachineArn=arn)["executions"], 30)
    given = json.loads(machines.describe_execution(executionArn=started[0]["executionArn"])["input"])
    assert given["by"] == f"arn:aws:scheduler:{HOME}:{ACCOUNT}:schedule/default/machines-timed"
    assert given["at"].endswith("Z")


def test_an_object_that_comes_starts_a_machine(stand_in: RunningStandIn) -> None:
    """By EventBridge, under the rule's role: only for the keys that the rule names."""
    states, s3, events = (stand_in.client(name, HOME) for name in ("stepfunctions", "s3", "events"))
    role = make_role(stand_in, "machines-objects", "states.amazonaws.com")
    definition = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    machine = states.create_state_machine(name="machines-objects", definition=json.dumps(definition), roleArn=role)
    arn = machine["stateMachineArn"]
    sender = make_role(stand_in, "machines-objects-events", "events.amazonaws.com", allow("states:StartExecution", arn))
    s3.create_bucket(Bucket="machines-objects")
    s3.put_bucket_versioning(Bucket="machines-objects", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="machines-objects", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["machines-objects"]}, "object": {"key": ["spec/a.json"]}},
    }
    events.put_rule(Name="machines-objects", EventPattern=json.dumps(pattern))
    transformer = {"InputPathsMap": {"key": "$.detail.object.key"}, "InputTemplate": '{"key": <key>}'}
    events.put_targets(
        Rule="machines-objects",
        Targets=[{"Id": "machine", "Arn": arn, "RoleArn": sender, "InputTransformer": transformer}],
    )

    def started() -> list[str]:
        found = states.list_executions(stateMachineArn=arn)["executions"]
        return [states.describe_execution(executionArn=execution["executionArn"])["input"] for execution in found]

    for key in ("spec/b.json", "spec/a.json"):
        s3.put_object(Bucket="machines-objects", Key=key, Body=b"{}")
    inputs = until("an execution for the new object", started, 120)
    assert {json.loads(given)["key"] for given in inputs} == {"spec/a.json"}
