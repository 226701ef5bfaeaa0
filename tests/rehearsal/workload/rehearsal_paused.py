"""DAGs that are paused at the cut: one that never ran, one that was stopped after it ran."""

from __future__ import annotations

from datetime import UTC, datetime

from rehearsal_airflow import dag, task
from rehearsal_effects import counted

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@dag(schedule="* * * * *", start_date=LONG_AGO, catchup=False, is_paused_upon_creation=True)
def dormant() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


@dag(schedule="* * * * *", start_date=LONG_AGO, catchup=True, is_paused_upon_creation=True, max_active_runs=1)
def stopped() -> None:
    """Would have decades of minutes to catch up, were it not paused after its first runs."""

    @task
    @counted
    def work() -> None: ...

    work()


dormant()
stopped()
