"""The state machines in moto's own interpreter, with the real handlers in this process behind `lambda:invoke`.

The DAGs are played by a thread that reads the task token from its object, as the DAGs do. A retry's wait is cut to a
second, and a second that a machine waits, before a retry or in a state, to a tenth: time limits are as they are told.
What Airflow itself does is the rehearsal's to show.
"""

from __future__ import annotations

import copy
import importlib
import json
import re
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.events.models import EventPattern
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from mwaa_continuity import spec
from tests.tools.state_machine_templates import FUNCTIONS, MACHINES, example_variables, render
from tests.unit.functions.conftest import NAME, PRIMARY, SECONDARY, SNAPSHOTS, Account, environment

SNAPSHOT = "20261121T080000Z-0123abcd"
IGNORE = "dags/.airflowignore"
OBSERVED = f"spec/{NAME}/observed.{PRIMARY}.json"
PARSED = {"is_active": True, "is_paused": False}
SETTINGS = {
    "poll_seconds": 1,
    "create_timeout_minutes": 1,
    "dag_timeout_minutes": 1,
    "heartbeat_seconds": 2,
    "parse_deadline_seconds": 2,
    "again_seconds": 1,
    "window_asks": 3,
    "snapshot_attempts": 2,
    "follow_seconds": 1,
    "follow_polls": 100,
    "failback_timeout_seconds": 600,
}
Dead = Callable[..., None]
Answers = dict[str, Callable[[], dict[str, Any]]]

#: The Region whose function runs.
CURRENT_REGION: ContextVar[str] = ContextVar("CURRENT_REGION", default=SECONDARY)

#: Functions that a test plays itself.
PLAYED: dict[str, Callable[[Any, Any], dict[str, Any]]] = {}

#: What the stand-in's patches, where moto differs from AWS, put something else in the place of.
PATCHED = [
    (state_fail, "CustomErrorName"),
    (StepFunctionsParserBackend, "_get_executions"),
    (StateTaskService, "_normalise_parameters"),
    (StateTaskService, "_normalise_response"),
]


#: The same, for as long as tests run: what parses definitions.
PARSING = [(AmazonStateLanguageParser, "parse"), (StepFunctionsParserBackend, "_validate_definition")]
#: How long a second is that a machine waits.
WAITED_SECOND = 0.1


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let machines wait that much shorter."""

    def wait(_function: WaitFunction, env: Environment, wait_seconds: float) -> None:
        env.program_state_event.wait(wait_seconds * WAITED_SECOND)

    def sleep(seconds: float) -> None:
        time.sleep(seconds * WAITED_SECOND)

    monkeypatch.setattr(WaitFunction, "_wait_interval", wait)
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=sleep))


def invoke(parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
    """What Lambda does: JSON in, JSON out, an exception by its class name."""
    assert parameters["FunctionName"].split(":")[3] == region
    assert state_credentials is not None
    function = parameters["FunctionName"].rsplit("rehearsal-", 1)[1]
    assert function in FUNCTIONS
    handler = PLAYED.get(function) or importlib.import_module(f"mwaa_continuity.{function}").handler
    before = CURRENT_REGION.set(region)
    try:
        answer = handler(json.loads(parameters["Payload"]), None)
    except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
        failure = {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
        return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": failure}
    finally:
        CURRENT_REGION.reset(before)
    return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}


def without_long_waits(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition with every wait before a retry cut to a second."""
    quick = copy.deepcopy(definition)
    for state in quick["States"].values():
        for retrier in state.get("Retry", []):
            retrier |= {"IntervalSeconds": 1, "BackoffRate": 1}
            retrier.pop("MaxDelaySeconds", None)
            retrier.pop("JitterStrategy", None)
    return quick


def definition(machine: str, region: str = SECONDARY, **settings: Any) -> dict[str, Any]:
    """The definition of a machine as it is deployed here."""
    return without_long_waits(render(machine, example_variables(region) | SETTINGS | settings))


