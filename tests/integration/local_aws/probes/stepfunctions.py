"""Probes of the patches of stepfunctions."""

from __future__ import annotations

import json
import time
from typing import Any

from botocore.exceptions import ClientError
from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.antlr.runtime.ASLParser import ASLParser

from tests.integration.local_aws.probes.inside import client, machine, run, sdk_task


def execution() -> Any:
    machines = client("stepfunctions")
    arn = machine({"A": {"Type": "Pass", "Result": 1, "End": True}})
    started = machines.start_execution(stateMachineArn=arn, name="x")["executionArn"]
    for _ in range(40):
        described = machines.describe_execution(executionArn=started)
        if described["status"] != "RUNNING":
            break
        time.sleep(0.05)
    return [described["status"], described.get("output")]


def validate_definition() -> Any:
    machines = client("stepfunctions")
    return [
        machines.validate_state_machine_definition(definition=text)["result"]
        for text in ('{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}', '{"StartAt": "A"')
    ]


def list_versions() -> Any:
    arn = machine({"A": {"Type": "Succeed"}})
    return client("stepfunctions").list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]


def execution_names() -> Any:
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    arn = machine({"A": {"Type": "Wait", "Seconds": 60, "End": True}})
    machines = client("stepfunctions")
    started = {machines.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(2)}
    return len(started)


def heartbeat_without_limit() -> Any:
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    queues = client("sqs")
    url = queues.create_queue(QueueName="q")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 20,
        "End": True,
    }
    machines = client("stepfunctions")
    machines.start_execution(stateMachineArn=machine({"A": task}), name="x")
    for _ in range(100):
        messages = queues.receive_message(QueueUrl=url).get("Messages")
        if messages:
            break
        time.sleep(0.05)
    machines.send_task_heartbeat(taskToken=json.loads(messages[0]["Body"])["token"])
    return "accepted"


def starting_executions() -> Any:
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    default_user_config["stepfunctions"]["execute_state_machine"] = True
    start, ExecutionWorker.start = ExecutionWorker.start, lambda _worker: None
    machines = client("stepfunctions")
    try:
        machines.start_execution(stateMachineArn=machine({"A": {"Type": "Succeed"}}), name="x")
        machines.send_task_heartbeat(taskToken="token")
    finally:
        ExecutionWorker.start = start
    return "accepted"


def sdk_error_names() -> Any:
    return run({"A": sdk_task("ssm:getParameter", {"Name": "none"})}).get("error")


def early_answers() -> Any:
    from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint, CallbackOutcomeSuccess

    endpoint = CallbackEndpoint("token")
    endpoint.notify(CallbackOutcomeSuccess("token", "{}"))
    return endpoint.setup_heartbeat_endpoint(heartbeat_seconds=0.05).clear_and_wait()


def lambda_parameters() -> Any:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "none", "InvocationType": "Event"},
        "End": True,
    }
    done = run({"A": task})
    history = client("stepfunctions").get_execution_history(executionArn=done["executionArn"])["events"]
    scheduled = next(event for event in history if event["type"] == "TaskScheduled")
    return json.loads(scheduled["taskScheduledEventDetails"]["parameters"]).get("InvocationType")


def fail_with_any_error() -> Any:
    states = {
        "A": {"Type": "Pass", "Result": {"Error": "States.Timeout", "Cause": "why"}, "Next": "B"},
        "B": {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"},
    }
    return run(states).get("error")


def parse_once() -> Any:
    """How often a good definition is parsed until it has run, and what becomes of a wrong one, asked twice."""
    parsed = []
    read = ASLParser.state_machine
    ASLParser.state_machine = lambda parser: parsed.append(1) or read(parser)
    try:
        ended = run({"A": {"Type": "Pass", "Result": "parsed once", "End": True}})["status"]
        times = len(parsed)
        refused = []
        for _ in range(2):
            try:
                machine({"A": {"Type": "None"}})
            except ClientError:
                refused.append("refused")
        return [times, ended, *refused]
    finally:
        ASLParser.state_machine = read
