"""Which beats are counted, and under which names they are published."""

from __future__ import annotations

from typing import Any

import boto3
from moto import mock_aws

from tests.local_aws.mwaa.airflow_versions import Airflow2, Airflow3, beats_of
from tests.local_aws.mwaa.heartbeat import BeatCounter, publish


def health(scheduler: str = "2026-01-01T00:00:00", status: str = "healthy") -> dict[str, Any]:
    return {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": status, "latest_scheduler_heartbeat": scheduler},
        "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": "2026-01-01T00:00:00"},
    }


def test_a_beat_is_counted_once() -> None:
    counter = BeatCounter(Airflow2())
    assert counter.new_beats(health()) == ["scheduler", "triggerer"]
    assert counter.new_beats(health()) == []
    assert counter.new_beats(health("2026-01-01T00:00:05")) == ["scheduler"]


def test_a_dead_scheduler_or_web_server_leaves_no_beat() -> None:
    """Failure covered: one missing datapoint is "unhealthy" (a dead scheduler sends none: there is no zero)."""
    counter = BeatCounter(Airflow2())
    assert counter.new_beats(None) == []
    assert counter.new_beats(health(status="unhealthy")) == ["triggerer"]


def test_a_dag_processor_is_watched_but_has_no_metric() -> None:
    beating = health() | {"dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": "2026-01-01T00:00"}}
    assert BeatCounter(Airflow3()).new_beats(beating) == ["scheduler", "triggerer"]
    assert all(beats_of(Airflow3(), beating).values())
    assert beats_of(Airflow3(), health())["dag_processor"] is None


@mock_aws
def test_beats_are_published_as_mwaa_names_them() -> None:
    cloudwatch = boto3.client("cloudwatch", region_name="eu-west-1")
    publish(cloudwatch, "rehearsal", ["scheduler", "triggerer"])
    found = {
        (metric["MetricName"], frozenset((d["Name"], d["Value"]) for d in metric["Dimensions"]))
        for metric in cloudwatch.list_metrics(Namespace="AmazonMWAA")["Metrics"]
    }
    assert found == {
        ("SchedulerHeartbeat", frozenset({("Environment", "rehearsal"), ("Function", "Scheduler")})),
        ("TriggerHeartbeat", frozenset({("Environment", "rehearsal"), ("Function", "Triggerer")})),
    }
