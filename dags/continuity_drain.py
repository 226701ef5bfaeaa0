"""Pause every DAG and wait until nothing executes (docs/architecture.md, "Hibernation")."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

try:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.x
    from airflow import DAG
    from airflow.operators.python import PythonOperator

from continuity.priority import FIRST, UNHURRIED


def drain(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.drained(tasks.conf_of(context))


with DAG(
    dag_id="continuity_drain",
    description="Pause every DAG and wait until nothing executes",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    PythonOperator(
        task_id="drain", python_callable=drain, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
