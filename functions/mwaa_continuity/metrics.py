"""Metrics that the functions publish: namespace `MwaaContinuity`, dimension `Environment`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NAMESPACE: Final = "MwaaContinuity"

UNITS: Final[Mapping[str, str]] = {
    "Healthy": "Count",
    "Unhealthy": "Count",
    "UnknownHealth": "Count",
    "SnapshotAgeSeconds": "Seconds",
    "SnapshotBytes": "Bytes",
    "SnapshotDurationSeconds": "Seconds",
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
