"""Every state machine template: bounded, retried, caught, and without anything that belongs to one partition."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.session import Session
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from tests.tools.state_machine_templates import (
    FUNCTIONS,
    MACHINES,
    SHARED_STATES,
    TEMPLATES,
    example_variables,
    render,
)

VARIABLES = example_variables()
DEFINITIONS = {machine: render(machine, VARIABLES) for machine in MACHINES}
STATES = [(machine, name, state) for machine in MACHINES for name, state in DEFINITIONS[machine]["States"].items()]
TASKS = [pytest.param(state, id=f"{machine}.{name}") for machine, name, state in STATES if state["Type"] == "Task"]
CHOICES = [pytest.param(state, id=f"{machine}.{name}") for machine, name, state in STATES if state["Type"] == "Choice"]
ANY_MACHINE = pytest.mark.parametrize("machine", MACHINES)
TOKEN = ".waitForTaskToken"


def following(state: dict[str, Any]) -> Iterator[str]:
    """The states that may come after one."""
    yield from (state[key] for key in ("Next", "Default") if key in state)
    for branch in [*state.get("Choices", []), *state.get("Catch", [])]:
        yield branch["Next"]


def states_between(machine: str, first: str, ends: set[str]) -> set[str]:
    """The states of a machine that are reached from one before any of the ends."""
    states = DEFINITIONS[machine]["States"]
    found, ahead = set(), [first]
    while ahead:
        name = ahead.pop()
        if name not in found and name not in ends:
            found.add(name)
            ahead.extend(following(states[name]))
    return found


def test_there_is_a_template_for_every_machine_and_no_other() -> None:
    assert sorted(path.name for path in TEMPLATES.glob("*.asl.json")) == [f"{machine}.asl.json" for machine in MACHINES]
    assert {path.name for path in TEMPLATES.glob("*.states.json")} == {f"{name}.states.json" for name in SHARED_STATES}


@ANY_MACHINE
def test_moto_parses_it(machine: str) -> None:
    program, _ = AmazonStateLanguageParser.parse(json.dumps(DEFINITIONS[machine]))
    assert program is not None


@ANY_MACHINE
def test_every_state_is_reached_and_exists(machine: str) -> None:
    definition = DEFINITIONS[machine]
    states, reached, ahead = definition["States"], set(), [definition["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead.extend(following(states[name]))
    assert reached == set(states)


@ANY_MACHINE
def test_the_machine_ends_by_itself(machine: str) -> None:
    assert DEFINITIONS[machine]["TimeoutSeconds"] > 0


@ANY_MACHINE
def test_it_fails_with_the_cause(machine: str) -> None:
    failed = [(name, state) for name, state in DEFINITIONS[machine]["States"].items() if state["Type"] == "Fail"]
    assert failed == [("Failed", {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"})]


@pytest.mark.parametrize("state", TASKS)
def test_every_task_is_bounded_retried_and_caught(state: dict[str, Any]) -> None:
    """Failure covered: monitoring is disabled first, with no catch: one failed attempt turns it off for good."""
    assert state["TimeoutSeconds"] > 0
    assert all(retrier["ErrorEquals"] for retrier in state["Retry"])
    caught = state["Catch"][-1]
    assert caught["ErrorEquals"] == ["States.ALL"]
    own = ("$.put_back", "$.mark_failure")  # of what is done after a failure, whose cause is kept
    assert (caught["Next"], caught["ResultPath"]) in {
        ("Failed", "$.failure"),
        ("PutBack", "$.failure"),
        ("CountSnapshot", "$.failure"),
        ("LeftPaused", own[0]),
        ("Failed", own[1]),
        ("BeforeTheLease", "$.failure"),
        ("PutBackThere", "$.failure"),
        ("NotStoodDown", "$.stand_down"),
        ("Report", "$.failure"),
        ("Stays", "$.failure"),
        ("Interrupted", "$.failure"),
    }
    retried = {error for retrier in state["Retry"] if retrier["MaxAttempts"] for error in retrier["ErrorEquals"]}
    if "lambda:invoke" in state["Resource"]:
        assert {
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
            "Lambda.Unknown",
            "Sandbox.Timedout",
            "Runtime.ExitError",
            "Transient",
        } <= retried
    else:
        assert {"States.TaskFailed", "States.Timeout"} <= retried
    assert "States.ALL" not in retried


def test_before_the_removal_every_failure_is_put_back() -> None:
    """Failure covered: a hibernation fails half way, and DAGs stay paused for the day."""
    states = DEFINITIONS["hibernate"]["States"]
    assert states["SnapshotsLeft"]["Choices"][0]["Next"] == "PutBack"
    before = states_between("hibernate", "Preflight", {"PutBack", "FirstPoll"})
    assert "Remove" in before
    assert {"Failed", "MarkAsleep"} & before == set()
    assert {states[name]["Catch"][-1]["Next"] for name in before if states[name]["Type"] == "Task"} == {
        "PutBack",
        "CountSnapshot",
    }
    assert [states["PutBack"]["Next"], states["MarkAwake"]["Next"], states["LeftPaused"]["Next"]] == [
        "MarkAwake",
        "Failed",
        "Failed",
    ]


def test_before_the_lease_every_failure_of_a_failback_lets_the_other_region_go_on() -> None:
    """Failure covered: a failback fails half way, and neither Region runs anything."""
    states = DEFINITIONS["failback"]["States"]
    before = states_between("failback", "HandOver", {"RevealDags", "BeforeTheLease", "PutBackThere"})
    assert {"CopySnapshot", "CopyDags", "Restore", "TakeLease"} <= before
    assert {"Failed", "GoLive", "MarkLive"} & before == set()
    goes_to = {states[name]["Catch"][-1]["Next"] for name in before if states[name]["Type"] == "Task"}
    assert goes_to == {"BeforeTheLease", "PutBackThere"}
    # Those that both ways go through must ask which one it is: after the lease moved the other Region is let alone.
    resumed = states_between("failback", "SelectSnapshot", {"RevealDags", "BeforeTheLease"})
    assert "PutBackThere" not in resumed
    assert states["BeforeTheLease"]["Choices"] == [
        {"Variable": "$.begun.outcome", "StringEquals": "resume", "Next": "Failed"}
    ]


def test_after_the_lease_no_failure_of_a_failback_wakes_the_other_region() -> None:
    after = states_between("failback", "RevealDags", set())
    assert "MarkLive" in after
    assert {"PutBackThere", "BeforeTheLease"} & after == set()


def test_what_hands_over_goes_on_where_that_fails() -> None:
    states = DEFINITIONS["hand_over"]["States"]
    before = states_between("hand_over", "Drain", {"PutBack", "HandedOver"})
    assert {"Drain", "TakeSnapshot", "Verify"} <= before
    assert "Failed" not in before
    assert [states["PutBack"]["Next"], states["WhyPutBack"]["Default"]] == ["WhyPutBack", "Failed"]


#: A person sends no heartbeats, and may take the whole time.
ASKED = "failover.AskApproval"


def test_a_person_has_the_time_that_is_configured() -> None:
    failover = render("failover", VARIABLES | {"answer_seconds": 1800})
    assert failover["States"]["AskApproval"]["TimeoutSeconds"] == 1800
    assert failover["TimeoutSeconds"] - DEFINITIONS["failover"]["TimeoutSeconds"] == 1800 - 3600


@pytest.mark.parametrize("state", [task for task in TASKS if TOKEN in task.values[0]["Resource"] and task.id != ASKED])
def test_a_dag_that_falls_silent_is_noticed(state: dict[str, Any]) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    assert 0 < state["HeartbeatSeconds"] < state["TimeoutSeconds"]
    assert state["Parameters"]["Payload"]["task_token.$"] == "$$.Task.Token"
    retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
    renews_request = "$$.State.RetryCount" in state["Parameters"]["Payload"]["request_id.$"]
    assert ("States.HeartbeatTimeout" in retried) == ("States.Timeout" in retried) == renews_request


@pytest.mark.parametrize("state", CHOICES)
def test_every_choice_has_a_default(state: dict[str, Any]) -> None:
    assert state["Default"]


def test_every_status_of_the_service_is_named() -> None:
    """Failure covered: CREATE_FAILED polls until the time limit."""
    choice = DEFINITIONS["failover"]["States"]["EnvironmentStatus"]
    named: dict[str, str] = {}
    for branch in choice["Choices"]:
        for rule in branch.get("Or", [branch]):
            named[rule["StringEquals"]] = branch["Next"]
    shape: Any = Session().get_service_model("mwaa").shape_for("EnvironmentStatus")
    assert set(named) == set(shape.enum)
    assert {status for status, state in named.items() if state == "EnvironmentNotUsable"} == {
        "CREATE_FAILED",
        "UNAVAILABLE",
        "DELETING",
        "DELETED",
    }
    assert choice["Default"] == "UnknownStatus"


@ANY_MACHINE
def test_no_sdk_integration_answers_with_configuration(machine: str) -> None:
    """Failure covered: credentials in logs. The execution history keeps a task's whole answer, whatever is selected."""
    resources = {state.get("Resource") for state in DEFINITIONS[machine]["States"].values()} - {None}
    assert resources <= {
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "arn:aws:states:::states:startExecution",
    }


