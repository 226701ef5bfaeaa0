"""Restore a snapshot into this environment: its state, which is answered, then its history in the background."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.x
    from airflow import DAG
    from airflow.operators.python import PythonOperator

from continuity.priority import FIRST, UNHURRIED


def state(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.restored_state(tasks.conf_of(context))


def history(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.restored_history(tasks.conf_of(context))


with DAG(
    dag_id="continuity_restore",
    description="Restore a snapshot into this environment",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    # More than one: a retry must not wait, unheard, until the history of the run before is done. Locks keep them apart.
    max_active_runs=4,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    task_state = PythonOperator(
        task_id="state", python_callable=state, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
    task_state >> PythonOperator(
        task_id="history",
        python_callable=history,
        retries=3,
        retry_delay=timedelta(minutes=1),
        execution_timeout=UNHURRIED,
    )
