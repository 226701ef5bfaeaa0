"""Metrics: those that the functions publish (namespace `MwaaContinuity`, dimension `Environment`), and reading them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import aws
from mwaa_continuity.log import Log

NAMESPACE: Final = "MwaaContinuity"

UNITS: Final[Mapping[str, str]] = {
    "Healthy": "Count",
    "Unhealthy": "Count",
    "UnknownHealth": "Count",
    "EnvironmentChanging": "Count",
    "PreflightFailures": "Count",
    "StandbyInStep": "Count",
    "StandbyAgeSeconds": "Seconds",
    "SnapshotAgeSeconds": "Seconds",
    "SnapshotPortable": "Count",
    "SnapshotBytes": "Bytes",
    "SnapshotDurationSeconds": "Seconds",
    "SnapshotsKept": "Count",
    "SnapshotsKeptBytes": "Bytes",
    "SnapshotsSuperseded": "Count",
    "SnapshotsSupersededBytes": "Bytes",
    "DrillRpoSeconds": "Seconds",
    "DrillRtoSeconds": "Seconds",
    "DrillsFailed": "Count",
    "SmokeFailed": "Count",
    "AwakeHours": "None",
    "AsleepHours": "None",
    "EventsDelivered": "Count",
    "EventsRefused": "Count",
    "EventWaitSeconds": "Seconds",
}


def publish(cloudwatch: Any, environment: str, values: Mapping[str, float]) -> None:
    """Publish values of known metrics in one call."""
    dimensions = [{"Name": "Environment", "Value": environment}]
    cloudwatch.put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": UNITS[name]}
            for name, value in values.items()
        ],
    )


def try_to_publish(environment: str, values: Mapping[str, float], log: Log) -> None:
    """The same by a client of its own, for what is done or decided already: it stays so where CloudWatch is silent."""
    try:
        publish(aws.client("cloudwatch", config=aws.QUICK), environment, values)
    except (BotoCoreError, ClientError) as error:
        log.warning("not published", error=str(aws.translated(error)))


def minutes_with_data(
    cloudwatch: Any, metric: tuple[str, str], dimensions: Mapping[str, str], window: range, statistic: str
) -> set[int]:
    """Those epoch minutes of the window in which a statistic of a metric (namespace, name) is above zero."""
    answer = cloudwatch.get_metric_statistics(
        Namespace=metric[0],
        MetricName=metric[1],
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(window[0] * 60, UTC),
        EndTime=datetime.fromtimestamp((window[-1] + 1) * 60, UTC),
        Period=60,
        Statistics=[statistic],
    )
    return {int(point["Timestamp"].timestamp()) // 60 for point in answer["Datapoints"] if point[statistic] > 0}
