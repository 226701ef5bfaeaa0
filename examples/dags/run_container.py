"""Run a container on Fargate for one day, with the command and the environment of this run; no worker waits for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from workload_settings import dag, fargate


@dag(schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, params={"day": "2026-01-31"})
def run_container() -> None:
    EcsRunTaskOperator(
        task_id="report",
        **fargate("report"),
        overrides={
            "containerOverrides": [
                {
                    "name": "report",
                    "command": ["report", "--day", "{{ params.day }}"],
                    "environment": [{"name": "AIRFLOW_RUN_ID", "value": "{{ run_id }}"}],
                }
            ]
        },
        propagate_tags="TASK_DEFINITION",  # what a run costs is told by the tags of its definition
        deferrable=True,
        reattach=True,  # a task that is tried again finds the container that runs already
        waiter_delay=15,
        retries=2,
        retry_delay=timedelta(minutes=1),
        execution_timeout=timedelta(hours=2),
    )


run_container()
