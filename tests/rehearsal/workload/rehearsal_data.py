"""DAGs by what they carry: XComs with nasty values, mapped tasks, pools, secrets."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from rehearsal_airflow import SENDS_NONE, Variable, connection, dag, task
from rehearsal_effects import counted, record, wait_for

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
NASTY = {
    "text": "line 1\r\nline 2\n\\.\n\\N\ttab 'single' \"double\" \\backslash naïve 東京 🛰",
    "empty": "",
    **({"none": None} if SENDS_NONE else {}),
    "numbers": [0, -1, 1.5, 2**53],
}


@dag(schedule=timedelta(minutes=2), start_date=LONG_AGO, catchup=False)
def nasty_xcoms() -> None:
    @task
    @counted
    def push() -> dict[str, Any]:
        return NASTY

    @task
    @counted
    def pull(value: dict[str, Any]) -> None:
        if value != NASTY:
            raise ValueError("the XCom is not what was pushed")

    pull(push())


@dag(schedule=None, start_date=LONG_AGO)
def half_done() -> None:
    """The first task is done at the cut, the second one runs: it must find the XCom of the first wherever it ends."""

    @task
    @counted
    def push() -> dict[str, Any]:
        return NASTY

    @task
    @counted
    def pull(value: dict[str, Any]) -> None:
        if value != NASTY:
            raise ValueError("the XCom is not what was pushed")
        wait_for("work_is_done")

    pull(push())


@dag(schedule=timedelta(minutes=3), start_date=LONG_AGO, catchup=False)
def mapped() -> None:
    @task
    @counted
    def parts() -> list[int]:
        return [1, 2, 3]

    @task
    @counted
    def square(part: int) -> int:
        return part * part

    @task
    @counted
    def total(squares: list[int]) -> int:
        return sum(squares)

    total(square.expand(part=parts()))


@dag(schedule=None, start_date=LONG_AGO)
def mapped_half_done() -> None:
    """At the cut one mapped instance runs and two are done."""

    @task
    @counted
    def parts() -> list[int]:
        return [1, 2, 3]

    @task
    @counted
    def wait_for_last(part: int) -> int:
        if part == 3:
            wait_for("work_is_done")
        return part

    @task
    @counted
    def total(values: list[int]) -> int:
        return sum(values)

    total(wait_for_last.expand(part=parts()))


@dag(schedule=timedelta(minutes=3), start_date=LONG_AGO, catchup=False)
def pooled() -> None:
    @task(pool="narrow")
    @counted
    def work() -> None: ...

    work()


@dag(schedule=None, start_date=LONG_AGO)
def secrets_reader() -> None:
    """Tells, by digests only, which secrets it can read."""

    @task
    @counted
    def read() -> None:
        planted = connection("planted")
        found = {
            "variable": Variable.get("planted_secret"),
            "nasty": Variable.get("planted_nasty_secret"),
            "password": planted.password or "",
            "extra": planted.extra,
        }
        record("read", digests={name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()})

    read()


nasty_xcoms()
half_done()
mapped()
mapped_half_done()
pooled()
secrets_reader()
