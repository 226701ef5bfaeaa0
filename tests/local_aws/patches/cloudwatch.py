"""Patches of moto's CloudWatch (evaluating alarms is `alarms`')."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.cloudwatch import models, responses


def composite_alarms() -> None:
    """moto keeps and describes composite alarms but has no PutCompositeAlarm. AWS has."""
    responses.CloudWatchResponse.put_composite_alarm = responses.CloudWatchResponse.put_metric_alarm


def initial_state() -> None:
    """moto creates alarms in state OK. AWS creates them in INSUFFICIENT_DATA."""
    init = models.Alarm.__init__

    def init_without_data(alarm: Any, *args: Any, **kwargs: Any) -> None:
        init(alarm, *args, **kwargs)
        alarm.state_value = "INSUFFICIENT_DATA"

    models.Alarm.__init__ = init_without_data


def statistics_periods() -> None:
    """moto's GetMetricStatistics takes metrics with further dimensions in, and starts its periods at the first value.

    AWS takes the metric of exactly these dimensions; its periods start at whole multiples of their length.
    """

    def get_metric_statistics(  # noqa: PLR0917  # moto's own parameters
        backend: Any,
        namespace: str,
        metric_name: str,
        start_time: datetime,
        end_time: datetime,
        period: int,
        stats: list[str],
        dimensions: list[dict[str, str]],
        unit: str | None = None,
    ) -> list[Any]:
        if start_time >= end_time:
            raise models.InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        wanted = sorted((d["Name"], d["Value"]) for d in dimensions or [])
        periods: dict[float, Any] = {}
        for datum in list(backend.get_all_metrics()):
            same = (datum.namespace, datum.name) == (namespace, metric_name) and unit in (None, datum.unit)
            if not same or sorted((d.name, d.value) for d in datum.dimensions) != wanted:
                continue
            if start_time <= datum.timestamp < end_time:
                start = datum.timestamp.timestamp() // period * period
                bucket = periods.setdefault(
                    start, models.Statistics(stats, datetime.fromtimestamp(start, datum.timestamp.tzinfo))
                )
                bucket.metric_data.append(datum)
                bucket.unit = datum.unit
        return [periods[start] for start in sorted(periods)]

    models.CloudWatchBackend.get_metric_statistics = get_metric_statistics


PATCHES = [composite_alarms, initial_state, statistics_periods]
