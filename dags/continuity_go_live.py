"""Unpause what was unpaused at the cut, once the DAGs are parsed."""

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


def go_live(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.gone_live(tasks.conf_of(context))


with DAG(
    dag_id="continuity_go_live",
    description="Unpause what was unpaused at the cut, once the DAGs are parsed",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,  # see continuity_restore
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    PythonOperator(
        task_id="go_live", python_callable=go_live, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
