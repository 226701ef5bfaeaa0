"""Airflow's REST API by InvokeRestApi, for Airflow 2.x and 3.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import aws
from mwaa_continuity.errors import DagNotReady, DagRunIsOver, RestApiRefused, RestApiUnavailable

#: InvokeRestApi accepts no longer path.
LONGEST_PATH: Final = 64
CONFLICT: Final = 409
NOT_FOUND: Final = 404
REQUEST_TIMEOUT: Final = 408

#: The states of a DAG run that goes on, in 2.x and 3.x.
UNFINISHED: Final = ("queued", "running")


class RestApi:
    """The REST API of one environment. The prefix (/api/v1, /api/v2) is implicit in InvokeRestApi."""

    def __init__(self, mwaa: Any, environment: str, airflow_version: str) -> None:
        self.mwaa = mwaa
        self.environment = environment
        self.major = major_version(airflow_version)

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        """HTTP status and answer of a call that Airflow answered with success, 404 or 409.

        Raises `ValueError` for a path that InvokeRestApi would not accept, `RestApiRefused` for any other error of
        the caller, `RestApiUnavailable` for a web server that does not answer or fails.
        """
        if len(path) > LONGEST_PATH:
            raise ValueError(f"path has {len(path)} characters; accepted: at most {LONGEST_PATH}")
        arguments: dict[str, Any] = {"Name": self.environment, "Path": path, "Method": method}
        if body is not None:
            arguments["Body"] = body
        if query is not None:
            arguments["QueryParameters"] = query
        try:
            answer = self.mwaa.invoke_rest_api(**arguments)
        except ClientError as error:
            return self._failed(error, method, path)
        except BotoCoreError as error:
            raise RestApiUnavailable(f"{method} {path}: {type(error).__name__}") from None
        return int(answer.get("RestApiStatusCode", 200)), answer.get("RestApiResponse", {})

    @staticmethod
    def _failed(error: ClientError, method: str, path: str) -> tuple[int, Any]:
        response: Mapping[str, Any] = error.response
        status = int(response.get("RestApiStatusCode") or 0)
        if status in (NOT_FOUND, CONFLICT):
            return status, response.get("RestApiResponse", {})
        said = f"{method} {path}: {aws.code(error)}" + (f", HTTP status {status}" if status else "")
        late = status == REQUEST_TIMEOUT or status >= 500
        if aws.code(error) == "RestApiServerException" or late or aws.is_transient(error):
            raise RestApiUnavailable(said, throttled=aws.code(error) in aws.THROTTLED) from None
        raise RestApiRefused(said, status, invalid=aws.code(error) == "ValidationException") from None

    def start_dag(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> str:
        """Start a DAG run: "started", or "already_started" where the run is there.

        Raises `DagNotReady` for a DAG that Airflow does not know, `DagRunIsOver` where the run is there and has ended.
        """
        status, _ = self.post_run(dag_id, run_id, conf)
        if status == NOT_FOUND:
            raise DagNotReady(f"{dag_id} is not parsed")
        if status != CONFLICT:
            return "started"
        if self.is_over(dag_id, run_id):
            raise DagRunIsOver(f"{run_id} of {dag_id} has ended, so that nobody answers any more")
        return "already_started"

    def post_run(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> tuple[int, Any]:
        """HTTP status and answer of creating a DAG run."""
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": dict(conf)}
        if self.major >= 3:
            body["logical_date"] = None  # 3.x wants the field; null lets several runs start at one instant
        return self.call("POST", f"/dags/{dag_id}/dagRuns", body)

    def is_over(self, dag_id: str, run_id: str) -> bool:
        """Whether a run that exists is not among the unfinished ones of its DAG.

        By a list, because the path of a single run would be too long. A list that is not whole proves nothing.
        """
        body = {"dag_ids": [dag_id], "states": list(UNFINISHED), "page_limit": 100}
        status, listed = self.call("POST", "/dags/~/dagRuns/list", body)
        if status in (NOT_FOUND, CONFLICT):
            return False
        runs = listed["dag_runs"]
        return len(runs) >= listed["total_entries"] and run_id not in {run["dag_run_id"] for run in runs}

    def has_run(self, dag_id: str, run_id: str, state: str) -> bool:
        """Whether the run is among the latest 100 of its DAG in that state."""
        body = {"dag_ids": [dag_id], "states": [state], "order_by": "-start_date", "page_limit": 100}
        status, listed = self.call("POST", "/dags/~/dagRuns/list", body)
        return status not in (NOT_FOUND, CONFLICT) and run_id in {run["dag_run_id"] for run in listed["dag_runs"]}

    def dag_problem(self, dag_id: str) -> str | None:
        """Why a DAG could not run now, or none."""
        status, dag = self.call("GET", f"/dags/{dag_id}")
        if status == NOT_FOUND or not isinstance(dag, Mapping):
            return f"{dag_id} is not parsed"
        active = not dag["is_stale"] if "is_stale" in dag else dag.get("is_active", True)
        if not active:
            return f"{dag_id} is not active"
        if dag.get("has_import_errors"):
            return f"{dag_id} has import errors"
        return f"{dag_id} is paused" if dag.get("is_paused") else None


def major_version(airflow_version: str) -> int:
    """2 or 3. Raises `ValueError` for what is no version."""
    major = airflow_version.split(".", 1)[0]
    if not major.isdigit():
        raise ValueError(f"AirflowVersion is {airflow_version!r}; accepted: a version such as 2.10.3")
    return int(major)
