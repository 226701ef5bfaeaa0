"""hibernation: who puts the environment away or brings it back, once, and what is taken over from whom."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from mwaa_continuity import hibernation
from mwaa_continuity.errors import BadInput, HibernationLost
from tests.unit.functions.conftest import LEASES, NAME, SECONDARY, SNAPSHOTS, Account, environment

SNAPSHOT = "20261121T080000Z-0123abcd"
ROLE = "arn:aws:iam::123456789012:role/machine"
PHASE_HOURS = 5


def call(action: str, **fields: Any) -> dict[str, Any]:
    return hibernation.handler({"action": action, "request_id": "r-1", **fields}, None)


def item(account: Account) -> dict[str, Any]:
    """The item as it is; numbers as text."""
    key = {"pk": {"S": f"hibernation#{SECONDARY}"}, "sk": {"S": "hibernation"}}
    found = account.dynamodb.get_item(TableName=LEASES, Key=key)["Item"]
    return {name: next(iter(value.values())) for name, value in found.items() if name not in ("pk", "sk")}


def set_item(account: Account, **attributes: Any) -> None:
    """The item as an operation left it, five hours ago."""
    ago = int(time.time()) - PHASE_HOURS * 3600
    values = {
        "state": "awake",
        "since": ago,
        "phase_since": ago,
        "execution": "",
        "snapshot_id": "",
        "stay_awake_until": 0,
    } | attributes
    stored = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()}
    account.dynamodb.put_item(
        TableName=LEASES, Item={"pk": {"S": f"hibernation#{SECONDARY}"}, "sk": {"S": "hibernation"}, **stored}
    )


@pytest.fixture
def executions(account: Account) -> Callable[[str], str]:
    """Start an execution that goes on: its ARN by its name."""
    assert account
    states = boto3.client("stepfunctions", SECONDARY)
    machine = states.create_state_machine(name="hibernate", definition="{}", roleArn=ROLE)["stateMachineArn"]

    def start(name: str) -> str:
        arn: str = states.start_execution(stateMachineArn=machine, name=name, input="{}")["executionArn"]
        return arn

    return start


def stop(execution: str) -> str:
    boto3.client("stepfunctions", SECONDARY).stop_execution(executionArn=execution)
    return execution


@pytest.fixture
def running(account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An environment that runs, two days old, with a calendar."""
    monkeypatch.setenv("TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("EXCEPTIONS", "2026-12-24, 2026-12-31")
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY) | {"CreatedAt": int(time.time()) - 48 * 3600}
    return account


def test_one_night_from_awake_to_awake(running: Account, executions: Callable[[str], str]) -> None:
    night, morning = executions("night"), executions("morning")
    begun = call("begin", operation="hibernate", execution=night, scheduled_at="2026-11-21T19:00:00Z")
    assert (begun["outcome"], begun["snapshot_id"], begun["why"]) == ("go", None, "")
    assert call("record", execution=night, snapshot_id=SNAPSHOT) == {"snapshot_id": SNAPSHOT}
    del running.mwaa.environments[SECONDARY, NAME]
    assert call("asleep", execution=night, snapshot_id=SNAPSHOT) == {"state": "asleep"}
    assert running.published("AwakeHours") == [pytest.approx(48, abs=0.1)]
    assert (item(running)["state"], item(running)["snapshot_id"]) == ("asleep", SNAPSHOT)

    begun = call("begin", operation="resume", execution=morning, scheduled_at="2026-11-22T06:00:00Z")
    assert (begun["outcome"], begun["snapshot_id"]) == ("go", SNAPSHOT)
    assert abs(begun["since"] - time.time()) < 120
    assert call("awake", execution=morning) == {"state": "awake"}
    assert len(running.published("AsleepHours")) == 1
    assert (item(running)["state"], item(running)["snapshot_id"]) == ("awake", "")


def test_the_same_execution_gets_the_same_answer(running: Account, executions: Callable[[str], str]) -> None:
    """Failure covered: an answer that was lost on the way makes the retry fail, or doubles a metric."""
    night = executions("night")
    asked = {"operation": "hibernate", "execution": night, "scheduled_at": "2026-11-21T19:00:00Z"}
    assert call("begin", **asked) == call("begin", **asked)
    call("record", execution=night, snapshot_id=SNAPSHOT)
    call("asleep", execution=night, snapshot_id=SNAPSHOT)
    before = item(running)
    assert call("asleep", execution=night, snapshot_id=SNAPSHOT) == {"state": "asleep"}
    morning = executions("morning")
    resumed = {"operation": "resume", "execution": morning}
    assert call("begin", **resumed) == call("begin", **resumed)
    assert before["state"] == "asleep"
    assert call("awake", execution=morning) == call("awake", execution=morning)
    assert sum(running.published("AwakeHours")) == pytest.approx(48, abs=0.1)


