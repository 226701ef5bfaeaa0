"""The smoke run after a resume: one run of a DAG of the users' own shows that what came back works."""

from __future__ import annotations

import time

from mwaa_continuity import dag_runs, events, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.errors import DagNotReady, DagRunIsOver
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings

RUNNING, LATE, NOT_READY = "running", "late", "not_ready"
#: States in which it is asked for again.
UNFINISHED = (RUNNING, NOT_READY)


def smoke(event: Event, log: Log) -> Result:
    """Start the run where it is not there yet, and say how it is: `running`, `not_ready`, `success`, `failed`, `late`.

    Asked until it has ended, or the deadline is over. That one failed undoes nothing. Publishes `SmokeFailed` at the
    end.
    """
    settings = Settings.read()
    dag_id = events.text(event, "dag_id", "the id of a DAG")
    since = events.needed_instant(event, "waiting_since")
    deadline = events.number(event, "deadline_seconds", low=1, high=86400)
    run_id = f"smoke__{events.request_id(event)}"
    state, why = state_of(settings.environment, dag_id, run_id)
    seconds = round(time.time() - since.timestamp())
    if state in UNFINISHED and seconds >= deadline:
        why = f", {state} after {seconds} s" + (f": {why}" if why else "")
        state = LATE
    if state not in UNFINISHED:
        metrics.try_to_publish(settings.environment, {"SmokeFailed": float(state != "success")}, log)
    log.info("smoke", dag_id=dag_id, run_id=run_id, outcome=state, why=why)
    return {"state": state, "why": why, "run_id": run_id, "seconds": seconds}


def state_of(environment: str, dag_id: str, run_id: str) -> tuple[str, str]:
    """The state of the run, which is started where it is not there, and why where it is not ready."""
    api = dag_runs.rest_api(environment)
    problem = api.dag_problem(dag_id)
    if problem:
        return NOT_READY, problem
    try:
        api.start_dag(dag_id, run_id, {})
    except DagNotReady as error:
        return NOT_READY, str(error)
    except DagRunIsOver:
        return ("success" if api.has_run(dag_id, run_id, "success") else "failed"), ""
    return RUNNING, ""
