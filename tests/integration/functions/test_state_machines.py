"""The state machines in moto's own interpreter, with the real handlers in this process behind `lambda:invoke`.

The DAGs are played by a thread that reads the task token from its object, as the DAGs do. A retry's wait is cut to a
second. What Airflow itself does is the rehearsal's to show.
"""

from __future__ import annotations

import copy
import importlib
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.config import default_user_config
from moto.events.models import EventPattern
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from mwaa_continuity import visibility
from tests.local_aws.patches import stepfunctions, stepfunctions_clients
from tests.tools.state_machine_templates import FUNCTIONS, MACHINES, example_variables, render
from tests.unit.functions.conftest import (
    BINDING,
    DAGS,
    NAME,
    PRIMARY,
    SECONDARY,
    SECRET_OPTION,
    SNAPSHOTS,
    Account,
    environment,
)

SNAPSHOT = "20261121T080000Z-0123abcd"
IGNORE = "dags/.airflowignore"
PARSED = {"is_active": True, "is_paused": False}
SETTINGS = {
    "poll_seconds": 1,
    "create_timeout_minutes": 1,
    "dag_timeout_minutes": 1,
    "heartbeat_seconds": 2,
    "parse_deadline_seconds": 2,
}
Dead = Callable[..., None]

#: What the stand-in's patches, where moto differs from AWS, put something else in the place of.
PATCHED = [
    (state_fail, "CustomErrorName"),
    (StepFunctionsParserBackend, "_get_executions"),
    (StateTaskService, "_normalise_parameters"),
    (StateTaskService, "_normalise_response"),
]


