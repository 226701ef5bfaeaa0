"""event_trigger on moto's SQS and DynamoDB: each good event once, each bad one in the dead-letter queue."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from mwaa_continuity import event_trigger, trigger_delivery, trigger_ledger, trigger_queue
from mwaa_continuity.errors import BadInput
from mwaa_continuity.sleep_state import ASLEEP, AWAKE, HIBERNATING, RESUMING
from mwaa_continuity.trigger_delivery import Pace
from tests.unit.functions.airflow_of_events import bridge_event, notification
from tests.unit.functions.conftest import LEASES, NAME, PRIMARY, SECONDARY
from tests.unit.functions.event_world import (
    SERVER_ERROR,
    THROTTLED,
    World,
    aged,
    lease,
    trigger_events_id,
    world_of_events,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Iterator[World]:
    yield from world_of_events(monkeypatch)


@pytest.mark.parametrize("version", ["2.9.2", "3.3.1"])
def test_dataset_events_and_dag_runs_once(world: World, version: str) -> None:
    world.version(version)
    key = "orders/a b.csv"
    world.queue.send(bridge_event(key), bridge_event(key), notification("orders/a+b.csv"), bridge_event(key, "v2"))
    world.queue.send(bridge_event("loads/1"), bridge_event("loads/1"))
    world.queue.drain()
    told = world.airflow.told()
    assert len(told) == len(set(told)) == 2
    assert {event.get("asset_id", event.get("dataset_id")) for event in world.airflow.dataset_events} == {7}
    extra = world.airflow.dataset_events[0]["extra"]
    assert (extra["rule"], extra["bucket"], extra["key"]) == ("orders", "landing", key)
    ((dag_id, run_id),) = world.airflow.runs
    run = world.airflow.runs[dag_id, run_id]
    assert (dag_id, run["conf"]["rule"], run["conf"]["event"]["key"]) == ("load", "loads", "loads/1")
    assert ("logical_date" in run) == version.startswith("3")
    assert world.queue.dead_letters() == []


def test_bad_events_are_told_apart(world: World) -> None:
    world.airflow.before = lambda _path, body: (
        (400, {"RestApiStatusCode": 400, "RestApiResponse": {}}, "RestApiClientException")
        if "poison" in json.dumps(body)
        else None
    )
    bad = {
        "malformed": "{",
        "no_rule": bridge_event("elsewhere/x"),
        "unknown_dataset": bridge_event("none/x"),
        "unknown_dag": bridge_event("nodag/x"),
        "refused": bridge_event("orders/poison"),
    }
    world.queue.send(bridge_event("orders/1"), *bad.values(), bridge_event("orders/2"))
    world.queue.poll()
    assert world.queue.depth() == 2, "a DAG and a dataset may come yet"
    world.later = event_trigger.UNKNOWN_SECONDS + 60
    world.show_all()
    world.queue.drain()
    letters = {letter["reason"]: letter for letter in world.queue.dead_letters()}
    assert set(letters) == set(bad)
    assert all(letter["why"] and letter["message_id"] for letter in letters.values())
    assert {reason for reason, letter in letters.items() if letter.get("rule")} == {
        "unknown_dataset",
        "unknown_dag",
        "refused",
    }
    assert [event["extra"]["key"] for event in world.airflow.dataset_events] == ["orders/1", "orders/2"]
    assert sum(world.account.published("EventsDelivered")) == 2
    assert sum(world.account.published("EventsRefused")) == 5
    # What was mended is sent back by a person, and is delivered.
    world.airflow.datasets["s3://nobody/knows"] = 9
    world.queue.send(letters["unknown_dataset"]["body"])
    world.queue.drain()
    assert world.airflow.dataset_events[-1]["extra"]["key"] == "none/x"


def test_a_message_of_several_events_is_finished_as_a_whole(world: World) -> None:
    fails = [SERVER_ERROR]
    world.airflow.before = lambda _path, body: (
        fails.pop() if body.get("extra", {}).get("key") == "orders/b" and fails else None
    )
    world.queue.send(notification("orders/a", "orders/b", "elsewhere/c"))
    assert world.queue.poll() == (1, 1)
    assert world.queue.dead_letters() == [], "the bad one comes again with the message"
    world.later = trigger_ledger.CLAIM_SECONDS + 1
    world.show_all()
    world.queue.drain()
    assert [event["extra"]["key"] for event in world.airflow.dataset_events] == ["orders/a", "orders/b"]
    (letter,) = world.queue.dead_letters()
    assert [record["s3"]["object"]["key"] for record in json.loads(letter["body"])["Records"]] == ["elsewhere/c"]


@pytest.mark.parametrize("version", ["2.10.3", "3.0.6"])
@pytest.mark.parametrize("told", [True, False])
def test_an_answer_that_was_lost(world: World, version: str, told: bool) -> None:
    """Whether or not Airflow took it, there is one dataset event in the end, with many others after it."""
    world.version(version)
    fault = "after" if told else "before"
    setattr(world.airflow, fault, lambda _path, _body: SERVER_ERROR)
    world.queue.send(bridge_event("orders/x"))
    assert world.queue.poll() == (1, 1)
    assert len(world.airflow.told()) == told
    setattr(world.airflow, fault, lambda _path, _body: None)
    world.queue.send(*(bridge_event(f"orders/{number}") for number in range(60)))
    while world.queue.poll()[0]:
        assert world.queue.depth() >= 1
    world.show_all()
    assert world.queue.poll() == (1, 1), "the claim of the first attempt is still good"
    world.later = trigger_ledger.CLAIM_SECONDS + 1
    world.show_all()
    world.queue.drain()
    assert sorted(world.airflow.told()) == sorted(set(world.airflow.told()))
    assert len(world.airflow.told()) == 61


def test_an_invocation_that_ended_before_it_noted_that(world: World) -> None:
    done = trigger_ledger.Ledger.done
    world.monkeypatch.setattr(trigger_ledger.Ledger, "done", lambda *_: (_ for _ in ()).throw(SystemExit))
    world.queue.send(bridge_event("orders/x"), bridge_event("loads/x"))
    with pytest.raises(SystemExit):
        world.queue.poll()
    world.monkeypatch.setattr(trigger_ledger.Ledger, "done", done)
    world.later = trigger_ledger.CLAIM_SECONDS + 1
    world.show_all()
    world.queue.drain()
    assert (len(world.airflow.told()), len(world.airflow.runs)) == (1, 1)


def test_throttled_calls_wait_and_are_not_in_doubt(world: World) -> None:
    world.airflow.before = lambda _path, _body: THROTTLED
    world.queue.send(*(bridge_event(f"orders/{number}") for number in range(5)))
    assert world.queue.poll() == (5, 5)
    assert sum(call[0] == "InvokeRestApi" for call in world.airflow.calls) == 1, "nothing more is tried"
    assert all(0 < wait <= trigger_queue.FIRST_WAIT_SECONDS for wait in world.waits())
    world.airflow.before = lambda _path, _body: None
    world.show_all()
    calls = len(world.airflow.calls)
    world.queue.drain()
    assert len(world.airflow.told()) == 5
    assert [call[2] for call in world.airflow.calls[calls:] if call[0] == "InvokeRestApi"] == ["/datasets/events"] * 5
    assert world.queue.dead_letters() == []


@pytest.mark.parametrize("status", [401, 403, 405])
def test_a_missing_permission_is_not_the_events_fault(world: World, status: int) -> None:
    refused = (400, {"RestApiStatusCode": status, "RestApiResponse": {}}, "RestApiClientException")
    world.airflow.before = lambda _path, _body: refused
    world.queue.send(bridge_event("orders/x"))
    assert world.queue.poll() == (1, 1)
    assert world.queue.dead_letters() == []
    assert max(world.account.published("EventWaitSeconds")) > 0


def test_two_runs_at_one_instant(world: World) -> None:
    """Airflow 2 refuses a run with the logical date of another one by 409, too: that one did not start."""
    taken = {"RestApiStatusCode": 409, "RestApiResponse": {"detail": "DAGRun logical date: '...' already exists"}}
    answers = [(400, taken, "RestApiClientException")]
    world.airflow.before = lambda _path, _body: answers.pop() if answers else None
    world.queue.send(bridge_event("loads/x"))
    assert world.queue.poll() == (1, 1)
    world.show_all()
    world.queue.drain()
    assert len(world.airflow.runs) == 1


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "UPDATING", "CREATE_FAILED", None])
def test_events_wait_for_the_environment(world: World, status: str | None) -> None:
    there = world.airflow.environments.pop((SECONDARY, NAME))
    if status:
        world.airflow.environments[SECONDARY, NAME] = there | {"Status": status}
    world.queue.send(bridge_event("orders/x"), "{")
    assert world.queue.poll() == (2, 1)
    assert [letter["reason"] for letter in world.queue.dead_letters()] == ["malformed"]
    world.airflow.environments[SECONDARY, NAME] = there
    world.show_all()
    world.queue.drain()
    assert len(world.airflow.told()) == 1


@pytest.mark.parametrize("state", [HIBERNATING, ASLEEP, RESUMING])
def test_nothing_is_delivered_that_a_sleep_would_lose(world: World, state: str) -> None:
    """MWAA says AVAILABLE while the environment is drained, and before its state is restored."""
    world.asleep(state)
    world.queue.send(bridge_event("orders/x"), bridge_event("loads/x"))
    assert world.queue.poll() == (2, 2)
    assert not any(call[0] == "InvokeRestApi" for call in world.airflow.calls)
    assert world.account.published("EventWaitSeconds") == [0]
    world.asleep(AWAKE)
    world.show_all()
    world.queue.drain()
    assert (len(world.airflow.told()), len(world.airflow.runs)) == (1, 1)


@pytest.mark.parametrize(("state", "wakes"), [(ASLEEP, True), (RESUMING, True), (HIBERNATING, False), (AWAKE, False)])
def test_an_event_wakes_the_environment(world: World, state: str, wakes: bool) -> None:
    states = boto3.client("stepfunctions", SECONDARY)
    role = "arn:aws:iam::123456789012:role/resume"
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    machine = states.create_state_machine(name="resume", definition=definition, roleArn=role)["stateMachineArn"]
    world.monkeypatch.setenv("RESUME_ARN", machine)
    world.asleep(state)
    world.queue.send(bridge_event("orders/x"), bridge_event("orders/y"))
    world.queue.poll()
    started = [found["name"] for found in states.list_executions(stateMachineArn=machine)["executions"]]
    assert started == [f"event-5-{int(time.time()) // 3600}"] * wakes


def test_only_the_active_region_delivers(world: World) -> None:
    lease(world, PRIMARY)
    world.queue.send(bridge_event("orders/x"))
    assert world.queue.poll() == (1, 1)
    lease(world, SECONDARY, live=False)
    world.show_all()
    assert world.queue.poll() == (1, 1)
    assert not any(call[0] == "InvokeRestApi" for call in world.airflow.calls)
    lease(world, SECONDARY, live=True)
    world.show_all()
    world.queue.drain()
    assert len(world.airflow.told()) == 1


def test_a_failover_delivers_what_it_lost_and_nothing_twice(world: World) -> None:
    """The other Region delivered four events: long ago, before the snapshot's cut, after it, and while cut off."""
    began = int(time.time()) - 3600
    ledger = trigger_ledger.Ledger(world.account.dynamodb, LEASES, "the other Region", PRIMARY)
    keys = {"orders/long-ago": -7200, "orders/before-cut": 2, "orders/after-cut": 600, "orders/cut-off": 3500}
    for key, offset in keys.items():
        world.later = offset - 3600
        event_id = trigger_events_id(key)
        ledger.done(ledger.claim(event_id, "orders", trigger_ledger.Lost()))
    world.later = 0
    snapshot = f"{datetime.fromtimestamp(began, UTC):%Y%m%dT%H%M%SZ}-0123abcd"
    lease(world, SECONDARY, since=int(time.time()) - 900, live=True, snapshot_id=snapshot)
    extra = {"continuity_event": f"orders/{trigger_events_id('orders/before-cut')}"}
    restored = {"dataset_id": 7, "extra": extra, "timestamp": datetime.fromtimestamp(began + 2, UTC).isoformat()}
    world.airflow.dataset_events = [restored]
    world.queue.send(*(bridge_event(key, bucket="landing") for key in keys))
    world.queue.drain()
    told = [event["extra"].get("key") for event in world.airflow.dataset_events]
    assert told == [None, "orders/after-cut", "orders/cut-off"]
    world.queue.send(*(bridge_event(key) for key in keys))
    world.queue.drain()
    assert len(world.airflow.told()) == 3


