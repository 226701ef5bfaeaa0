"""What the dashboard of a Region shows: every metric of our own that it names, and its number over the whole run."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.rehearsal.checks import NAMESPACE, show
from tests.rehearsal.report import Check

#: Longer than any rehearsal.
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Graph:
    """One metric of a dashboard: its name, its dimensions, and by which statistic it is shown."""

    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str


@dataclass(frozen=True)
class Shown:
    """What a graph came to; None: nobody published it."""

    metric: str
    statistic: str
    value: float | None


def graphs_of(body: str) -> list[Graph]:
    """Those of our own namespace; those of AWS's are AWS's to publish."""
    found: dict[Graph, None] = {}
    for widget in json.loads(body)["widgets"]:
        for row in widget["properties"].get("metrics", []):
            if row[0] == NAMESPACE:
                names = [part for part in row[2:] if isinstance(part, str)]
                options = row[-1] if isinstance(row[-1], dict) else {}
                dimensions = tuple(zip(names[::2], names[1::2], strict=True))
                found[Graph(row[1], dimensions, options.get("stat", "Average"))] = None
    return list(found)


def read(cloudwatch: Any, name: str) -> list[Shown]:
    """What a dashboard shows of the last day."""
    body = str(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    now = datetime.now(UTC)
    shown = []
    for graph in graphs_of(body):
        answer = cloudwatch.get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=graph.metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in graph.dimensions],
            StartTime=now - DAY,
            EndTime=now + timedelta(minutes=1),
            Period=2 * int(DAY.total_seconds()),  # one number
            Statistics=[graph.statistic],
        )
        points = [float(point[graph.statistic]) for point in answer["Datapoints"]]
        shown.append(Shown(graph.metric, graph.statistic, points[0] if points else None))
    return shown


def is_published(shown: Sequence[Shown], not_here: Collection[str]) -> Check:
    """Every metric that the dashboard names was published, but for those of operations that the scenario has not."""
    wanted = [graph for graph in shown if graph.metric not in not_here]
    missing = [graph.metric for graph in wanted if graph.value is None]
    detail = f"never published: {show(missing)}" if missing else f"{len(wanted)} of {len(shown)} named"
    return Check("every metric of the dashboard was published", bool(wanted) and not missing, detail)
