"""Airflow's REST API of an environment, through MWAA's InvokeRestApi: /api/v1 of Airflow 2, /api/v2 of Airflow 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AirflowApi:
    """`client`: boto3 client of MWAA in the environment's Region; `major`: of its Airflow."""

    client: Any
    environment: str
    major: int

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        """One request; the answer's JSON. Errors of Airflow are raised as botocore's ClientError."""
        arguments: dict[str, Any] = {"Name": self.environment, "Method": method, "Path": path}
        if body is not None:
            arguments["Body"] = body
        if query:
            arguments["QueryParameters"] = query
        return self.client.invoke_rest_api(**arguments).get("RestApiResponse")

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, **more: Any) -> None:
        """Start a run by hand."""
        date = {"logical_date": None} if self.major >= 3 else {}  # 3.x wants the field
        self.call("POST", f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, **date, **more})
