"""The DAG files under the real Airflow."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.integration.engine.conftest import ROOT, airflow_bin
from tests.postgres import Cluster

REPORT = """
import json, sys
sys.path.append(sys.argv[1])  # Airflow 2 does it itself, in Airflow 3 the DAG processor does
from airflow.models import DagBag
bag = DagBag(sys.argv[1])
dags = {
    dag.dag_id: {
        "paused": dag.is_paused_upon_creation,
        "catchup": dag.catchup,
        "runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "tasks": dag.task_ids,
        "weights": [task.priority_weight for task in dag.tasks],
        "retries": [task.retries for task in dag.tasks],
    }
    for dag in bag.dags.values()
}
print("\\n" + json.dumps({"errors": bag.import_errors, "dags": dags, "files": sorted(bag.file_last_changed)}))
"""


def test_airflow_parses_the_metadata_dags_and_nothing_else(
    cluster: Cluster, airflow_version: str, template: str, tmp_path: Path
) -> None:
    """Failure covered: the DAG is triggered before it is parsed: it must parse without settings, database or AWS; a
    retried restore queues behind the history of the one before, and sends no heartbeat."""
    cluster.create("dag_files", template=template)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS", "PYTHON"))},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": cluster.url("dag_files"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(airflow_bin(airflow_version).with_name("python")), "-c", REPORT, str(ROOT / "dags")]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["errors"] == {}
    own = ("snapshot", "restore", "go_live", "beat", "guard", "prune", "drain", "undrain", "drill", "lake")
    names = {f"continuity_{name}" for name in own}
    assert set(report["dags"]) == names
    assert {Path(file).stem for file in report["files"]} == names, "the engine's modules are no DAG files"
    many = {"continuity_restore", "continuity_go_live", "continuity_drill"}
    assert {name: dag["runs"] for name, dag in report["dags"].items()} == {n: 4 if n in many else 1 for n in names}
    for name, dag in report["dags"].items():
        assert dag["paused"] is False
        assert dag["catchup"] is False
        first = name != "continuity_lake"
        assert dag["weights"][0] == (1_000_000 if first else 1), (
            "where slots are short, ours go first; analysis can wait"
        )
        assert dag["tags"] == ["continuity"]
    assert report["dags"]["continuity_snapshot"]["tasks"] == ["snapshot", "verify"]
    assert report["dags"]["continuity_restore"]["tasks"] == ["state", "history"]
    assert report["dags"]["continuity_restore"]["retries"] == [0, 3]
    cluster.drop("dag_files")
