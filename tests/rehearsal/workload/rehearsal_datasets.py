"""DAGs driven by datasets, which Airflow 3 calls assets: a consumer that waits for two of which one has arrived, and a
pair that ticks along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rehearsal_airflow import Asset, dag, task
from rehearsal_effects import counted

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
LEFT = Asset("s3://rehearsal/left")
RIGHT = Asset("s3://rehearsal/right")
TICK = Asset("s3://rehearsal/tick?with=query&and=%C3%BC")


@dag(schedule=None, start_date=LONG_AGO)
def left() -> None:
    @task(outlets=[LEFT])
    @counted
    def produce() -> None: ...

    produce()


@dag(schedule=None, start_date=LONG_AGO)
def right() -> None:
    @task(outlets=[RIGHT])
    @counted
    def produce() -> None: ...

    produce()


@dag(schedule=[LEFT, RIGHT], start_date=LONG_AGO)
def both() -> None:
    @task
    @counted
    def consume() -> None: ...

    consume()


@dag(schedule=timedelta(minutes=2), start_date=LONG_AGO, catchup=False)
def tick() -> None:
    @task(outlets=[TICK])
    @counted
    def produce() -> None: ...

    produce()


@dag(schedule=[TICK], start_date=LONG_AGO)
def tock() -> None:
    @task
    @counted
    def consume() -> None: ...

    consume()


left()
right()
both()
tick()
tock()
