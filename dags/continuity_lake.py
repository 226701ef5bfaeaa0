"""Export run history to the metadata lake (docs/metadata-lake.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

try:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.x
    from airflow import DAG
    from airflow.operators.python import PythonOperator

from continuity.priority import UNHURRIED
from continuity.settings import lake_schedule


def export(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.exported(tasks.conf_of(context))


with DAG(
    dag_id="continuity_lake",
    description="Export run history to the metadata lake",
    schedule=lake_schedule(),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    # No retry: the next run goes on from what was exported. Nor does it go before anything else.
    PythonOperator(task_id="export", python_callable=export, retries=0, execution_timeout=UNHURRIED)