def test_a_region_that_is_not_active_forgets_what_is_settled(world: World) -> None:
    lease(world, PRIMARY)
    ledger = trigger_ledger.Ledger(world.account.dynamodb, LEASES, "the other Region", PRIMARY)
    world.later = -event_trigger.SETTLED_SECONDS - 10
    ledger.done(ledger.claim(trigger_events_id("orders/old"), "orders", trigger_ledger.Lost()))
    world.later = 0
    ledger.done(ledger.claim(trigger_events_id("orders/new"), "orders", trigger_ledger.Lost()))
    world.queue.send(bridge_event("orders/old"), bridge_event("orders/new"), bridge_event("orders/never"))
    assert world.queue.poll() == (3, 2)


def test_a_message_is_renewed_before_the_queue_forgets_it(world: World) -> None:
    world.asleep(ASLEEP)
    world.queue.send(bridge_event("orders/x"))
    aged(world, trigger_queue.RENEWED_AFTER_SECONDS + 60)
    assert world.queue.poll() == (1, 0)
    world.monkeypatch.setenv("KNOWN_BY", "environment")
    world.airflow.before = lambda _path, _body: THROTTLED
    assert world.queue.poll() == (1, 1), "a new message, which waits as the old one did"
    waited = max(world.account.published("EventWaitSeconds"))
    assert waited > trigger_queue.RENEWED_AFTER_SECONDS, "that it is a new message does not hide how long it waits"
    world.airflow.before = lambda _path, _body: None
    world.show_all()
    world.queue.drain()
    assert len(world.airflow.told()) == 1