def test_a_second_execution_waits_for_the_first(running: Account, executions: Callable[[str], str]) -> None:
    """Failure covered: two hibernations at once."""
    first, second = executions("first"), executions("second")
    assert call("begin", operation="hibernate", execution=first)["outcome"] == "go"
    for operation in ("hibernate", "resume"):
        assert call("begin", operation=operation, execution=second)["outcome"] == "busy"
    assert item(running)["execution"] == first
    with pytest.raises(HibernationLost, match=f"{NAME} is hibernating, and not by this execution"):
        call("awake", execution=second)


def test_what_an_execution_left_is_taken_over(running: Account, executions: Callable[[str], str]) -> None:
    first, second = stop(executions("first")), executions("second")
    set_item(running, state="hibernating", execution=first)
    assert call("begin", operation="hibernate", execution=second)["outcome"] == "go"
    with pytest.raises(HibernationLost):
        call("asleep", execution=first, snapshot_id=SNAPSHOT)
    assert item(running)["execution"] == second


@pytest.mark.parametrize("status", ["DELETING", None])
def test_a_removal_that_had_begun_goes_on(running: Account, executions: Callable[[str], str], status: Any) -> None:
    """Failure covered: an execution dies while MWAA deletes, and nobody knows any more what to restore."""
    first, second = stop(executions("first")), executions("second")
    set_item(running, state="hibernating", execution=first, snapshot_id=SNAPSHOT)
    running.mwaa.environments[SECONDARY, NAME]["Status"] = status
    if status is None:
        del running.mwaa.environments[SECONDARY, NAME]
    answer = call("begin", operation="hibernate", execution=second)
    assert (answer["outcome"], answer["snapshot_id"]) == ("go", SNAPSHOT)


def test_a_resume_after_an_interrupted_hibernation(running: Account, executions: Callable[[str], str]) -> None:
    """What is still there is put back, what is being deleted is waited for, what is gone is restored."""
    first, second = stop(executions("first")), executions("second")
    set_item(running, state="hibernating", execution=first, snapshot_id=SNAPSHOT)
    asked = {"operation": "resume", "execution": second}
    running.mwaa.environments[SECONDARY, NAME]["Status"] = "DELETING"
    assert call("begin", **asked)["outcome"] == "not_available"
    running.mwaa.environments[SECONDARY, NAME]["Status"] = "AVAILABLE"
    assert call("begin", **asked)["outcome"] == "put_back"
    assert call("begin", **asked)["outcome"] == "put_back"
    assert call("awake", execution=second) == {"state": "awake"}
    assert not running.published("AsleepHours"), "it never slept"
    set_item(running, state="hibernating", execution=first, snapshot_id=SNAPSHOT)
    del running.mwaa.environments[SECONDARY, NAME]
    answer = call("begin", **asked)
    assert (answer["outcome"], answer["snapshot_id"]) == ("go", SNAPSHOT)
    assert call("awake", execution=second) == {"state": "awake"}
    assert running.published("AsleepHours") == [pytest.approx(PHASE_HOURS, abs=0.1)]
    set_item(running, state="hibernating", execution=first)
    answer = call("begin", **asked)
    assert (answer["outcome"], "no snapshot was recorded" in answer["why"]) == ("not_available", True)


def test_a_resume_that_failed_is_started_again(running: Account, executions: Callable[[str], str]) -> None:
    """Failure covered: a later attempt hides the DAGs of what already runs: `since` is of the first one."""
    first, second = stop(executions("first")), executions("second")
    set_item(running, state="resuming", execution=first, snapshot_id=SNAPSHOT)
    began = int(item(running)["since"])
    assert call("begin", operation="hibernate", execution=second)["outcome"] == "not_available"
    answer = call("begin", operation="resume", execution=second)
    assert (answer["outcome"], answer["snapshot_id"], answer["since"]) == ("go", SNAPSHOT, began)


