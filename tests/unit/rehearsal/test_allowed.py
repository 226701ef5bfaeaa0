"""What the comparison lets differ, value by value, where no dump of the comparator's own tests has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rehearsal.comparator.allowed import Context, judge

CONTEXT = Context("state", in_flight={"not_again": "fail"})


def row(state: str, span: str = "active", dag_id: str = "long_task", **more: Any) -> dict[str, Any]:
    return {"dag_id": dag_id, "state": state, "span_status": span, **more}


@pytest.mark.parametrize(
    ("table", "source", "restored"),
    [
        ("dag_run", row("running"), "needs_continuance"),
        ("dag_run", row("queued", dag_id="not_again"), "needs_continuance"),
        ("dag_run", row("running", "not_started"), "not_started"),
        ("dag_run", row("success"), "active"),
        ("dag_run", row("failed", "ended"), "ended"),
        ("task_instance", row("running", task_id="work"), "needs_continuance"),
        ("task_instance", row("up_for_retry", task_id="work"), "needs_continuance"),
        ("task_instance", row("running", dag_id="not_again", task_id="work"), "active"),
        ("task_instance", row("skipped", task_id="work"), "active"),
    ],
)
def test_spans_under_way_are_to_be_continued(table: str, source: dict[str, Any], restored: str) -> None:
    """Failure covered: the scheduler of Airflow 3.0 stops at an active span of a scheduler it does not know."""
    others = {"active", "needs_continuance", "not_started", "ended"} - {restored}
    assert judge(table, "span_status", source, restored, CONTEXT)
    assert [value for value in others if judge(table, "span_status", source, value, CONTEXT)] == []
