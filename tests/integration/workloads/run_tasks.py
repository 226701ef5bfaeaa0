"""Runs tasks of DAG files as a worker would, without a scheduler: `run_tasks.py DAGS`, under an Airflow's own Python.

Reads from standard input a JSON list of `{"dag", "task", "params"?}`, and runs the tasks in this order; what one
returns the others of its DAG can pull. Writes to standard output, on one line,
`{"errors": import errors, "dags": dag ids, "tasks": what became of each}`.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from airflow.exceptions import TaskDeferred
from airflow.models import DagBag

RUN_ID = "manual__2026-02-01"


class Instance(SimpleNamespace):
    """What operators ask of their task instance."""

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        """Keep a value."""
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str, **_: Any) -> Any:
        """What another task returned."""
        return self.xcoms[task_ids]


def run(bag: DagBag, asked: dict[str, Any], xcoms: dict[str, Any]) -> dict[str, Any]:
    """What became of one task: what it returned, or the trigger that it waits for."""
    dag = bag.dags[asked["dag"]]
    task = dag.get_task(asked["task"]).prepare_for_execution()  # a copy, as every try has one
    key = SimpleNamespace(primary=(dag.dag_id, task.task_id, RUN_ID, -1))
    ti = Instance(
        dag_id=dag.dag_id,
        task_id=task.task_id,
        run_id=RUN_ID,
        map_index=-1,
        try_number=1,
        key=key,
        task=task,
        pushed={},
        xcoms=xcoms,
    )
    params = {**{name: dag.params[name] for name in dag.params}, **asked.get("params", {})}
    context: Any = {"ti": ti, "task_instance": ti, "dag": dag, "task": task, "run_id": RUN_ID, "params": params}
    task.render_template_fields(context)
    try:
        xcoms[task.task_id] = task.execute(context)
        return {"returned": xcoms[task.task_id]}
    except TaskDeferred as deferred:
        path, arguments = deferred.trigger.serialize()
        return {"trigger": path, "arguments": arguments}
    except Exception as error:  # noqa: BLE001 -- whatever it is, the test is told
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Import every DAG file below the folder, and run what is asked for."""
    folder = sys.argv[1]
    sys.path.append(folder)  # Airflow 2 does it itself, in Airflow 3 the DAG processor does
    bag = DagBag(folder)
    xcoms: dict[str, dict[str, Any]] = {dag_id: {} for dag_id in bag.dags}
    tasks = [run(bag, asked, xcoms[asked["dag"]]) for asked in json.load(sys.stdin)]
    print("\n" + json.dumps({"errors": bag.import_errors, "dags": sorted(bag.dags), "tasks": tasks}, default=str))


if __name__ == "__main__":
    main()
