"""What is published is shown."""

from __future__ import annotations

import re
from pathlib import Path

from mwaa_continuity import metrics

DASHBOARD = Path(__file__).resolve().parents[3] / "modules/observability/main.dashboard.tf"


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    """Failure covered: a metric nobody sees, or a graph that stays empty since a metric got another name."""
    text = DASHBOARD.read_text()
    lists = re.findall(r'metrics += \["(\w+"(?:, "\w+")*)\]', text)
    shown = {name for one in lists for name in re.findall(r"\w+", one)}
    shown |= set(re.findall(r'"MwaaContinuity", "(\w+)"', text))
    assert shown == set(metrics.UNITS)
