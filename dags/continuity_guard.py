"""Pause this Region's DAGs while it may not act, and give them back (docs/architecture.md, "Fencing")."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.x
    from airflow import DAG
    from airflow.operators.python import PythonOperator

from continuity.priority import FIRST, GUARD_SECONDS, GUARD_TIMEOUT


def guard() -> dict[str, Any]:
    from continuity import tasks

    return tasks.guard()


with DAG(
    dag_id="continuity_guard",
    description="Pause this Region's DAGs while another Region holds the lease, or may hold it unseen",
    schedule=timedelta(seconds=GUARD_SECONDS),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=3),
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    # No retry: the next minute is one. Where slots are short it goes first: what it waits behind should not be running.
    PythonOperator(
        task_id="guard",
        python_callable=guard,
        retries=0,
        execution_timeout=GUARD_TIMEOUT,
        priority_weight=FIRST,
    )
