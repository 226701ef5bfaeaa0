"""Many events through the trigger queue: duplicates, bursts, malformed ones, calls that fail, an environment asleep.

Two invocations at a time, as Lambda bounds them, on moto's SQS and DynamoDB. Each good event leads to exactly one
dataset event or DAG run, each bad one lands in the dead-letter queue with its reason.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from mwaa_continuity import event_trigger, sleep_state, trigger_ledger, trigger_queue
from mwaa_continuity.sleep_state import ASLEEP, AWAKE, HIBERNATING, RESUMING, SleepState
from tests.unit.functions.airflow_of_events import AirflowOfEvents, TriggerQueue, bridge_event, notification
from tests.unit.functions.conftest import LEASES, NAME, SECONDARY, Account, environment
from tests.unit.functions.mwaa_service import Answer

MANY_SEEDS = 100
RULES = [
    {"name": "orders", "buckets": ["landing"], "prefix": "orders/", "suffix": ".csv", "dataset": "s3://landing/orders"},
    {"name": "bills", "buckets": ["landing"], "prefix": "bills/", "dataset": "s3://landing/bills"},
    {"name": "loads", "buckets": ["landing"], "prefix": "loads/", "dag_id": "load"},
    {"name": "nobody", "buckets": ["landing"], "prefix": "nobody/", "dataset": "s3://nobody/knows"},
]
LATE: Answer = (500, {"RestApiStatusCode": 504, "RestApiResponse": {}}, "RestApiServerException")
SLOW_DOWN: Answer = (429, {"message": "slow down"}, "ThrottlingException")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The long run has ten thousand events."""
    if "events" in metafunc.fixturenames:
        metafunc.parametrize("events", [10_000 if metafunc.config.getoption("--seeds") >= MANY_SEEDS else 200])


class Asleep:
    """The environment at its clock: awake, put away and gone, coming back, awake again, by what was delivered."""

    def __init__(self, account: Account, airflow: AirflowOfEvents) -> None:
        self.account = account
        self.airflow = airflow
        self.there = environment(SECONDARY)
        self.calls_asleep = 0
        self.become(AWAKE)

    def become(self, state: str) -> None:
        """Another state of sleep; MWAA has the environment in all but one."""
        seen = sleep_state.read_state(self.account.dynamodb, LEASES, SECONDARY)
        assert sleep_state.write_state(self.account.dynamodb, LEASES, SECONDARY, seen, SleepState(state=state))
        self.state = state
        if state == ASLEEP:
            self.airflow.environments.pop((SECONDARY, NAME), None)
        else:
            self.airflow.environments[SECONDARY, NAME] = self.there

    def sleep_a_while(self, queue: TriggerQueue) -> None:
        """A night, seen by the queue."""
        for state in (HIBERNATING, ASLEEP, RESUMING):
            self.become(state)
            for _ in range(3):
                queue.poll()
        self.become(AWAKE)


class Weather:
    """Calls that are throttled, answers that are lost after Airflow took them, and calls that never arrive."""

    def __init__(self, lots: random.Random, asleep: Asleep) -> None:
        self.lots = lots
        self.asleep = asleep

    def before(self, _path: str, _body: dict[str, Any]) -> Answer | None:
        self.asleep.calls_asleep += self.asleep.state != AWAKE
        drawn = self.lots.random()
        return SLOW_DOWN if drawn < 0.03 else LATE if drawn < 0.04 else None

    def after(self, _path: str, _body: dict[str, Any]) -> Answer | None:
        return LATE if self.lots.random() < 0.02 else None


def messages(count: int, lots: random.Random) -> tuple[list[Any], Counter[str], Counter[str]]:
    """Messages in random order, each event several times in several wrappings; the good keys, and the bad reasons."""
    sent: list[Any] = []
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for number in range(count):
        drawn = lots.random()
        if drawn < 0.05:
            reason, message = lots.choice(
                [
                    ("malformed", "{" + str(number)),
                    ("malformed", {"Records": [{"s3": number}]}),
                    ("no_rule", bridge_event(f"elsewhere/{number}")),
                    ("no_rule", {"rule": "gone", "event": bridge_event(f"orders/{number}.csv")}),
                    ("unknown_dataset", bridge_event(f"nobody/{number}")),
                ]
            )
            bad[reason] += 1
            sent.append(message)
            continue
        key = lots.choice(["orders/{} a+b.csv", "bills/ü%20{}", "loads/{}"]).format(number)
        good[key] = 1
        encoded = key.replace("%", "%25").replace("+", "%2B").replace(" ", "+").replace("ü", "%C3%BC")
        rule = key.split("/")[0]
        wrapped = [bridge_event(key), notification(encoded), {"rule": rule, "event": bridge_event(key)}]
        sent += lots.choices(wrapped, k=lots.choice([1, 1, 1, 2, 3]))
    lots.shuffle(sent)
    return sent, good, bad


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Iterator[AirflowOfEvents]:
    service = AirflowOfEvents()
    service.datasets = {"s3://landing/orders": 1, "s3://landing/bills": 2}
    service.dags = {"load": {"is_paused": False}}
    monkeypatch.setenv("AWS_ENDPOINT_URL_MWAA", service.url)
    with mock_aws():
        yield service
    service.stop()


def test_each_good_event_once_and_each_bad_one_with_a_reason(
    events: int, airflow: AirflowOfEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots = random.Random(7)  # noqa: S311 - the same events each time
    account, queue = Account(airflow), TriggerQueue(SECONDARY)
    for name, value in {
        "RULES": json.dumps(RULES),
        "QUEUE_URL": queue.url,
        "DEAD_LETTER_URL": queue.dead_letter_url,
        "LEDGER_TABLE": LEASES,
        "KNOWN_BY": "hibernation",
        "PACE_MILLISECONDS": "0",
        "LOG_LEVEL": "ERROR",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(event_trigger, "UNKNOWN_SECONDS", 0)
    monkeypatch.setattr(trigger_ledger, "CLAIM_SECONDS", 2)  # and what waits is looked at again at once
    monkeypatch.setattr(trigger_queue.Message, "wait", lambda _message, _longest: 0)
    asleep = Asleep(account, airflow)
    weather = Weather(lots, asleep)
    airflow.before, airflow.after = weather.before, weather.after
    sent, good, bad = messages(events, lots)

    queue.send(*sent[: len(sent) // 2])  # a burst, then a night in the middle of it
    while queue.depth() > len(sent) // 4:
        poll_twice(queue)
    asleep.sleep_a_while(queue)
    queue.send(*sent[len(sent) // 2 :])
    deadline = time.monotonic() + max(300, events / 5)
    while queue.depth() and time.monotonic() < deadline:
        poll_twice(queue)
    assert queue.depth() == 0
    assert asleep.calls_asleep == 0, "calls while the environment was being put away, was away or came back"

    told = Counter(event["extra"]["key"] for event in airflow.dataset_events)
    told += Counter(run["conf"]["event"]["key"] for run in airflow.runs.values())
    assert told == good
    letters = queue.dead_letters()
    assert Counter(letter["reason"] for letter in letters) == bad
    assert all(letter["why"] and letter["message_id"] for letter in letters)


def poll_twice(queue: TriggerQueue) -> None:
    """Two invocations at once."""
    failures: list[BaseException] = []

    def poll() -> None:
        try:
            queue.poll()
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=poll) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
