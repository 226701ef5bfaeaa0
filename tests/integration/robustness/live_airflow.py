"""A real Airflow with the metadata DAGs, which a snapshot is taken of or restored into."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mwaa_continuity import visibility
from tests.integration.engine.conftest import ROOT
from tests.integration.engine.dag_runs import REGION
from tests.integration.engine.oracle import ask
from tests.integration.engine.worker import Side
from tests.local_aws.mwaa.airflow_versions import major_of
from tests.local_aws.mwaa.runner import AirflowRunner, AirflowSettings
from tests.waiting import until


@dataclass
class LiveAirflow:
    """An environment: its database, its folder, its configuration, and what ended of it by itself."""

    side: Side
    folder: Path
    options: dict[str, str]
    deaths: list[dict[str, Any]] = field(default_factory=list)

    @property
    def major(self) -> int:
        return int(self.side.airflow_version.split(".", maxsplit=1)[0])

    @property
    def dags(self) -> Path:
        return self.folder / "dags"

    @property
    def witness(self) -> Path:
        """Where DAG files leave a mark when they are imported, and their tasks when they act."""
        return self.folder / "witness"

    def marks(self, what: str) -> set[str]:
        return {path.stem for path in self.witness.glob(f"*.{what}")}

    def prepare(self) -> None:
        """A DAG folder with the metadata DAGs in it."""
        shutil.copytree(ROOT / "dags", self.dags, ignore=shutil.ignore_patterns("__pycache__", "settings.*.json"))
        settings = {
            "environment": self.side.environment,
            "region": REGION,
            "snapshot_bucket": self.side.bucket,
            "kms_key": self.side.kms_key,
            "lease_table": "lease",
        }
        (self.dags / f"continuity/settings.{REGION}.json").write_text(json.dumps(settings))

    def hide(self) -> None:
        """Hide all other DAGs as a failover does; it reveals them by deleting the file."""
        self.ignore_file.write_text(visibility.ignore_file(self.side.airflow_version, self.options))

    @property
    def ignore_file(self) -> Path:
        return self.dags / ".airflowignore"

    @contextmanager
    def running(self) -> Iterator[AirflowRunner]:
        runner = AirflowRunner(self._settings(), self.deaths.append)
        try:
            runner.start(lambda: True)
            yield runner
        finally:
            runner.kill()

    def _settings(self) -> AirflowSettings:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL")
        return AirflowSettings(
            major=major_of(self.side.airflow_version),
            bin_dir=ROOT / f"build/airflow/{self.side.airflow_version}/bin",
            folder=self.folder,
            database_url=self.side.dsn.replace("postgresql://", "postgresql+psycopg2://"),
            fernet_key=self.side.fernet_key,
            environment={
                **{name: os.environ[name] for name in names},
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "WITNESS": str(self.witness),
            },
            options=self.options,
        )

    def trigger(self, runner: AirflowRunner, dag_id: str, **conf: Any) -> str:
        """Start a run by the REST API; returns its id."""
        run_id = f"by_hand__{time.monotonic_ns()}"
        body = {"dag_run_id": run_id, "conf": conf, **({"logical_date": None} if self.major > 2 else {})}
        self.call(runner, "POST", f"/dags/{dag_id}/dagRuns", body)
        return run_id

    def call(self, runner: AirflowRunner, method: str, path: str, body: dict[str, Any]) -> None:
        """Ask the REST API; fails with the web server's log where it refuses."""
        answer = runner.request("Admin", method, path, query={}, body=body, timeout=120)
        log = self.folder / f"logs/component-{runner.settings.major.web_component}.log"
        assert answer.ok, f"{answer.status_code}: {log.read_text()[-3000:]}"

    def task(self, dag_id: str, run_id: str, task_id: str) -> tuple[Any, ...]:
        """State and attempt of a task instance."""
        query = "SELECT state, try_number FROM task_instance WHERE dag_id = %s AND run_id = %s AND task_id = %s"
        return next(iter(ask(self.side, query, dag_id, run_id, task_id)), (None, 0))

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Until it is done; fails with its log where it ends in another way."""
        until(
            f"{dag_id}.{task_id}",
            lambda: self.task(dag_id, run_id, task_id)[0] in ("success", "failed", "skipped"),
            300,
        )
        assert self.task(dag_id, run_id, task_id) == ("success", 1), self.log_of(dag_id, run_id)

    def log_of(self, dag_id: str, run_id: str) -> str:
        folder = self.folder / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
        return "\n".join(path.read_text()[-3000:] for path in sorted(folder.rglob("*.log")))

    def beats(self) -> dict[str, Any]:
        """Job type -> latest heartbeat."""
        query = "SELECT job_type, max(latest_heartbeat) FROM job WHERE state = 'running' GROUP BY 1"
        return dict(ask(self.side, query))