def test_a_person_may_name_another_snapshot(running: Account, executions: Callable[[str], str]) -> None:
    other = "20261120T080000Z-0123abcd"
    set_item(running, state="asleep", execution="", snapshot_id=SNAPSHOT)
    answer = call("begin", operation="resume", execution=executions("by-hand"), snapshot_id=other)
    assert (answer["outcome"], answer["snapshot_id"]) == ("go", other)
    assert item(running)["snapshot_id"] == other


def test_put_back_ends_awake_without_a_new_phase(running: Account, executions: Callable[[str], str]) -> None:
    night = executions("night")
    set_item(running, phase_since=1000)
    call("begin", operation="hibernate", execution=night)
    call("record", execution=night, snapshot_id=SNAPSHOT)
    assert call("awake", execution=night) == {"state": "awake"}
    after = item(running)
    assert (after["state"], after["snapshot_id"], after["phase_since"]) == ("awake", "", "1000")
    assert not running.published("AwakeHours")
    assert not running.published("AsleepHours")


@pytest.mark.parametrize(
    ("scheduled_at", "outcome"),
    [
        ("2026-12-24T19:00:00Z", "exception"),
        ("2026-12-23T22:59:00Z", "go"),
        ("2026-12-23T23:01:00Z", "exception"),  # the 24th in Berlin
        ("2026-12-24T23:01:00Z", "go"),
        (None, "go"),  # a person knows what day it is
    ],
)
def test_the_calendar_is_of_its_time_zone(
    running: Account, executions: Callable[[str], str], scheduled_at: str | None, outcome: str
) -> None:
    assert running
    asked = {"operation": "hibernate", "execution": executions("night")}
    assert call("begin", **asked, scheduled_at=scheduled_at)["outcome"] == outcome


def test_a_schedule_that_is_delivered_twice_makes_one_night(running: Account, executions: Callable[[str], str]) -> None:
    """Failure covered: the second delivery waits while the first is at work, and puts it away again in the morning."""
    due = datetime.fromtimestamp(int(time.time()) - 6 * 3600, UTC).isoformat()
    set_item(running, state="awake")  # brought back five hours ago
    answer = call("begin", operation="hibernate", execution=executions("late"), scheduled_at=due)
    assert (answer["outcome"], answer["why"][:37]) == ("asleep", "it has slept since this start was due")
    assert call("begin", operation="hibernate", execution=executions("by-hand"))["outcome"] == "go"


def test_a_wish_to_stay_awake_holds_for_schedules_until_it_ends(
    running: Account, executions: Callable[[str], str]
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=3)
    assert call("stay_awake", until=soon.isoformat())["stay_awake_until"] == int(soon.timestamp())
    night = {"operation": "hibernate", "execution": executions("night"), "scheduled_at": "2026-11-21T19:00:00Z"}
    answer = call("begin", **night)
    assert (answer["outcome"], answer["why"][:26]) == ("stay_awake", "it is to stay awake until ")
    call("stay_awake", until="2026-11-01T00:00:00Z")
    assert call("begin", **night)["outcome"] == "go"
    call("stay_awake", until=soon.isoformat())
    assert item(running)["state"] == "hibernating", "a wish changes nothing but itself"


@pytest.mark.parametrize(("status", "outcome"), [("UPDATING", "not_available"), ("UPDATE_FAILED", "go")])
def test_only_an_environment_that_runs_is_put_away(
    running: Account, executions: Callable[[str], str], status: str, outcome: str
) -> None:
    running.mwaa.environments[SECONDARY, NAME]["Status"] = status
    assert call("begin", operation="hibernate", execution=executions("night"))["outcome"] == outcome


def test_where_there_is_nothing_to_do_it_says_so(running: Account, executions: Callable[[str], str]) -> None:
    arn = executions("by-hand")
    for first in (None, True):
        assert call("begin", operation="resume", execution=arn, first=first)["outcome"] == "awake"
    account = running
    del account.mwaa.environments[SECONDARY, NAME]
    assert call("begin", operation="hibernate", execution=arn)["outcome"] == "not_available"
    set_item(account, state="asleep", snapshot_id=SNAPSHOT)
    assert call("begin", operation="hibernate", execution=arn)["outcome"] == "asleep"


