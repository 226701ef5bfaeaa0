"""Look at an environment that a drill restored (docs/architecture.md, "Drill")."""

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


def drill(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.drilled(tasks.conf_of(context))


with DAG(
    dag_id="continuity_drill",
    description="Count what a drill restored, and see that nothing of it acts",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    PythonOperator(
        task_id="drill", python_callable=drill, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
