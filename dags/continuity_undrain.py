"""Bring back the paused flags that a drain changed (docs/architecture.md, "Hibernation")."""

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


def undrain(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.undrained(tasks.conf_of(context))


with DAG(
    dag_id="continuity_undrain",
    description="Bring back the paused flags that a drain changed",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    PythonOperator(
        task_id="undrain", python_callable=undrain, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
