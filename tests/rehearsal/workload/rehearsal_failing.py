"""DAGs that fail: for good, once, and waiting for their retry at the cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rehearsal_airflow import dag, get_current_context, task
from rehearsal_effects import counted

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@dag(schedule=None, start_date=LONG_AGO)
def failing() -> None:
    @task
    @counted
    def work() -> None:
        raise RuntimeError("this task always fails")

    work()


@dag(schedule=None, start_date=LONG_AGO)
def exhausted() -> None:
    @task(retries=2, retry_delay=timedelta(seconds=2))
    @counted
    def work() -> None:
        raise RuntimeError("this task fails at every try")

    work()


@dag(schedule=None, start_date=LONG_AGO)
def second_try() -> None:
    """Fails once; the second try is due when the Region is gone."""

    @task(retries=3, retry_delay=timedelta(seconds=150))
    @counted
    def work() -> None:
        if get_current_context()["ti"].try_number == 1:
            raise RuntimeError("the first try fails")

    work()


failing()
exhausted()
second_try()