def test_where_another_region_is_active_a_message_is_renewed_and_then_forgotten(world: World) -> None:
    """Failure covered: 1000 receives sent the events of a Region without the lease to the dead-letter queue."""
    lease(world, PRIMARY)
    world.queue.send(bridge_event("orders/x"))
    finished = []
    for day in range(0, 16, 2):
        world.later = day * 86400 + 60
        world.show_all()
        if world.queue.poll() == (1, 0):
            finished.append(day)
            aged(world, -world.later)  # moto's own clock does not go with ours
        assert world.queue.depth() == (day < 14)
    assert finished == [6, 12, 14], "sent again, sent again, forgotten"
    assert world.queue.dead_letters() == []


def test_what_a_renewed_message_delivered_stays_known(world: World) -> None:
    world.queue.send(notification("orders/a", "orders/b"))
    fails = [SERVER_ERROR] * 2
    world.airflow.before = lambda _path, body: fails.pop() if body["extra"]["key"] == "orders/b" and fails else None
    assert world.queue.poll() == (1, 1)
    for days in (6, 12):
        world.later = days * 86400
        world.asleep(ASLEEP) if days == 6 else None
        world.show_all()
        assert world.queue.poll() == (1, 0)
    key = trigger_ledger.Ledger.key(trigger_events_id("orders/a"), "orders")
    item = world.account.dynamodb.get_item(TableName=LEASES, Key=key)["Item"]
    assert int(item["expires_at"]["N"]) >= int(time.time()) + trigger_ledger.KEPT_SECONDS - 60


