"""event_trigger where something fails: what waits, what is refused, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mwaa_continuity import event_trigger, trigger_delivery, trigger_ledger, trigger_queue
from tests.unit.functions.airflow_of_events import bridge_event
from tests.unit.functions.conftest import LEASES, PRIMARY, SECONDARY
from tests.unit.functions.event_world import (
    THROTTLED,
    World,
    aged,
    in_doubt,
    lease,
    trigger_events_id,
    world_of_events,
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Iterator[World]:
    yield from world_of_events(monkeypatch)


def test_without_a_failover_nothing_was_lost(world: World) -> None:
    ledger = trigger_ledger.Ledger(world.account.dynamodb, LEASES, "the other Region", PRIMARY)
    ledger.done(ledger.claim(trigger_events_id("orders/x"), "orders", trigger_ledger.Lost()))
    lease(world, SECONDARY, live=True)
    world.queue.send(bridge_event("orders/x"))
    world.queue.drain()
    assert world.airflow.dataset_events == []


@pytest.mark.parametrize("sent_before", [0, 86400])
def test_a_backlog_waits_for_what_airflow_is_about_to_parse(world: World, sent_before: int) -> None:
    """Failure covered: an environment that came back refused what had waited for it, before its DAGs were parsed."""
    world.airflow.dags, known = {}, world.airflow.dags
    world.airflow.datasets, datasets = {}, world.airflow.datasets
    world.queue.send(bridge_event("loads/x"), bridge_event("orders/x"))
    aged(world, sent_before)
    assert world.queue.poll() == (2, 2)
    world.airflow.dags, world.airflow.datasets = known, datasets
    world.show_all()
    world.queue.drain()
    assert (len(world.airflow.runs), len(world.airflow.told())) == (1, 1)
    assert world.queue.dead_letters() == []


def test_what_was_unknown_long_ago_may_come_again(world: World) -> None:
    ledger = trigger_ledger.Ledger(world.account.dynamodb, LEASES, "x", SECONDARY)
    assert ledger.unknown_for("orders") == 0
    world.later = 600
    assert 599 <= ledger.unknown_for("orders") <= 601
    world.later += trigger_ledger.UNKNOWN_AGAIN_SECONDS
    assert ledger.unknown_for("orders") == 0


def test_events_that_aws_refuses_to_let_us_deliver_raise_the_alarm(world: World) -> None:
    world.monkeypatch.setenv("LEDGER_TABLE", "not-there")
    world.queue.send(bridge_event("orders/x"))
    aged(world, 5000)
    assert world.queue.poll() == (1, 1)
    assert max(world.account.published("EventWaitSeconds")) >= 5000


def test_the_oldest_event_is_told_where_a_younger_one_failed(world: World) -> None:
    world.airflow.before = lambda _path, _body: THROTTLED
    world.queue.send(bridge_event("orders/young"), bridge_event("orders/old"))
    world._messages()[1].sent_timestamp -= 5_000_000
    assert world.queue.poll() == (2, 2)
    assert max(world.account.published("EventWaitSeconds")) >= 5000


def test_one_message_does_not_fail_its_batch(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(event: Any, *_: Any) -> None:
        if event.content["key"] == "orders/b":
            raise LookupError("secret")
        told.append(event.content["key"])

    told: list[str] = []
    world.monkeypatch.setattr(event_trigger.Batch, "_deliver", lambda _self, event, *_: fails(event))
    world.queue.send(bridge_event("orders/a"), bridge_event("orders/b"), "[" * 100_000, bridge_event("orders/c"))
    assert world.queue.poll() == (4, 1)
    assert told == ["orders/a", "orders/c"]
    assert [letter["reason"] for letter in world.queue.dead_letters()] == ["malformed"]
    logged = capsys.readouterr().out
    assert "LookupError" in logged
    assert "secret" not in logged


def test_what_invoke_rest_api_calls_invalid_is_refused(world: World) -> None:
    world.airflow.before = lambda _path, _body: (400, {"message": "too large"}, "ValidationException")
    world.queue.send(bridge_event("orders/x"))
    assert world.queue.poll() == (1, 0)
    assert [letter["reason"] for letter in world.queue.dead_letters()] == ["refused"]


def test_a_conflict_does_not_say_that_a_dataset_event_is_there(world: World) -> None:
    world.airflow.before = lambda _path, _body: (400, {"RestApiStatusCode": 409}, "RestApiClientException")
    world.queue.send(bridge_event("orders/x"))
    assert world.queue.poll() == (1, 1)


@pytest.mark.parametrize(
    ("text", "first"), [("5.5", 5.5), ("nan", 9), ("inf", 9), ("-1", 9), ("x", 9), ("", 9), (None, 9), ("10", 9)]
)
def test_when_a_message_was_first_sent(text: str | None, first: float) -> None:
    assert trigger_queue.instant(text, 9.0) == first


def test_what_is_too_long_with_its_reason_is_shortened(world: World) -> None:
    world.queue.sqs.set_queue_attributes(
        QueueUrl=world.queue.dead_letter_url, Attributes={"MaximumMessageSize": "100000"}
    )
    world.queue.send("{" + "x" * 150_000)
    assert world.queue.poll() == (1, 0)
    (letter,) = world.queue.dead_letters()
    assert (letter["reason"], json.loads(letter["body"])) == (
        "malformed",
        {"shortened": "{" + "x" * (trigger_queue.SHORTENED - 1)},
    )


def test_a_refused_message_of_one_event_is_sent_as_it_came(world: World) -> None:
    body = json.dumps({"rule": "gone\u0001" + "x" * 5000, "event": bridge_event("ü")}, ensure_ascii=False, indent=3)
    world.queue.send(body)
    assert world.queue.poll() == (1, 0)
    (letter,) = world.queue.dead_letters()
    assert letter["body"] == body
    assert letter["rule"] == "gone?" + "x" * (trigger_queue.LONGEST_ATTRIBUTE - 5)


@pytest.mark.parametrize("key", ["ü", "\u0001", "\ud800"])
def test_an_event_of_several_is_sent_as_what_sqs_takes(key: str) -> None:
    text = trigger_queue.as_text({"key": key})
    assert json.loads(text) == {"key": key}
    assert text.encode()
    assert ("\\" in text) is (key != "ü")


@pytest.mark.parametrize("version", ["2.9.2", "3.3.1"])
def test_the_events_of_a_dataset_are_read_once_in_an_invocation(world: World, version: str) -> None:
    world.version(version)
    keys = ("orders/a", "orders/b", "orders/c")
    in_doubt(world, *keys)
    world.queue.send(*(bridge_event(key) for key in keys))
    assert world.queue.poll() == (3, 0)
    assert len(world.airflow.told()) == 3
    called = [str(call[2]) for call in world.airflow.calls if call[0] == "InvokeRestApi"]
    assert sum(path.endswith("/events") for path in called) == 1


def test_a_search_that_takes_too_long_leaves_the_doubt(world: World) -> None:
    in_doubt(world, "orders/a")
    made = trigger_delivery.Delivery.__init__
    world.monkeypatch.setattr(trigger_delivery.Delivery, "__init__", lambda self, api, _until: made(self, api, -1.0))
    world.queue.send(bridge_event("orders/a"))
    assert world.queue.poll() == (1, 1)
    assert len(world.airflow.told()) == 1, "not told again"
    assert max(world.account.published("EventWaitSeconds")) > 0
    world.monkeypatch.setattr(trigger_delivery.Delivery, "__init__", made)
    world.show_all()
    world.queue.drain()
    assert len(world.airflow.told()) == 1
