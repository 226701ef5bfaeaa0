"""The machine that makes tables of exports, in moto's own interpreter, its statements run on DuckDB."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_unsupported import (
    StateTaskServiceUnsupported,
)

from tests.integration.engine.athena import Athena
from tests.integration.functions.machines import PATCHED
from tests.local_aws.patches import stepfunctions
from tests.tools.lake_module import BUCKET, lake_module

PREFIX = "metadata/"
QUICK = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}]


class AthenaService:
    """What Step Functions asks of Athena: one statement at a time, and the text of its rows."""

    def __init__(self, athena: Athena) -> None:
        self.athena = athena
        self.statements: list[str] = []
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._turn = threading.Lock()

    def call(self, task: Any, env: Any, normalised_parameters: dict[str, Any], **_: Any) -> None:
        with self._turn:
            answer = getattr(self, task.resource.api_action)(**normalised_parameters)
        env.stack.append(answer)

    def startQueryExecution(
        self,
        QueryString: str,
        WorkGroup: str,
        QueryExecutionContext: dict[str, str],
    ) -> dict[str, Any]:
        assert (WorkGroup, QueryExecutionContext) == ("lake-us-east-1-lake", {"Database": "lake_metadata"})
        self.statements.append(QueryString)
        identity = str(len(self.statements))
        if not QueryString.startswith(("OPTIMIZE", "VACUUM")):
            try:
                self._rows[identity] = self.athena.run(QueryString)
            except duckdb.Error as error:
                raise ClientError({"Error": {"Code": "QueryFailed", "Message": str(error)}}, "x") from None
        return {"QueryExecution": {"QueryExecutionId": identity, "Status": {"State": "SUCCEEDED"}}}

    def getQueryResults(self, QueryExecutionId: str, MaxResults: int) -> dict[str, Any]:
        head, rows = [{"Data": [{"VarCharValue": "name"}]}], self._rows[QueryExecutionId]
        told = [{"Data": [{"VarCharValue": str(value)} for value in row]} for row in rows]
        return {"ResultSet": {"Rows": (head + told)[:MaxResults]}}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AthenaService]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # restored after the test
    stepfunctions.fail_with_any_error()
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        played = AthenaService(Athena(lake_module(), s3, BUCKET, PREFIX, tmp_path))

        def call(task: Any, **given: Any) -> None:
            played.call(task, **given)

        monkeypatch.setattr(StateTaskServiceUnsupported, "_eval_service_task", call)
        # moto knows no Athena: what is played answers when a statement has ended, as `.sync` does.
        monkeypatch.setattr(StateTaskServiceUnsupported, "_is_integration_pattern", lambda _: False)
        yield played


def export(service: AthenaService, day: str, version: int, **values: Any) -> None:
    """One object with one run."""
    columns = [column["name"] for column in service.athena.module.tables["dag_run"]["columns"]]
    row = {"dag_id": "d", "run_id": "r", "run_date": day, "region": "us-east-1", "version": version, **values}
    line = json.dumps({name: row.get(name) for name in columns}) + "\n"
    key = f"{PREFIX}exports/dag_run/environment=one/date={day}/{version}.jsonl.gz"
    boto3.client("s3", region_name="us-east-1").put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(line.encode()))
    service.athena.fetch()


def run(number: int, **fields: Any) -> dict[str, Any]:
    """How an execution of the machine ended."""
    states = boto3.client("stepfunctions", region_name="us-east-1")
    definition = lake_module().machine(retry=QUICK)
    role = "arn:aws:iam::123456789012:role/merge"
    machine = states.create_state_machine(name=f"merge-{number}", definition=definition, roleArn=role)
    started = states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(fields))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer: dict[str, Any] = states.describe_execution(executionArn=started["executionArn"])
        if answer["status"] != "RUNNING":
            return answer
        time.sleep(0.1)
    raise AssertionError("the execution does not end")


def test_exports_become_tables(service: AthenaService) -> None:
    export(service, "2026-04-01", 1, state="running", run_date="2026-03-31")
    ended = run(1, tidy=False)
    assert ended["status"] == "SUCCEEDED", ended
    assert service.athena.run("SELECT run_id, state FROM dag_run") == [("r", "running")]
    merges = [statement for statement in service.statements if statement.startswith("MERGE")]
    assert len(merges) == 1, "where nothing was exported, nothing is merged"
    assert "WHERE \"date\" >= '1970-01-01'" in merges[0]
    assert "t.run_date >= DATE '2026-03-31'" in merges[0]
    service.statements.clear()
    export(service, "2026-04-09", 2, state="success", run_date="2026-03-31")
    export(service, "2026-04-09", 3, run_id="next", state="success")
    ended = run(2, tidy=True)
    assert ended["status"] == "SUCCEEDED", ended
    found = service.athena.run("SELECT run_id, state, version FROM dag_run ORDER BY version")
    assert found == [("r", "success", 2), ("next", "success", 3)]
    (merge,) = [statement for statement in service.statements if statement.startswith("MERGE")]
    assert "WHERE \"date\" >= '2026-03-30'" in merge, "two days before the last one that was merged"
    tidied = sorted(statement for statement in service.statements if statement.startswith(("OPTIMIZE", "VACUUM")))
    names = sorted(service.athena.module.tables)
    optimized = [f"OPTIMIZE {name} REWRITE DATA USING BIN_PACK" for name in names]
    assert tidied == [*optimized, *(f"VACUUM {name}" for name in names)]


def test_a_statement_that_fails_fails_the_machine(service: AthenaService) -> None:
    export(service, "2026-04-01", 1)
    service.athena.run("CREATE TABLE attempt (nothing integer)")
    ended = run(1)
    assert ended["status"] == "FAILED"
    assert "attempt" in ended["cause"]
    assert service.athena.run("SELECT count(*) FROM dag_run") == [(1,)], "what was merged before stays"
