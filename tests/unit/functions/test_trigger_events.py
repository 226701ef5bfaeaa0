"""Unwrapping, identity and rules of events.

Failure covered: reading `Records[0]["s3"]` though SQS nests the event in `body`; keys not URL-decoded.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mwaa_continuity.errors import BadInput
from mwaa_continuity.trigger_events import BadEvent, TriggerEvent, unwrap
from mwaa_continuity.trigger_rules import Rule, read_rules, rules_for
from tests.unit.functions.airflow_of_events import bridge_event, notification

KEY = "orders/a b+c/ü%20.csv"
ENCODED = "orders/a+b%2Bc/%C3%BC%2520.csv"


def one(document: Any) -> TriggerEvent:
    (event,) = unwrap(json.dumps(document))
    assert isinstance(event, TriggerEvent)
    return event


def by_topic(document: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "MessageId": "1", "Message": json.dumps(document)}


@pytest.mark.parametrize(
    "wrapped",
    [
        bridge_event(KEY),
        {"rule": "orders", "event": bridge_event(KEY)},
        notification(ENCODED),
        by_topic(notification(ENCODED)),
        by_topic(bridge_event(KEY)),
    ],
)
def test_an_event_is_the_same_in_every_wrapping(wrapped: dict[str, Any]) -> None:
    event = one(wrapped)
    assert event.id == one(bridge_event(KEY)).id
    assert event.stored is not None
    assert (event.stored.bucket, event.stored.key) == ("landing", KEY)
    assert {name: event.content[name] for name in ("version_id", "etag", "size")} == {
        "version_id": "v1",
        "etag": "e",
        "size": 5,
    }
    assert one(dict(event.raw)).id == event.id, "what goes to the dead-letter queue comes back as the same event"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (bridge_event(KEY, "v2"), False),
        (bridge_event(KEY + "x"), False),
        (bridge_event(KEY, bucket="landing-us-east-1"), True),  # a replica keeps its version
        (bridge_event(KEY, **{"detail-type": "Object Deleted"}), False),
        (bridge_event(KEY, id="another"), True),
    ],
)
def test_what_makes_an_event_another(other: dict[str, Any], same: bool) -> None:
    assert (one(other).id == one(bridge_event(KEY)).id) is same


def test_what_happens_again_to_a_version_is_another_event() -> None:
    """Failure covered: the second restore of an archived object was taken for the first."""

    def restored(number: str) -> str:
        return one(bridge_event(KEY, **{"detail-type": "Object Restore Completed", "id": number})).id

    def told_by_s3(at: str) -> str:
        document = notification(ENCODED)
        document["Records"][0] |= {"eventName": "ObjectRestore:Completed", "eventTime": at}
        return one(document).id

    assert restored("1") == restored("1") != restored("2")
    assert told_by_s3("2026-11-21T08:00:00.000Z") == told_by_s3("2026-11-21T08:00:00.000Z")
    assert told_by_s3("2026-11-21T08:00:00.000Z") != told_by_s3("2026-11-22T08:00:00.000Z")


@pytest.mark.parametrize("version", ["null", "", None])
def test_without_versions_bucket_and_sequencer_tell_events(version: str | None) -> None:
    def unversioned(bucket: str, sequencer: str) -> str:
        event = bridge_event(KEY, bucket=bucket)
        event["detail"]["object"] |= {"version-id": version, "sequencer": sequencer}
        return one(event).id

    assert unversioned("a", "1") == unversioned("a", "1")
    assert len({unversioned("a", "1"), unversioned("a", "2"), unversioned("b", "1")}) == 3


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "3",
        "{}",
        '{"Type": "Notification", "TopicArn": "x", "Message": "no JSON"}',
        '{"Type": "Notification", "TopicArn": "x"}',
        json.dumps(bridge_event("k", detail=None)),
        json.dumps(bridge_event("k", source=5)),
        json.dumps(bridge_event("")),
        json.dumps(bridge_event("a\0b")),
        json.dumps(bridge_event("k", detail={"bucket": "b", "object": {"key": "k"}})),
        json.dumps({"source": "x", "detail-type": "y", "detail": {}}),
    ],
)
def test_malformed(body: str) -> None:
    with pytest.raises(BadEvent) as caught:
        unwrap(body)
    assert caught.value.reason == "malformed"


def test_a_bad_record_does_not_spoil_the_others() -> None:
    document = notification("a", "b")
    document["Records"][0]["s3"] = "none"
    document["Records"] += [None, {}]
    found = unwrap(json.dumps(document))
    assert [isinstance(event, BadEvent) for event in found] == [True, False, True, True]


def test_the_test_of_a_notification_is_nothing() -> None:
    assert unwrap('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "landing"}') == []


def test_another_source_is_known_by_its_id() -> None:
    event = {"id": "7", "source": "aws.glue", "detail-type": "Glue Job State Change", "detail": {"state": "SUCCEEDED"}}
    got = one({"rule": "jobs", "event": event})
    assert (got.rule, got.stored, got.content["detail"]) == ("jobs", None, {"state": "SUCCEEDED"})
    assert got.id == one(event).id != one({**event, "id": "8"}).id


RULES = [
    {"name": "orders", "buckets": ["landing"], "prefix": "orders/", "suffix": ".csv", "dataset": "s3://landing/orders"},
    {"name": "all", "buckets": ["landing", "other"], "dag_id": "load"},
    {"name": "jobs", "dag_id": "after_job"},
]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> tuple[Rule, ...]:
    monkeypatch.setenv("RULES", json.dumps(RULES))
    return read_rules()


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (bridge_event(KEY), ["orders", "all"]),
        (notification("orders/x.txt"), ["all"]),
        (bridge_event("orders/x.csv", bucket="other"), ["all"]),
        ({"rule": "orders", "event": bridge_event("anything")}, ["orders"]),
        ({"rule": "jobs", "event": {"id": "1", "source": "s", "detail-type": "k", "detail": {}}}, ["jobs"]),
        (bridge_event(KEY, bucket="unknown"), []),
        (bridge_event(KEY, **{"detail-type": "Object Deleted"}), []),
        ({"rule": "gone", "event": bridge_event(KEY)}, []),
        ({"id": "1", "source": "s", "detail-type": "k", "detail": {}}, []),
    ],
)
def test_rules(rules: tuple[Rule, ...], event: dict[str, Any], names: list[str]) -> None:
    if names:
        assert [rule.name for rule in rules_for(one(event), rules)] == names
        return
    with pytest.raises(BadEvent) as caught:
        rules_for(one(event), rules)
    assert caught.value.reason == "no_rule"


@pytest.mark.parametrize("value", ["", "no JSON", '{"a": 1}', "[1]", '[{"dataset": "x"}]'])
def test_rules_that_are_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RULES", value)
    with pytest.raises(BadInput, match="RULES"):
        read_rules()