POLLED = [(machine, name) for machine, name, _ in STATES if re.fullmatch("Count(Removal)?Poll", name)]


def test_polls_are_found() -> None:
    assert {machine for machine, _ in POLLED} >= {
        "failback",
        "failover",
        "hibernate",
        "replicate_existing",
        "resume",
        "stand_down",
    }


@pytest.mark.parametrize(("machine", "count"), POLLED)
def test_polling_is_counted(machine: str, count: str) -> None:
    states = DEFINITIONS[machine]["States"]
    assert states[count]["Parameters"] == {"count.$": "States.MathAdd($.poll.count, 1)"}
    (limit,) = states[states[count]["Next"]]["Choices"]
    assert limit["Variable"] == "$.poll.count"
    assert states[limit["Next"]]["Next"] in {"Failed", "BeforeTheLease", "Report"}


@ANY_MACHINE
def test_the_partition_is_never_written_out(machine: str) -> None:
    """Failure covered: hard-coded `arn:aws`."""
    elsewhere = {"partition": "aws-us-gov", "functions": dict.fromkeys(FUNCTIONS, "f"), "machines": {"failover": "m"}}
    definition = render(machine, VARIABLES | elsewhere | {"health_function_arn": "f"})
    assert "arn:aws:" not in json.dumps(definition)


def test_numbers_are_filled_in() -> None:
    failover = DEFINITIONS["failover"]
    assert failover["States"]["Restore"]["TimeoutSeconds"] == 60 * 60
    assert failover["TimeoutSeconds"] == 120 * 60 + 2 * 60 * 60 + 900 + 3600 + 7200
    with pytest.raises(KeyError):
        render("failover", {"region": "us-west-2"})


@pytest.mark.parametrize("machine", ["hibernate", "resume"])
def test_what_is_asked_again_stays_far_below_the_limit_of_a_history(machine: str) -> None:
    """Failure covered: 25,000 events end an execution, with its DAGs paused."""
    states = DEFINITIONS[machine]["States"]
    (limit,) = states["AsksLeft"]["Choices"]
    assert (limit["NumericGreaterThanEquals"], limit["Next"]) == (25, "NotInTime")
    asked_again = {states[name]["Next"] for name in ("WaitToAsk", "CountAsk")} | {states["AsksLeft"]["Default"]}
    assert asked_again == {"Begin", "AsksLeft", "WaitToAsk"}
