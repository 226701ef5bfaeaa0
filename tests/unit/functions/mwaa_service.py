"""A small MWAA on loopback for unit tests: real HTTP and real botocore clients, no Airflow behind it.

What it exercises: paths, bodies and error shapes as botocore sends and reads them, Region by Region. What it does
not: anything that Airflow would do. The stand-in (tests/local_aws) has the real one.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Answer = tuple[int, dict[str, Any], str]


class MwaaService:
    """Environments by (Region, name), and the DAGs of whichever environment is asked."""

    def __init__(self) -> None:
        self.environments: dict[tuple[str, str], dict[str, Any]] = {}
        self.dags: dict[str, dict[str, Any]] = {}
        self.runs: dict[tuple[str, str], dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.updated: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, str]] = []
        self.failures: dict[str, Answer] = {}  #: operation -> what it answers instead
        self.ends: dict[str, str] = {}
        self.on_run: Callable[[str, dict[str, Any]], None] = lambda _dag_id, _conf: None
        self.on_delete: Callable[[dict[str, Any]], None] = lambda _environment: None
        self.on_update: Callable[[dict[str, Any]], None] = lambda _environment: None
        self.on_create: Callable[[dict[str, Any]], None] = lambda _document: None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers.get("Authorization", ""))
                assert scope, "an unsigned request"
                status, answered, error = service.handle(self.command, self.path, scope.group(1), body)
                payload = json.dumps(answered).encode()
                self.send_response(status)
                if error:
                    self.send_header("x-amzn-ErrorType", error)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_arguments: Any) -> None:
                """Tests print no access log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self.server.shutdown()
        self.server.server_close()

    def handle(self, method: str, path: str, region: str, body: dict[str, Any]) -> Answer:
        """One request."""
        name = unquote(path).rsplit("/", 1)[-1]
        operation = {
            "GET": "GetEnvironment",
            "PUT": "CreateEnvironment",
            "PATCH": "UpdateEnvironment",
            "POST": "TagResource" if path.startswith("/tags/") else "InvokeRestApi",
            "DELETE": "DeleteEnvironment",
        }[method]
        if path == "/environments":
            operation = "ListEnvironments"
        self.calls.append((operation, region, str(body.get("Path", name))))
        if operation in self.failures or operation == "ListEnvironments":
            return self.failures.get(operation) or self.names(region)
        if operation == "CreateEnvironment":
            if self.environments.get((region, name), {}).get("Status") not in (None, "DELETED"):
                return 400, {"message": f"Environment {name} already exists."}, "ValidationException"
            self.created.append({"Name": name, **body})
            made = {
                "Arn": f"arn:aws:airflow:{region}:123456789012:environment/{name}",
                "Status": "CREATING",
                "CreatedAt": 2_000_000_000,
                "WebserverUrl": f"https://{len(self.created)}.example",
            }
            self.environments[region, name] = {"Name": name, **made, **body}
            self.on_create(self.environments[region, name])
            return 200, {"Arn": f"arn:aws:airflow:{region}:123456789012:environment/{name}"}, ""
        environment = self.environments.get((region, name))
        if environment is None:
            return 404, {"message": f"Environment {name} not found"}, "ResourceNotFoundException"
        return self.of_existing(operation, environment, body)

    def of_existing(self, operation: str, environment: dict[str, Any], body: dict[str, Any]) -> Answer:
        """One request about an environment that is there."""
        if operation == "InvokeRestApi":
            return self.rest(body["Method"], body["Path"], body.get("Body") or {})
        if operation == "UpdateEnvironment":
            return self.update(environment, body)
        if operation == "TagResource":
            environment["Tags"] = {**environment.get("Tags", {}), **body["Tags"]}
        if operation == "DeleteEnvironment":
            environment["Status"] = "DELETING"
            self.on_delete(environment)
        return 200, {"Environment": environment} if operation == "GetEnvironment" else {}, ""

    def update(self, environment: dict[str, Any], body: dict[str, Any]) -> Answer:
        """What is given replaces what was; subnets and logs that are not named stay."""
        if environment["Status"] not in ("AVAILABLE", "UPDATE_FAILED"):
            return 400, {"message": f"status {environment['Status']}"}, "ValidationException"
        self.updated.append(body)
        for name in ("NetworkConfiguration", "LoggingConfiguration"):
            if name in body:
                body = {**body, name: {**environment.get(name, {}), **body[name]}}
        environment |= body | {"Status": "UPDATING"}
        self.on_update(environment)
        return 200, {"Arn": environment["Arn"]}, ""

    def names(self, region: str) -> Answer:
        """The environments of a Region."""
        return 200, {"Environments": [name for place, name in self.environments if place == region]}, ""

    def rest(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        """One call of Airflow's REST API, wrapped as InvokeRestApi does."""
        if path == "/dags/~/dagRuns/list":
            return self.listed(body)
        dag_id = path.split("/")[2]
        if dag_id not in self.dags:
            return self.rest_error(404)
        if method == "GET":
            return 200, {"RestApiStatusCode": 200, "RestApiResponse": self.dags[dag_id]}, ""
        if (dag_id, body["dag_run_id"]) in self.runs:
            return self.rest_error(409)
        self.runs[dag_id, body["dag_run_id"]] = body
        self.on_run(dag_id, body["conf"])
        return 200, {"RestApiStatusCode": 200, "RestApiResponse": {"state": "queued"}}, ""

    def listed(self, body: dict[str, Any]) -> Answer:
        """The runs of some DAGs in some states."""
        found = [
            {"dag_run_id": run_id, "dag_id": dag_id, "state": self.state_of(dag_id, run)}
            for (dag_id, run_id), run in self.runs.items()
            if dag_id in body["dag_ids"] and self.state_of(dag_id, run) in body["states"]
        ]
        answer = {"dag_runs": found[: body["page_limit"]], "total_entries": len(found)}
        return 200, {"RestApiStatusCode": 200, "RestApiResponse": answer}, ""

    def state_of(self, dag_id: str, run: dict[str, Any]) -> str:
        """The state of a run; every run of some DAGs ends in the same."""
        return str(run.get("state", self.ends.get(dag_id, "queued")))

    @staticmethod
    def rest_error(status: int) -> Answer:
        """An error of Airflow: the service reports it as an exception that carries the status."""
        error = "RestApiServerException" if status >= 500 else "RestApiClientException"
        return 400, {"RestApiStatusCode": status, "RestApiResponse": {"title": "as Airflow says"}}, error