def invoke(parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
    """What Lambda does: JSON in, JSON out, an exception by its class name."""
    assert region == SECONDARY
    assert state_credentials is not None
    function = parameters["FunctionName"].rsplit("rehearsal-", 1)[1]
    assert function in FUNCTIONS
    handler = importlib.import_module(f"mwaa_continuity.{function}").handler
    try:
        answer = handler(json.loads(parameters["Payload"]), None)
    except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
        failure = {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
        return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": failure}
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


class Region:
    """The machines of the secondary."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.states = boto3.client("stepfunctions", SECONDARY)
        self.arns: dict[str, str] = {}

    def deploy(self, **settings: Any) -> None:
        """Create every machine."""
        for machine in MACHINES:
            definition = without_long_waits(render(machine, example_variables(SECONDARY) | SETTINGS | settings))
            self.arns[machine] = self.states.create_state_machine(
                name=f"rehearsal-{machine}",
                definition=json.dumps(definition),
                roleArn=f"arn:aws:iam::123456789012:role/rehearsal-{machine}",
            )["stateMachineArn"]

    def run(self, machine: str, name: str = "run-1", **fields: Any) -> dict[str, Any]:
        """Start a machine and wait until it ends."""
        arn = self.states.start_execution(stateMachineArn=self.arns[machine], name=name, input=json.dumps(fields))[
            "executionArn"
        ]
        return self.wait(arn)

    def wait(self, arn: str) -> dict[str, Any]:
        """The execution when it has ended."""
        deadline = time.monotonic() + 60
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

    def executions(self, machine: str) -> list[str]:
        """The names of all executions of a machine."""
        found = self.states.list_executions(stateMachineArn=self.arns[machine])["executions"]
        return sorted(execution["name"] for execution in found)

    def answer_dags(self, answers: dict[str, Callable[[], dict[str, Any]]]) -> None:
        """Play the DAGs: read the token from its object and answer with what the callable returns or raises."""

        def answer(dag_id: str, conf: dict[str, Any]) -> None:
            key = f"work/{NAME}/{conf['request_id']}.json"
            body = self.account.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read()
            token = json.loads(body)["task_token"]
            try:
                output = json.dumps(answers[dag_id]())
            except TimeoutError:
                return
            except RuntimeError as error:
                self.states.send_task_failure(taskToken=token, error=str(error), cause="as the DAG says")
                return
            self.states.send_task_success(taskToken=token, output=output)

        def start(dag_id: str, conf: dict[str, Any]) -> None:
            threading.Timer(0.3, answer, (dag_id, conf)).start()

        self.account.mwaa.on_run = start


@pytest.fixture
def region(account: Account, monkeypatch: pytest.MonkeyPatch) -> Region:
    """The secondary before a failover: binding, observed spec, one good snapshot, the lease with the primary."""
    monkeypatch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # restored after the test
    stepfunctions.fail_with_any_error()
    stepfunctions.starting_executions()
    stepfunctions_clients.request_and_response_shapes()
    monkeypatch.setattr(lambda_eval_utils, "_invoke_lambda_function", invoke)
    account.mwaa.environments[PRIMARY, NAME] = environment()
    account.set_lease()
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    for key in ("requirements.txt", "startup.sh"):
        account.s3.put_object(Bucket=DAGS, Key=key, Body=b"x")
    account.snapshot(SNAPSHOT)
    account.snapshot(SNAPSHOT)
    return Region(account)


def become(account: Account, status: str, after: float = 0.2, parsed_after: float = 0.1) -> None:
    """Let a created environment reach a status, its metadata DAGs parsed a little later."""

    def reach(document: dict[str, Any]) -> None:
        document["Status"] = status
        parsed = {"continuity_restore": dict(PARSED), "continuity_go_live": dict(PARSED)}
        threading.Timer(parsed_after, account.mwaa.dags.update, (parsed,)).start()

    account.mwaa.on_create = lambda document: threading.Timer(after, reach, (document,)).start()


def restored() -> dict[str, Any]:
    return {"snapshot_id": SNAPSHOT, "rows": 1004, "unpaused": 2, "already": False}


def gone_live() -> dict[str, Any]:
    return {"snapshot_id": SNAPSHOT, "unpaused": 2, "missing_dags": []}


def test_a_failover_from_lease_to_live(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: the DAG is triggered right after AVAILABLE, before it is parsed."""
    account = region.account
    hidden_while: dict[str, bool] = {}

    def remember(dag: str, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        hidden_while[dag] = IGNORE in account.objects(DAGS)
        return answer()

    region.deploy(parse_deadline_seconds=30)
    become(account, "AVAILABLE", after=0.5, parsed_after=2.0)
    region.answer_dags(
        {
            "continuity_restore": lambda: remember("restore", restored),
            "continuity_go_live": lambda: remember("go_live", gone_live),
        }
    )
    done = region.run("failover", reason="the primary is dead")
    assert done["status"] == "SUCCEEDED", done
    entered = region.entered(done["executionArn"])
    steps = [name for name in entered if name in {
        "TakeLease", "SelectSnapshot", "RecordSnapshot", "HideDags", "EnsureEnvironment", "HideDagsAgain", "Restore",
        "RevealDags", "GoLive", "MarkLive",
    }]  # fmt: skip
    assert steps == [
        "TakeLease", "SelectSnapshot", "RecordSnapshot", "HideDags", "EnsureEnvironment", "HideDagsAgain", "Restore",
        "RevealDags", "GoLive", "MarkLive",
    ]  # fmt: skip
    assert entered.count("WaitForEnvironment") >= 1
    assert entered.count("WaitForDags") >= 1
    assert hidden_while == {"restore": True, "go_live": False}
    lease = account.lease()
    assert (lease["holder"], lease["token"], lease["live"]) == (SECONDARY, "2", True)
    assert lease["reason"] == "the primary is dead"
    (created,) = account.mwaa.created
    assert created["NetworkConfiguration"] == BINDING["NetworkConfiguration"]
    history = json.dumps(region.history(done["executionArn"]), default=str)
    assert SECRET_OPTION not in history
    assert SECRET_OPTION not in capsys.readouterr().out


def told_as_complete(output: str) -> bool:
    """Whether the rule for the success of a failover matches an execution with this output."""
    notices = (Path(__file__).resolve().parents[3] / "modules" / "observability" / "main.notices.tf").read_text()
    (pattern,) = re.findall(r'output += "(\*.*)"', notices)
    rule = EventPattern.load(json.dumps({"detail": {"status": ["SUCCEEDED"], "output": [{"wildcard": pattern}]}}))
    return bool(rule.matches_event({"detail": {"status": "SUCCEEDED", "output": output}}))


def test_going_live_names_snapshot_and_rpo_in_its_output(region: Region) -> None:
    """Failure covered: a successful failover notifies nobody."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    done = region.run("failover")
    output = json.loads(done["output"])
    assert output["went_live"].keys() == {"snapshot_id", "cut_at", "rpo_seconds"}
    assert output["went_live"]["snapshot_id"] == SNAPSHOT
    assert told_as_complete(done["output"])
    assert told_as_complete(json.dumps(output, separators=(",", ":")))


@pytest.mark.parametrize("missing", [1, 150])
def test_dags_that_are_missing_at_go_live_fail_it_by_name(region: Region, missing: int) -> None:
    """Failure covered: restoring before DAGs are parsed: "succeeds", everything stays paused."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    names = [f"etl_{number:03d}" for number in range(missing)]
    region.answer_dags(
        {"continuity_restore": restored, "continuity_go_live": lambda: gone_live() | {"missing_dags": names}}
    )
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "LiveButDagsMissing")
    shown = [name for name in names if f'"{name}"' in done["cause"]]
    assert shown == names[:100]
    assert f"{missing} DAGs were not parsed in time" in done["cause"]
    assert f"continuity_go_live in Airflow with snapshot_id {SNAPSHOT}" in done["cause"]
    assert region.account.lease()["live"] is True, "no other attempt starts"


def test_a_second_attempt_restores_the_snapshot_of_the_first(region: Region) -> None:
    """Failure covered: a resumed failover chooses a newer snapshot and is refused for ever."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.GoLiveFailed")

    region.answer_dags({"continuity_restore": restored, "continuity_go_live": fail})
    assert region.run("failover", name="first")["error"] == "Continuity.GoLiveFailed"
    region.account.snapshot("20261121T090000Z-0000ffff")
    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    done = region.run("failover", name="second")
    assert done["status"] == "SUCCEEDED", done
    assert {run["conf"]["snapshot_id"] for run in region.account.mwaa.runs.values()} == {SNAPSHOT}
    assert region.account.lease()["snapshot_id"] == SNAPSHOT


def test_dags_are_hidden_again_before_their_state_is_restored(region: Region) -> None:
    """Failure covered: with DAGs not paused at creation, catch-up fires before the restore."""
    account = region.account
    hidden_while: list[bool] = []

    def look() -> dict[str, Any]:
        hidden_while.append(account.s3.head_object(Bucket=DAGS, Key=IGNORE)["Metadata"] == dict(visibility.METADATA))
        return restored()

    region.deploy(parse_deadline_seconds=30)
    become(account, "AVAILABLE")
    created = account.mwaa.on_create

    def create(document: dict[str, Any]) -> None:
        account.s3.put_object(Bucket=DAGS, Key=IGNORE, Body=b"drafts")
        created(document)

    account.mwaa.on_create = create
    region.answer_dags({"continuity_restore": look, "continuity_go_live": gone_live})
    assert region.run("failover")["status"] == "SUCCEEDED"
    assert hidden_while == [True]
    assert account.s3.get_object(Bucket=DAGS, Key=IGNORE)["Body"].read() == b"drafts", "the user's own is back"


def test_a_restore_that_dies_is_started_again(region: Region) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    attempts: list[str] = []

    def die_once() -> dict[str, Any]:
        attempts.append("restore")
        if len(attempts) == 1:
            raise TimeoutError
        return restored()

    region.answer_dags({"continuity_restore": die_once, "continuity_go_live": gone_live})
    done = region.run("failover")
    assert done["status"] == "SUCCEEDED", done
    runs = [run_id for dag_id, run_id in region.account.mwaa.runs if dag_id == "continuity_restore"]
    assert runs == ["continuity__run-1-restore-0", "continuity__run-1-restore-1"]


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        ("CREATE_FAILED", "EnvironmentNotUsable", "rehearsal in us-west-2 is CREATE_FAILED"),
        ("DELETING", "EnvironmentNotUsable", "is DELETING"),
        ("SOMETHING_NEW", "UnknownStatus", "unknown status SOMETHING_NEW"),
    ],
)
def test_a_creation_that_ends_badly_fails_at_once(region: Region, status: str, error: str, cause: str) -> None:
    """Failure covered: CREATE_FAILED polls until the time limit."""
    region.deploy()
    become(region.account, status)
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", error)
    assert cause in done["cause"]


def test_a_creation_that_never_ends_is_given_up(region: Region) -> None:
    region.deploy(poll_seconds=3, create_timeout_minutes=1)
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, "PENDING")
    polls = 60 // 3
    definition = without_long_waits(render("failover", example_variables(SECONDARY) | SETTINGS | {"poll_seconds": 3}))
    definition["States"]["WaitForEnvironment"]["Seconds"] = 0
    region.states.update_state_machine(stateMachineArn=region.arns["failover"], definition=json.dumps(definition))
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "EnvironmentTookTooLong")
    assert "still PENDING after 1 minutes" in done["cause"]
    entered = region.entered(done["executionArn"])
    assert entered.count("GetEnvironment") == polls
    assert entered.count("CustomerEndpointsWanted") == polls


def test_metadata_dags_that_never_parse_are_named(region: Region) -> None:
    """Failure covered: restoring before DAGs are parsed: "succeeds", everything stays paused."""
    region.deploy()
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags["continuity_restore"] = dict(PARSED)
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "NotReadyInTime")
    assert "continuity_go_live is not parsed" in done["cause"]
    assert not region.account.mwaa.runs


def test_a_restore_that_fails_leaves_its_cause_and_is_tried_once_more(region: Region) -> None:
    region.deploy()
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags |= {"continuity_restore": dict(PARSED), "continuity_go_live": dict(PARSED)}

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.RestoreFailed")

    region.answer_dags({"continuity_restore": fail})
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.RestoreFailed")
    assert len(region.account.mwaa.runs) == 2
    lease = region.account.lease()
    assert (lease["holder"], lease["live"]) == (SECONDARY, False)
    assert IGNORE in region.account.objects(DAGS), "user DAGs stay hidden until their state is there"


@pytest.mark.parametrize(
    ("fields", "error", "cause"),
    [
        ({"snapshot_id": "newest"}, "BadInput", "snapshot_id is 'newest'; accepted: YYYYMMDDTHHMMSSZ"),
        ({"reason": ""}, "BadInput", "reason is an empty string"),
        ({"force": "yes"}, "BadInput", "force is a string; accepted: true or false"),
        ({"snapshot_id": "20200101T000000Z-00000000"}, "SnapshotRefused", "manifest.json is missing"),
    ],
)
def test_bad_input_ends_failed_with_the_field(region: Region, fields: dict[str, Any], error: str, cause: str) -> None:
    region.deploy()
    done = region.run("failover", **fields)
    assert (done["status"], done["error"]) == ("FAILED", error)
    assert cause in done["cause"]
    assert not region.account.mwaa.created


@pytest.mark.parametrize(
    ("lease", "status", "error"),
    [
        ({"locked": True}, "FAILED", "FailoverNotAllowed"),
        ({"since": int(time.time())}, "FAILED", "FailoverNotAllowed"),
        ({"holder": SECONDARY, "token": 2, "live": True}, "SUCCEEDED", None),
    ],
)
def test_without_the_lease_nothing_is_done(
    region: Region, lease: dict[str, Any], status: str, error: str | None
) -> None:
    """Failure covered: no fencing."""
    region.deploy()
    region.account.set_lease(**lease)
    done = region.run("failover", reason="someone says went_live")
    assert (done["status"], done.get("error")) == (status, error)
    assert not (done.get("output") and told_as_complete(done["output"]))
    assert not region.account.mwaa.created
    assert not region.account.objects(DAGS) or IGNORE not in region.account.objects(DAGS)


def test_a_healthy_check_keeps_the_spec(region: Region) -> None:
    region.deploy()
    region.account.beat(1, 2, 3, 4, 5)
    done = region.run("heartbeat_check", scheduled_at="2026-11-21T08:15:00Z")
    assert done["status"] == "SUCCEEDED", done
    assert region.entered(done["executionArn"])[-2:] == ["StoreSpec", "Healthy"]
    assert f"spec/{NAME}/observed.{PRIMARY}.json" in region.account.objects()
    assert region.executions("failover") == []


def test_an_update_keeps_no_spec(region: Region) -> None:
    region.deploy()
    region.account.mwaa.environments[PRIMARY, NAME]["Status"] = "UPDATING"
    done = region.run("heartbeat_check")
    assert region.entered(done["executionArn"])[-2:] == ["Verdict", "Healthy"]
    assert f"spec/{NAME}/observed.{PRIMARY}.json" not in region.account.objects()


def test_two_ticks_of_one_minute_start_one_failover(region: Region, dead: Dead) -> None:
    """Failure covered: two deliveries of one schedule start two failovers."""
    region.deploy()
    become(region.account, "CREATE_FAILED")
    region.account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    at = "2026-11-21T08:15:00Z"
    ends = [
        region.entered(region.run("heartbeat_check", name=name, scheduled_at=at)["executionArn"])[-1]
        for name in ("tick-1", "tick-2")
    ]
    assert ends[0] == "FailoverStarted"
    assert ends[1] in {"FailoverStarted", "TakingOver"}
    (name,) = region.executions("failover")
    minute = int(datetime.fromisoformat(at).timestamp()) // 60
    assert name == f"lease-1-minute-{minute}"
    region.wait(region.arns["failover"].replace("stateMachine", "execution") + f":{name}")


@pytest.mark.parametrize(
    ("lease", "settings", "end"),
    [
        ({"locked": True}, {}, "Locked"),
        ({"since": int(time.time())}, {}, "CoolingDown"),
        ({}, {"automatic": False}, "NotAutomatic"),
        ({"holder": SECONDARY, "token": 2, "live": True}, {}, "Active"),
        ({"holder": SECONDARY, "token": 2, "live": False, "locked": True}, {}, "TakingOver"),
        ({"holder": SECONDARY, "token": 2, "live": False}, {"automatic": False}, "TakingOver"),
        ({"holder": SECONDARY, "token": 2, "live": False}, {}, "FailoverStarted"),
    ],
)
def test_when_an_unhealthy_primary_is_not_taken_over(
    region: Region, dead: Dead, lease: dict[str, Any], settings: dict[str, Any], end: str
) -> None:
    region.deploy(**settings)
    become(region.account, "CREATE_FAILED")
    region.account.set_lease(**lease)
    region.account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    done = region.run("heartbeat_check")
    assert done["status"] == "SUCCEEDED", done
    assert region.entered(done["executionArn"])[-1] == end
    started = region.executions("failover")
    assert len(started) == (end == "FailoverStarted")
    for name in started:
        region.wait(region.arns["failover"].replace("stateMachine", "execution") + f":{name}")


def test_unknown_health_takes_nothing_over(region: Region, dead: Dead) -> None:
    """Failure covered: a CloudWatch outage triggers a takeover."""
    region.deploy()
    region.account.beat(1, 2, 3, 4, 5)
    dead(PRIMARY, "cloudwatch")
    done = region.run("heartbeat_check")
    assert region.entered(done["executionArn"])[-1] == "Unknown"
    assert region.executions("failover") == []


@pytest.fixture
def active(region: Region) -> Region:
    """After a failover: this Region is active and its environment runs."""
    region.deploy()
    region.account.set_lease(holder=SECONDARY, token=2)
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags["continuity_snapshot"] = dict(PARSED)
    return region


def take_snapshot(region: Region) -> dict[str, Any]:
    """What the snapshot DAG does, as far as the functions see it."""
    (_, run), *_ = region.account.mwaa.runs.items()
    snapshot_id = run["conf"]["snapshot_id"]
    region.account.snapshot(snapshot_id)
    return {"snapshot_id": snapshot_id, "manifest_key": "m", "rows": 1004, "bytes": 1, "mode": "full"}


def test_a_snapshot_is_taken_and_proved(active: Region) -> None:
    active.answer_dags({"continuity_snapshot": lambda: take_snapshot(active)})
    done = active.run("snapshot", scheduled_at="2026-11-21T08:15:00Z")
    assert done["status"] == "SUCCEEDED", done
    output = json.loads(done["output"])
    assert output["verified"]["snapshot_id"].startswith("20261121T081500Z-")
    assert output["verified"]["objects"] == 4


def test_a_schedule_delivered_twice_takes_one_snapshot(active: Region) -> None:
    active.answer_dags({"continuity_snapshot": lambda: take_snapshot(active)})
    at = "2026-11-21T08:15:00Z"
    ends = [
        active.entered(active.run("snapshot", name=name, scheduled_at=at)["executionArn"])[-1] for name in ("a", "b")
    ]
    assert ends == ["Done", "AlreadyTaken"]
    assert len(active.account.mwaa.runs) == 1


def test_a_snapshot_that_is_not_whole_fails(active: Region) -> None:
    """Failure covered: the backup is not checked for completeness."""

    def take_and_lose() -> dict[str, Any]:
        answer = take_snapshot(active)
        active.account.s3.delete_object(
            Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{answer['snapshot_id']}/variable.sealed"
        )
        return answer

    active.answer_dags({"continuity_snapshot": take_and_lose})
    done = active.run("snapshot")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotRefused")
    assert "variable.sealed is missing" in done["cause"]


def test_a_snapshot_dag_that_fails_or_falls_silent_fails_the_machine(active: Region) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.SnapshotFailed")

    def fall_silent() -> dict[str, Any]:
        raise TimeoutError

    active.answer_dags({"continuity_snapshot": fail})
    done = active.run("snapshot", name="fails")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.SnapshotFailed")
    active.answer_dags({"continuity_snapshot": fall_silent})
    done = active.run("snapshot", name="silent")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotRefused")
    assert "manifest.json is missing: it is not complete" in done["cause"]


def test_a_snapshot_that_is_complete_is_good_though_nobody_said_so(active: Region) -> None:
    """Failure covered: a snapshot that is complete counts as failed, because its answer was lost."""

    def take_and_fall_silent() -> dict[str, Any]:
        (run,) = active.account.mwaa.runs.values()
        active.account.snapshot(run["conf"]["snapshot_id"])
        raise TimeoutError

    active.answer_dags({"continuity_snapshot": take_and_fall_silent})
    done = active.run("snapshot", name="silent")
    assert done["status"] == "SUCCEEDED", done
    assert active.entered(done["executionArn"])[-3:] == ["TakeSnapshot", "Verify", "Done"]


def test_a_snapshot_that_nobody_read_back_is_not_counted_as_good(active: Region) -> None:
    """Failure covered: a snapshot is complete by its hashes, and none of its secrets can be opened."""

    def take_and_fall_silent() -> dict[str, Any]:
        (run,) = active.account.mwaa.runs.values()
        active.account.snapshot(run["conf"]["snapshot_id"])
        key = f"snapshots/{NAME}/{run['conf']['snapshot_id']}/verification.json"
        active.account.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
        raise TimeoutError

    active.answer_dags({"continuity_snapshot": take_and_fall_silent})
    done = active.run("snapshot", name="silent")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotRefused")
    assert "was not read back" in done["cause"]


def test_a_snapshot_dag_run_that_is_over_is_not_waited_for(active: Region) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    active.account.mwaa.runs["continuity_snapshot", "continuity__again"] = {"state": "failed"}
    started = time.monotonic()
    done = active.run("snapshot", name="again")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotRefused")
    failures = [event["taskFailedEventDetails"] for event in active.history(done["executionArn"])
                if "taskFailedEventDetails" in event]  # fmt: skip
    assert [failure["error"] for failure in failures] == ["DagRunIsOver", "SnapshotRefused"]
    assert time.monotonic() - started < 30


def test_a_region_without_the_lease_takes_no_snapshot(active: Region) -> None:
    active.account.set_lease(holder=PRIMARY)
    done = active.run("snapshot")
    assert active.entered(done["executionArn"])[-1] == "NotHolder"
    assert not active.account.mwaa.runs


def test_bad_input_to_a_snapshot_names_the_field(active: Region) -> None:
    done = active.run("snapshot", scheduled_at="noon")
    assert (done["status"], done["error"]) == ("FAILED", "BadInput")
    assert "scheduled_at is a string of another form" in done["cause"]
