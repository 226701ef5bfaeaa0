"""Runs metadata DAGs in the real Airflow, against a database of a test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.engine.conftest import ROOT, airflow_bin
from tests.integration.engine.worker import Side

REGION = "us-east-1"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

RUN = """
import json, os, sys
sys.path.append(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])  # Airflow 2 does it itself
from importlib.util import find_spec
from airflow.models import DagBag
if find_spec("airflow.dag_processing.bundles"):
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    DagBundlesManager().sync_bundles_to_db()  # the first thing that the DAG processor of Airflow 3 does
bag = DagBag()
for dag_id, conf in json.loads(sys.argv[1]):
    run = bag.dags[dag_id].test(run_conf=conf)
    print("\\n" + json.dumps({"dag_id": dag_id, "state": str(run.state.value), "returned": {
        i.task_id: i.xcom_pull(task_ids=i.task_id) for i in run.get_task_instances()}}))
"""


class Environment:
    """A database and a DAG folder with the metadata DAGs, as the installed Airflow sees them."""

    def __init__(self, side: Side, folder: Path) -> None:
        self.side, self.folder = side, folder
        self.log = ""
        shutil.copytree(ROOT / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__", "settings.*.json"))
        settings = {
            "environment": side.environment,
            "region": REGION,
            "snapshot_bucket": side.bucket,
            "kms_key": side.kms_key,
            "lease_table": "lease",
            **side.settings,
        }
        (folder / f"dags/continuity/settings.{REGION}.json").write_text(json.dumps(settings))

    def run(self, *orders: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Run DAGs with their conf, one after the other; without any, only do what Airflow does before the first."""
        done = self.python(RUN, json.dumps(orders))
        return [json.loads(line) for line in done.splitlines() if line.startswith('{"dag_id"')]

    def python(self, *arguments: str) -> str:
        """What Airflow's Python prints for some code and its arguments."""
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AIRFLOW", "PYTHON"))}
        url = self.side.dsn.replace("postgresql://", "postgresql+psycopg2://")
        environment = {
            **inherited,
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": self.side.fernet_key,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}",
            "COLUMNS": "500",  # Airflow 3.0 breaks the lines of an exception
        }
        command = [str(airflow_bin(self.side.airflow_version).with_name("python")), "-c", *arguments]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        self.log = COLOURS.sub("", done.stdout + done.stderr)
        assert self.side.fernet_key not in self.log
        return done.stdout
