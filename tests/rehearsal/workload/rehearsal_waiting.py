"""DAGs that wait: deferred, rescheduled, and in flight at the cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rehearsal_airflow import BaseOperator, DateTimeTrigger, FileTrigger, PokeReturnValue, dag, task
from rehearsal_effects import counted, record, signal_file, wait_for

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


class WaitUntil(BaseOperator):
    """Deferred for some seconds."""

    def __init__(self, *, seconds: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds

    def execute(self, context: Any) -> None:
        record("start", context["ti"])
        moment = datetime.now(UTC) + timedelta(seconds=self.seconds)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume", kwargs={"asked": self.seconds})

    def resume(self, context: Any, event: Any, asked: float) -> None:
        record("resumed", context["ti"], event=str(event), asked=asked)


class WaitForSignal(BaseOperator):
    """Deferred until something outside Airflow is done, as with an external job that must not be submitted twice."""

    def __init__(self, *, signal: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signal = signal

    def execute(self, context: Any) -> None:
        record("start", context["ti"])
        trigger = FileTrigger(filepath=str(signal_file(self.signal)), poke_interval=2.0)
        self.defer(trigger=trigger, method_name="resume", kwargs={"job": "job-4711\n\\N"}, timeout=timedelta(hours=1))

    def resume(self, context: Any, event: Any, job: str) -> None:
        record("resumed", context["ti"], event=str(event), job=job)


@dag(schedule=timedelta(minutes=2), start_date=LONG_AGO, catchup=False)
def short_wait() -> None:
    WaitUntil(task_id="wait", seconds=5)


@dag(schedule=None, start_date=LONG_AGO)
def alarm_clock() -> None:
    """Its moment passes while no Region is there."""
    WaitUntil(task_id="wait", seconds=120)


@dag(schedule=None, start_date=LONG_AGO)
def external_job() -> None:
    WaitForSignal(task_id="wait", signal="external_job_is_done")


@dag(schedule=None, start_date=LONG_AGO)
def poking() -> None:
    @task.sensor(mode="reschedule", poke_interval=15, timeout=3600)
    def poke() -> PokeReturnValue:
        record("poked")
        return PokeReturnValue(is_done=signal_file("file_has_come").exists())

    poke()


@dag(schedule=None, start_date=LONG_AGO)
def long_task() -> None:
    @task
    @counted
    def before() -> None: ...

    @task
    @counted
    def work() -> None:
        wait_for("work_is_done")

    @task
    @counted
    def after() -> None: ...

    before() >> work() >> after()


@dag(schedule=None, start_date=LONG_AGO)
def not_again() -> None:
    """In flight at the cut, with the policy `fail`: it must not run again."""

    @task
    @counted
    def work() -> None:
        wait_for("work_is_done")

    work()


short_wait()
alarm_clock()
external_job()
poking()
long_task()
not_again()
