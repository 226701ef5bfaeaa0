"""The numbers of a dashboard are read as it names them, and one that nobody publishes is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.rehearsal import dashboard
from tests.rehearsal.dashboard import Graph, Shown

GRAPHS = [
    [["MwaaContinuity", "Healthy", "Environment", "e", {"stat": "Maximum"}], ["MwaaContinuity", "DrillsFailed"]],
    [["AmazonMWAA", "SchedulerHeartbeat"], [{"expression": "a / b"}]],
    [["MwaaContinuity", "AwakeHours", "Environment", "e", {"stat": "Sum"}]],
    [["MwaaContinuity", "AwakeHours", "Environment", "e", {"stat": "Sum", "id": "awake", "visible": False}]],
]
BODY = json.dumps(
    {"widgets": [{"type": "text", "properties": {"markdown": "x"}}, *({"properties": {"metrics": m}} for m in GRAPHS)]}
)


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("cloudwatch", "us-west-2")


def test_only_our_own_metrics_are_looked_at_each_once() -> None:
    of_e = (("Environment", "e"),)
    assert dashboard.graphs_of(BODY) == [
        Graph("Healthy", of_e, "Maximum"),
        Graph("DrillsFailed", (), "Average"),
        Graph("AwakeHours", of_e, "Sum"),
    ]


def test_numbers_are_those_of_the_environment_by_the_statistic_that_is_named(cloudwatch: Any) -> None:
    cloudwatch.put_dashboard(DashboardName="d", DashboardBody=BODY)
    for metric, environment, value in (("Healthy", "e", 1), ("Healthy", "e", 0), ("Healthy", "other", 7)):
        _publish(cloudwatch, metric, environment, value)
    for value in (0.5, 0.25):
        _publish(cloudwatch, "AwakeHours", "e", value)
    assert dashboard.read(cloudwatch, "d") == [
        Shown("Healthy", "Maximum", 1.0),
        Shown("DrillsFailed", "Average", None),
        Shown("AwakeHours", "Sum", 0.75),
    ]


def test_a_graph_that_stays_empty_fails() -> None:
    """Failure covered: the dashboard names a metric that nobody publishes."""
    shown = [Shown("Healthy", "Maximum", 0.0), Shown("DrillsFailed", "Sum", None)]
    assert dashboard.is_published(shown, {"DrillsFailed"}).passed
    check = dashboard.is_published(shown, set())
    assert (check.passed, check.detail) == (False, "never published: DrillsFailed")
    assert not dashboard.is_published([], set()).passed, "a dashboard that names nothing"


def _publish(cloudwatch: Any, metric: str, environment: str, value: float) -> None:
    dimensions = [{"Name": "Environment", "Value": environment}]
    data = [{"MetricName": metric, "Dimensions": dimensions, "Value": value}]
    cloudwatch.put_metric_data(Namespace="MwaaContinuity", MetricData=data)
