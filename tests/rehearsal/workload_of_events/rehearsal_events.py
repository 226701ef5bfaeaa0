"""DAGs that events start: by a dataset (Airflow 3: asset) that no task writes, and by a run of their own."""

from __future__ import annotations

from datetime import UTC, datetime

from rehearsal_airflow import Asset, dag, task
from rehearsal_effects import counted

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
ORDERS = Asset("s3://rehearsal-landing/orders")


@dag(schedule=[ORDERS], start_date=LONG_AGO)
def orders_arrived() -> None:
    @task
    @counted
    def consume() -> None: ...

    consume()


@dag(schedule=None, start_date=LONG_AGO)
def load() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


orders_arrived()
load()
