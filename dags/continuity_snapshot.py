"""Take a snapshot of this environment, then read it back (docs/architecture.md, "Metadata DAGs")."""

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


def snapshot(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.snapshot(tasks.conf_of(context))


def verify(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.verified(tasks.conf_of(context))


with DAG(
    dag_id="continuity_snapshot",
    description="Take a snapshot of this environment",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    task_snapshot = PythonOperator(
        task_id="snapshot", python_callable=snapshot, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
    task_snapshot >> PythonOperator(
        task_id="verify", python_callable=verify, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
