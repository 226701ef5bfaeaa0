"""Probes of the patches of cloudwatch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.local_aws.probes.inside import client


def _alarm(name: str) -> None:
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="n",
        MetricName="m",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
    )


def composite_alarms() -> Any:
    _alarm("one")
    client("cloudwatch").put_composite_alarm(AlarmName="both", AlarmRule='ALARM("one")')
    found = client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    return [alarm["AlarmName"] for alarm in found]


def initial_state() -> Any:
    _alarm("one")
    return client("cloudwatch").describe_alarms()["MetricAlarms"][0]["StateValue"]


def statistics_periods() -> Any:
    one, two = {"Name": "Environment", "Value": "e"}, {"Name": "Function", "Value": "f"}
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    metrics = client("cloudwatch")
    for dimensions, seconds in (([one, two], 50), ([one, two], 70), ([one], 50)):
        datum = {"MetricName": "m", "Dimensions": dimensions, "Value": 1}
        metrics.put_metric_data(Namespace="n", MetricData=[{**datum, "Timestamp": minute + timedelta(seconds=seconds)}])
    found = metrics.get_metric_statistics(
        Namespace="n",
        MetricName="m",
        Dimensions=[one],
        StartTime=minute,
        EndTime=minute + timedelta(minutes=4),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return [[point["Sum"], point["Timestamp"].second] for point in found]