class Region:
    """The machines of a Region, the secondary by default, whose snapshot bucket holds the task tokens."""

    def __init__(self, account: Account, region: str = SECONDARY, bucket: str = SNAPSHOTS) -> None:
        self.account = account
        self.region = region
        self.bucket = bucket
        self.states = boto3.client("stepfunctions", region)
        self.arns: dict[str, str] = {}

    def deploy(self, *machines: str, **settings: Any) -> None:
        """Create some machines, or every one."""
        for machine in machines or MACHINES:
            self.arns[machine] = self.states.create_state_machine(
                name=f"rehearsal-{machine}",
                definition=json.dumps(definition(machine, self.region, **settings)),
                roleArn=f"arn:aws:iam::123456789012:role/rehearsal-{machine}",
            )["stateMachineArn"]

    def of(self, _machine: str) -> Region:
        """The Region that has a machine: this one."""
        return self

    def update(self, machine: str, definition: dict[str, Any]) -> None:
        """Put another definition into the place of a machine's."""
        self.states.update_state_machine(stateMachineArn=self.arns[machine], definition=json.dumps(definition))

    def update_settings(self, machine: str, **settings: Any) -> None:
        """Deploy a machine again with other settings."""
        self.update(machine, definition(machine, self.region, **settings))

    def run(self, machine: str, name: str = "run-1", **fields: Any) -> dict[str, Any]:
        """Start a machine and wait until it ends."""
        return self.wait(self.start(machine, name, **fields))

    def start(self, machine: str, name: str, **fields: Any) -> str:
        """Start a machine; the ARN of the execution."""
        arn = self.arns[machine]
        started = self.states.start_execution(stateMachineArn=arn, name=name, input=json.dumps(fields))
        return str(started["executionArn"])

    def wait(self, arn: str) -> dict[str, Any]:
        """The execution when it has ended."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            answer: dict[str, Any] = self.states.describe_execution(executionArn=arn)
            if answer["status"] != "RUNNING":
                return answer
            time.sleep(0.1)
        raise AssertionError(f"{arn} still runs: {self.entered(arn)}")

    def entered(self, arn: str) -> list[str]:
        """The names of the states that an execution entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(arn)
            if "stateEnteredEventDetails" in event
        ]

    def history(self, arn: str) -> list[dict[str, Any]]:
        """Everything that Step Functions keeps of an execution."""
        events: list[dict[str, Any]] = self.states.get_execution_history(executionArn=arn)["events"]
        return events

    def execution(self, machine: str, name: str) -> str:
        """The ARN of an execution."""
        return f"{self.arns[machine].replace('stateMachine', 'execution')}:{name}"

    def executions(self, machine: str) -> list[str]:
        """The names of all executions of a machine."""
        found = self.states.list_executions(stateMachineArn=self.arns[machine])["executions"]
        return sorted(execution["name"] for execution in found)

    def answer_dags(self, answers: Answers) -> None:
        """Play the DAGs: read the token from its object and answer with what the callable returns or raises."""

        def start(dag_id: str, conf: dict[str, Any]) -> None:
            if dag_id in self.account.mwaa.ends:
                return  # a DAG of users, which answers nobody
            threading.Timer(0.3, lambda: self.answer(answers[dag_id], conf)).start()

        self.account.mwaa.on_run = start

    def answer(self, dag: Callable[[], dict[str, Any]], conf: dict[str, Any]) -> None:
        """What a DAG does at its end."""
        key = f"work/{NAME}/{conf['request_id']}.json"
        body = self.account.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        token = json.loads(body)["task_token"]
        try:
            output = json.dumps(dag())
        except TimeoutError:
            return
        except RuntimeError as error:
            self.states.send_task_failure(taskToken=token, error=str(error), cause="as the DAG says")
            return
        self.states.send_task_success(taskToken=token, output=output)


def become(account: Account, status: str, after: float = 0.2, parsed_after: float = 0.1) -> None:
    """Let a created environment reach a status, its metadata DAGs parsed a little later."""

    def reach(document: dict[str, Any]) -> None:
        document["Status"] = status
        parsed = {"continuity_restore": dict(PARSED), "continuity_go_live": dict(PARSED)}
        threading.Timer(parsed_after, account.mwaa.dags.update, (parsed,)).start()

    account.mwaa.on_create = lambda document: threading.Timer(after, reach, (document,)).start()


def observe(account: Account, **members: Any) -> None:
    """The spec of the primary as the heartbeat check stored it, its files replicated."""
    document = spec.from_environment(environment()) | members
    del document["RequirementsS3ObjectVersion"]
    account.put_json(OBSERVED, document)


def fail(error: str) -> Callable[[], dict[str, Any]]:
    """A DAG that fails with this error."""

    def answer() -> dict[str, Any]:
        raise RuntimeError(error)

    return answer


def vanish(account: Account, after: float = 0.3) -> None:
    """Let what is deleted be gone a moment later."""

    def forget(_environment: dict[str, Any]) -> None:
        threading.Timer(after, account.mwaa.environments.pop, ((SECONDARY, NAME),)).start()

    account.mwaa.on_delete = forget


def found() -> dict[str, Any]:
    """What the drill's DAG answers where all is there."""
    counted = {"complete_at": "2100-01-01T00:00:00+00:00", "tables": 42, "rows": 9, "differences": []}
    return {"snapshot_id": SNAPSHOT, **counted}


def restored() -> dict[str, Any]:
    return {"snapshot_id": SNAPSHOT, "rows": 1004, "unpaused": 2, "already": False}


def gone_live() -> dict[str, Any]:
    nothing_skipped: dict[str, Any] = {"skipped_runs": 0, "skipped": [], "not_skipped": []}
    return {"snapshot_id": SNAPSHOT, "unpaused": 2, "missing_dags": [], **nothing_skipped}


def runs_of(region: Region, dag_id: str) -> list[dict[str, Any]]:
    """The configurations of a DAG's runs, in order."""
    return [run["conf"] for (of, _), run in region.account.mwaa.runs.items() if of == dag_id]


def take_snapshot(region: Region, **overrides: Any) -> dict[str, Any]:
    """What the snapshot DAG does, as far as the functions see it."""
    snapshot_id = runs_of(region, "continuity_snapshot")[-1]["snapshot_id"]
    now = datetime.now(UTC).isoformat()
    times = {"cut_at": now, "started_at": now, "completed_at": now}
    region.account.snapshot(snapshot_id, **(times | {"region": SECONDARY} | overrides))
    return {"snapshot_id": snapshot_id, "manifest_key": "m", "rows": 1004, "bytes": 1, "mode": "full"}


def told_as_complete(machine: str, output: str) -> bool:
    """Whether the rule for the success of a machine matches an execution with this output."""
    notices = (Path(__file__).resolve().parents[3] / "modules" / "observability" / "main.notices.tf").read_text()
    (pattern,) = re.findall(rf'^    {machine} = {{\n      output += "(.*)"$', notices, re.MULTILINE)
    rule = EventPattern.load(json.dumps({"detail": {"status": ["SUCCEEDED"], "output": [{"wildcard": pattern}]}}))
    return bool(rule.matches_event({"detail": {"status": "SUCCEEDED", "output": output}}))
