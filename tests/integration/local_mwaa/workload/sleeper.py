"""A DAG whose task is still running when its environment is lost."""

from __future__ import annotations

import time
from datetime import datetime

from airflow.decorators import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def sleeper() -> None:
    """One long task."""

    @task
    def sleep() -> None:
        time.sleep(600)

    sleep()


sleeper()
