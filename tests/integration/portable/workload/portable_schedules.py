"""DAGs without processes of their own: what matters is which runs there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

try:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.operators.empty import EmptyOperator

SCHEDULES = {
    "portable_catchup": {"schedule": "@monthly", "catchup": True, "start_date": datetime(2026, 1, 1, tzinfo=UTC)},
    "portable_no_catchup": {
        "schedule": timedelta(seconds=20),
        "catchup": False,
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    },
    "portable_manual": {"schedule": None, "catchup": False, "start_date": datetime(2026, 1, 1, tzinfo=UTC)},
    "portable_paused": {"schedule": "@monthly", "catchup": True, "start_date": datetime(2026, 1, 1, tzinfo=UTC)},
}

for dag_id, how in SCHEDULES.items():
    with DAG(dag_id, max_active_runs=20, **how):
        EmptyOperator(task_id="nothing")
