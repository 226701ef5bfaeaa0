"""What the tests of event_trigger share: an environment, a queue, and what happened before."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from mwaa_continuity import event_trigger, sleep_state, trigger_ledger
from mwaa_continuity.sleep_state import SleepState
from tests.unit.functions.airflow_of_events import AirflowOfEvents, TriggerQueue, bridge_event
from tests.unit.functions.conftest import LEASES, NAME, SECONDARY, Account, environment

ORDERS = "s3://landing/orders"
RULES = [
    {"name": "orders", "buckets": ["landing"], "prefix": "orders/", "dataset": ORDERS},
    {"name": "loads", "buckets": ["landing"], "prefix": "loads/", "dag_id": "load"},
    {"name": "unknown", "buckets": ["landing"], "prefix": "none/", "dataset": "s3://nobody/knows"},
    {"name": "no-dag", "buckets": ["landing"], "prefix": "nodag/", "dag_id": "not_there"},
]
SERVER_ERROR = (500, {"RestApiStatusCode": 504, "RestApiResponse": {"title": "late"}}, "RestApiServerException")
THROTTLED = (429, {"message": "slow down"}, "ThrottlingException")


class World:
    """An environment that runs in the secondary's Region, and the queue."""

    def __init__(self, account: Account, airflow: AirflowOfEvents, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = account
        self.airflow = airflow
        self.queue = TriggerQueue(SECONDARY)
        self.monkeypatch = monkeypatch
        self.later = 0.0
        airflow.environments[SECONDARY, NAME] = environment(SECONDARY)
        airflow.datasets = {"s3://landing/orders_of_others": 3, ORDERS: 7}
        airflow.dags = {"load": {"is_paused": False}}
        for name, value in {
            "RULES": json.dumps(RULES),
            "QUEUE_URL": self.queue.url,
            "DEAD_LETTER_URL": self.queue.dead_letter_url,
            "LEDGER_TABLE": LEASES,
            "KNOWN_BY": "environment",
            "PACE_MILLISECONDS": "0",
        }.items():
            monkeypatch.setenv(name, value)
        real = time.time
        monkeypatch.setattr(trigger_ledger.time, "time", lambda: real() + self.later)

    def show_all(self) -> None:
        """Make every message visible now: time passed."""
        for message in self._messages():
            message.visible_at = 0

    def waits(self) -> list[float]:
        """Seconds until each message is visible again."""
        return sorted(message.visible_at / 1000 - time.time() for message in self._messages())

    @staticmethod
    def _messages() -> list[Any]:
        from moto.sqs.models import sqs_backends

        return list(sqs_backends["123456789012"][SECONDARY].queues["events"]._messages)

    def asleep(self, state: str, **members: Any) -> None:
        self.monkeypatch.setenv("KNOWN_BY", "hibernation")
        seen = sleep_state.read_state(self.account.dynamodb, LEASES, SECONDARY)
        wanted = SleepState(state=state, phase_since=5, **members)
        assert sleep_state.write_state(self.account.dynamodb, LEASES, SECONDARY, seen, wanted)

    def version(self, airflow: str) -> None:
        self.airflow.environments[SECONDARY, NAME]["AirflowVersion"] = airflow


def world_of_events(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world, while the generator is held."""
    airflow = AirflowOfEvents()
    monkeypatch.setenv("AWS_ENDPOINT_URL_MWAA", airflow.url)
    with mock_aws():
        yield World(Account(airflow), airflow, monkeypatch)
    airflow.stop()


def lease(world: World, holder: str, **members: Any) -> None:
    world.monkeypatch.setenv("KNOWN_BY", "lease")
    world.account.set_lease(holder=holder, **members)


def trigger_events_id(key: str) -> str:
    (event,) = event_trigger.unwrap(json.dumps(bridge_event(key)))
    assert not isinstance(event, event_trigger.BadEvent)
    return event.id


def aged(world: World, seconds: float) -> None:
    for message in world._messages():
        message.sent_timestamp -= int(seconds * 1000)
    world.show_all()


def in_doubt(world: World, *keys: str) -> None:
    """An invocation told Airflow of these events a while ago, and ended before it could note that."""
    ledger = trigger_ledger.Ledger(world.account.dynamodb, LEASES, "x", SECONDARY)
    world.later = -trigger_ledger.CLAIM_SECONDS - 60
    for key in keys:
        assert ledger.claim(trigger_events_id(key), "orders", trigger_ledger.Lost()).owned
        extra = {"continuity_event": f"orders/{trigger_events_id(key)}"}
        now = datetime.now(UTC).isoformat()
        world.airflow.dataset_events.append({"dataset_id": 7, "asset_id": 7, "extra": extra, "timestamp": now})
    world.later = 0
