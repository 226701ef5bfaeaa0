"""Delete old history that a verified base holds (docs/architecture.md, "Metadata DAGs")."""

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
from continuity.settings import prune_schedule


def prune(**context: Any) -> dict[str, Any]:
    from continuity import tasks

    return tasks.pruned(tasks.conf_of(context))


with DAG(
    dag_id="continuity_prune",
    description="Delete old history that a verified base holds",
    schedule=prune_schedule(),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["continuity"],
):
    # No retry: the next run goes on from what is left.
    PythonOperator(
        task_id="prune", python_callable=prune, retries=0, priority_weight=FIRST, execution_timeout=UNHURRIED
    )
