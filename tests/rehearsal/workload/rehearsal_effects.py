"""What the rehearsal's tasks leave outside Airflow: one line per start and end, and signals they wait for.

The folder is Airflow's option `rehearsal.effects_dir`. Each Region appends to a file of its own; one line is one write,
so that lines of concurrent tasks do not mix.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from rehearsal_airflow import get_current_context


def effects_dir() -> Path:
    """Folder of the effects and signals."""
    return Path(conf.get_mandatory_value("rehearsal", "effects_dir"))


def region() -> str:
    """Region of the environment this task runs in."""
    return os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]


def record(kind: str, instance: Any = None, **detail: Any) -> None:
    """Append one line about the running task instance; `kind` is start, end, failed, resumed or poked."""
    ti = instance or get_current_context()["ti"]
    line = {
        "kind": kind,
        "region": region(),
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "try_number": ti.try_number,
        "at": time.time(),
        **detail,
    }
    file = os.open(effects_dir() / f"{region()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Count every start and end of a task's function outside Airflow."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        record("start")
        try:
            result = function(*args, **kwargs)
        except Exception:
            record("failed")
            raise
        record("end")
        return result

    return run


def signal_file(name: str) -> Path:
    """The file whose existence is the signal `name`."""
    return effects_dir() / "signals" / name


def wait_for(name: str, at_most_seconds: float = 1800) -> None:
    """Wait for a signal, like a task that waits for work outside Airflow."""
    deadline = time.monotonic() + at_most_seconds
    while not signal_file(name).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"signal {name} did not come within {at_most_seconds} s")
        time.sleep(0.5)
