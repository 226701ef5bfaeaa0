"""DAGs driven by datasets: a consumer that waits for two of which one has arrived, and a pair that ticks along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.datasets import Dataset
from airflow.decorators import dag, task
from rehearsal_effects import counted

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
LEFT = Dataset("s3://rehearsal/left")
RIGHT = Dataset("s3://rehearsal/right")
TICK = Dataset("s3://rehearsal/tick?with=query&and=%C3%BC")


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
