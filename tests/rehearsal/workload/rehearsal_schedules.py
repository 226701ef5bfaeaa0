"""DAGs by schedule: short intervals, cron, catch-up done and not yet done, depends-on-past, unpaused by themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from rehearsal_airflow import dag, task
from rehearsal_effects import counted

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@dag(schedule="* * * * *", start_date=LONG_AGO, catchup=False)
def every_minute() -> None:
    @task
    @counted
    def first() -> None: ...

    @task
    @counted
    def second() -> None: ...

    first() >> second()


@dag(schedule=timedelta(minutes=2), start_date=LONG_AGO, catchup=False)
def every_two_minutes() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


@dag(schedule="*/3 * * * *", start_date=LONG_AGO, catchup=False)
def every_three_minutes() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


@dag(schedule="0 * * * *", start_date=LONG_AGO, catchup=False)
def hourly() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


@dag(schedule="@daily", start_date=LONG_AGO, end_date=LONG_AGO + timedelta(days=4), catchup=True, max_active_runs=2)
def caught_up() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


@dag(schedule="@daily", start_date=LONG_AGO, end_date=LONG_AGO + timedelta(days=24), catchup=True, max_active_runs=1)
def catching_up() -> None:
    """One run after the other, slowly: the cut falls in the middle of its past."""

    @task
    @counted
    def work() -> None:
        time.sleep(8)

    work()


@dag(schedule=timedelta(minutes=2), start_date=LONG_AGO, catchup=False, max_active_runs=1)
def after_itself() -> None:
    @task(depends_on_past=True, wait_for_downstream=True)
    @counted
    def work() -> None: ...

    work()


@dag(
    schedule="@daily",
    start_date=LONG_AGO,
    end_date=LONG_AGO + timedelta(days=5),
    catchup=True,
    max_active_runs=3,
    is_paused_upon_creation=False,
)
def eager() -> None:
    """Runs its whole past as soon as it is parsed, unless it is known that it already has."""

    @task
    @counted
    def work() -> None: ...

    work()


every_minute()
every_two_minutes()
every_three_minutes()
hourly()
caught_up()
catching_up()
after_itself()
eager()