def test_the_first_environment_is_created_when_a_person_says_so(
    account: Account, executions: Callable[[str], str]
) -> None:
    """Failure covered: the schedule of a morning creates an empty environment, or says that all is well without one."""
    morning, by_hand, again = executions("morning"), executions("by-hand"), executions("again")
    answer = call("begin", operation="resume", execution=morning)
    assert (answer["outcome"], "is not there, and was not put away" in answer["why"]) == ("refused", True)
    assert '{"first": true}' in answer["why"]
    assert account.dynamodb.scan(TableName=LEASES)["Count"] == 0
    for _ in range(2):
        answer = call("begin", operation="resume", execution=by_hand, first=True)
        assert (answer["outcome"], answer["snapshot_id"]) == ("first", None)
    assert call("begin", operation="resume", execution=again, first=True)["outcome"] == "busy"
    stop(by_hand)
    answer = call("begin", operation="resume", execution=again)
    assert (answer["outcome"], "first" in answer["why"]) == ("refused", True)
    assert call("begin", operation="resume", execution=again, first=True)["outcome"] == "first"
    assert call("awake", execution=again) == {"state": "awake"}
    assert not account.published("AsleepHours"), "it did not sleep"


@pytest.mark.parametrize("state", ["asleep", "awake", "hibernating", "resuming"])
def test_what_ever_slept_is_not_created_empty(account: Account, executions: Callable[[str], str], state: str) -> None:
    """Failure covered: in place of a lost environment, or of one that sleeps, an empty one goes live."""
    set_item(account, state=state, execution=stop(executions("before")), snapshot_id=SNAPSHOT)
    before = item(account)
    answer = call("begin", operation="resume", execution=executions("by-hand"), first=True)
    assert (answer["outcome"], f"is {state} since" in answer["why"]) == ("refused", True)
    assert item(account) == before


@pytest.mark.parametrize("slept", [True, False])
def test_what_was_lost_awake_comes_back_from_a_snapshot_that_is_named(
    account: Account, executions: Callable[[str], str], slept: bool
) -> None:
    if slept:
        set_item(account, state="awake")
    by_hand = {"operation": "resume", "execution": executions("by-hand")}
    answer = call("begin", **by_hand)
    assert (answer["outcome"], '{"first": true}' in answer["why"]) == ("refused", not slept)
    answer = call("begin", **by_hand, snapshot_id=SNAPSHOT)
    assert (answer["outcome"], answer["snapshot_id"]) == ("go", SNAPSHOT)


def test_of_two_at_once_one_begins(
    running: Account, executions: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure covered: both read `awake`, both write."""
    first, second = executions("first"), executions("second")
    read = hibernation.read_state
    raced: list[str] = []

    def race(dynamodb: Any, table: str, region: str) -> Any:
        seen = read(dynamodb, table, region)
        if not raced:
            raced.append("now")
            assert call("begin", operation="hibernate", execution=first)["outcome"] == "go"
        return seen

    monkeypatch.setattr(hibernation, "read_state", race)
    assert call("begin", operation="hibernate", execution=second)["outcome"] == "busy"
    assert item(running)["execution"] == first


def test_a_metric_that_cannot_be_published_undoes_nothing(
    running: Account, executions: Callable[[str], str], dead: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    night = executions("night")
    call("begin", operation="hibernate", execution=night)
    dead(SECONDARY, "cloudwatch")
    assert call("asleep", execution=night, snapshot_id=SNAPSHOT) == {"state": "asleep"}
    assert item(running)["state"] == "asleep"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines if line["level"] == "WARNING"] == ["not published"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "begin", "execution": "e"}, "operation is missing; accepted: hibernate, resume"),
        ({"action": "begin", "execution": "e", "operation": "sleep"}, "operation is another word"),
        ({"action": "begin", "operation": "resume"}, "execution is missing; accepted: the ARN"),
        ({"action": "asleep", "execution": "e"}, "snapshot_id is missing"),
        ({"action": "stay_awake"}, "until is missing; accepted: an instant"),
        ({"action": "stay_awake", "until": "2026-11-21T08:00:00"}, "until has no time zone"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(account: Account, fields: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        hibernation.handler(fields, None)
    assert not account.objects(SNAPSHOTS)
    assert account.dynamodb.scan(TableName=LEASES)["Count"] == 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EXCEPTIONS", "christmas", "EXCEPTIONS holds no date; accepted: dates such as 2026-12-24"),
        ("TIMEZONE", "Berlin", "TIMEZONE is 'Berlin'; accepted: the name of a time zone"),
        ("TIMEZONE", "", "TIMEZONE is not set"),
    ],
)
def test_a_variable_that_is_wrong_is_named(
    running: Account, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=message):
        call("begin", operation="hibernate", execution="e", scheduled_at="2026-11-21T19:00:00Z")
    assert running.dynamodb.scan(TableName=LEASES)["Count"] == 0
