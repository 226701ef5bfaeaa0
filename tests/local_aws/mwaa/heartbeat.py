"""The beats of scheduler and triggerer as MWAA publishes them: counters, so an outage is missing data, not a zero."""

from __future__ import annotations

from typing import Any

from tests.local_aws.mwaa.airflow_versions import AirflowMajor, beats_of

NAMESPACE = "AmazonMWAA"
#: Component -> metric and value of dimension `Function`.
METRICS = {"scheduler": ("SchedulerHeartbeat", "Scheduler"), "triggerer": ("TriggerHeartbeat", "Triggerer")}


class BeatCounter:
    """Tells which components have beaten since the last look at the health page."""

    def __init__(self, major: AirflowMajor) -> None:
        self._major = major
        self._last: dict[str, str] = {}

    def new_beats(self, health: dict[str, Any] | None) -> list[str]:
        """Components with a metric that are healthy and whose latest beat is another than before."""
        beats = beats_of(self._major, health) if health else {}
        new = [name for name, beat in beats.items() if name in METRICS and beat and self._last.get(name) != beat]
        self._last.update({name: beat for name, beat in beats.items() if beat})
        return new


def publish(cloudwatch: Any, environment: str, components: list[str]) -> None:
    """Put one count per component; the environment's execution role must be allowed to."""
    data = []
    for component in components:
        metric, function = METRICS[component]
        dimensions = [{"Name": "Function", "Value": function}, {"Name": "Environment", "Value": environment}]
        data.append({"MetricName": metric, "Dimensions": dimensions, "Value": 1.0, "Unit": "Count"})
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