def test_a_message_is_never_received_a_thousand_times_before_it_is_renewed() -> None:
    waited, receives = 0.0, 0
    while waited < trigger_queue.RENEWED_AFTER_SECONDS:
        receives += 1
        message = trigger_queue.Message("1", "r", "", receives, 0, 0)
        waited += min(message.wait(trigger_queue.SOON) for _ in range(5))
    assert receives < 1000


def test_calls_are_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(trigger_delivery.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(trigger_delivery.time, "sleep", sleep)
    monkeypatch.setattr(Pace, "last", 0.0)
    for _ in range(4):
        Pace(0.25).wait()  # a new one, as in the next invocation
    assert slept == [0.25] * 3
    now[0] += 10
    Pace(0.25).wait()
    assert slept == [0.25] * 3


def test_an_invocation_ends_in_time(world: World) -> None:
    world.monkeypatch.setattr(event_trigger, "BATCH_SECONDS", -1)
    world.queue.send(bridge_event("orders/x"))
    assert world.queue.poll() == (1, 1)
    assert world.waits()[0] <= 1


@pytest.mark.parametrize("event", [{}, {"Records": {}}, {"Records": [{"messageId": "1"}]}, {"Records": [5]}])
def test_what_is_no_batch(world: World, event: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="accepted"):
        event_trigger.handler(event, None)
