"""The example DAGs under the real Airflow, with the rights of the execution role: what reaches ECS, Glue, Athena, EMR.

botocore checks every request against its model before it is sent, and the stand-in checks it against the policies.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import versions_of
from tests.integration.workloads.conftest import REGION
from tests.local_aws.fixtures import RunningStandIn

_PROJECT = Path(__file__).resolve().parents[3]
_DAGS = _PROJECT / "examples" / "dags"
_DAY = {"day": "2026-02-28"}
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once per chosen Airflow version."""
    if "airflow_version" in metafunc.fixturenames:
        metafunc.parametrize("airflow_version", versions_of(metafunc), scope="module")


#: What is run, in this order: each task once, and the container's twice.
_TASKS = [
    ("run_container", "report"),
    ("run_container", "report"),
    ("glue_orders", "to_parquet"),
    ("glue_orders", "by_product"),
    ("athena_sales", "table"),
    ("athena_sales", "best"),
    ("emr_steps", "create"),
    ("emr_steps", "statistics"),
    ("emr_steps", "end"),
]


@pytest.fixture(scope="module")
def services(stand_in: RunningStandIn, outputs: dict[str, Any]) -> Iterator[None]:
    """What the DAGs expect of their account: jobs, a workgroup, a cluster of somebody else."""
    glue, athena = stand_in.client("glue", REGION), stand_in.client("athena", REGION)
    jobs = [outputs["options"][option] for option in ("lake.parquet_job", "lake.sales_job")]
    for job in jobs:
        glue.create_job(Name=job, Role="glue", Command={"Name": "glueetl", "ScriptLocation": f"s3://lake/{job}.py"})
    athena.create_work_group(Name="reports", Configuration={})
    stand_in.client("ecs", REGION).create_cluster(clusterName="somebody-elses")
    yield
    for job in jobs:
        glue.delete_job(JobName=job)
    athena.delete_work_group(WorkGroup="reports")
    stand_in.client("ecs", REGION).delete_cluster(cluster="somebody-elses")


@pytest.fixture(scope="module")
def report(
    airflow_version: str,
    outputs: dict[str, Any],
    dag_credentials: dict[str, str],
    services: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What an Airflow that has the environment's options and its execution role makes of the example DAGs."""
    options = {
        f"AIRFLOW__{name.replace('.', '__', 1).upper()}": value
        for name, value in outputs["options"].items()
        if not name.startswith("secrets.")
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS", "PYTHON"))},
        **dag_credentials,
        **options,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    python = _PROJECT / "build" / "airflow" / airflow_version / "bin" / "python"
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("run_tasks.py")), str(_DAGS)],
        env=environment,
        input=json.dumps([{"dag": dag, "task": task, "params": _DAY} for dag, task in _TASKS]),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _outcomes(report: dict[str, Any], dag_id: str) -> list[dict[str, Any]]:
    """What became of the tasks of a DAG, none of which failed."""
    outcomes = [outcome for (dag, _), outcome in zip(_TASKS, report["tasks"], strict=True) if dag == dag_id]
    assert [outcome["error"] for outcome in outcomes if "error" in outcome] == []
    return outcomes


def test_every_dag_is_imported(report: dict[str, Any]) -> None:
    """Failure covered: a DAG that works on one major version of Airflow only."""
    assert report["errors"] == {}
    assert report["dags"] == sorted({dag for dag, _ in _TASKS})


def test_a_container_runs_with_overrides_and_no_worker_waits_for_it(
    stand_in: RunningStandIn, outputs: dict[str, Any], report: dict[str, Any]
) -> None:
    """Failure covered: a container that runs twice because the task that started it was tried again."""
    ecs, made = stand_in.client("ecs", REGION), outputs["containers"]["report"]
    deferred, again = _outcomes(report, "run_container")
    assert deferred["trigger"].endswith(".TaskDoneTrigger")
    arn = deferred["arguments"]["task_arn"]
    assert again["arguments"]["task_arn"] == arn, "a task that is tried again takes up the container that runs"
    assert deferred["arguments"]["log_group"] == made["log_group"]
    assert deferred["arguments"]["log_stream"] == f"{made['log_stream_prefix']}/{arn.rsplit('/', 1)[-1]}"

    [running] = ecs.describe_tasks(cluster=made["cluster"], tasks=[arn], include=["TAGS"])["tasks"]
    assert running["taskDefinitionArn"].rsplit("/", 1)[-1].startswith(made["task_definition"] + ":")
    assert running["launchType"] == "FARGATE"
    assert {detail["value"] for detail in running["attachments"][0]["details"]} & set(made["subnets"])
    [override] = running["overrides"]["containerOverrides"]
    assert override == {
        "name": "report",
        "command": ["report", "--day", "2026-02-28"],
        "environment": [{"name": "AIRFLOW_RUN_ID", "value": "manual__2026-02-01"}],
    }
    ecs.stop_task(cluster=made["cluster"], task=arn)


def test_what_follows_a_container_is_granted_and_what_is_not_granted_is_denied(
    stand_in: RunningStandIn, dag_credentials: dict[str, str], outputs: dict[str, Any], services: None
) -> None:
    """Its end and its log are looked at after the trigger: containers of the stand-in never end."""
    made = outputs["containers"]["report"]
    keys = {name: dag_credentials[name.upper()] for name in _KEYS}
    ecs, logs = stand_in.client("ecs", REGION, **keys), stand_in.client("logs", REGION, **keys)
    where = {"awsvpcConfiguration": {"subnets": made["subnets"], "securityGroups": made["security_groups"]}}
    run: dict[str, Any] = {"taskDefinition": made["task_definition"], "launchType": "FARGATE"}
    run["networkConfiguration"] = where
    [task] = ecs.run_task(cluster=made["cluster"], **run)["tasks"]
    assert ecs.describe_tasks(cluster=made["cluster"], tasks=[task["taskArn"]])["failures"] == []
    stream = {"logGroupName": made["log_group"], "logStreamName": "task/report/1"}
    stand_in.client("logs", REGION).create_log_stream(**stream)
    assert logs.get_log_events(**stream)["events"] == []
    ecs.stop_task(cluster=made["cluster"], task=task["taskArn"])

    with pytest.raises(ecs.exceptions.ClientError, match="ecs:RunTask"):
        ecs.run_task(cluster="somebody-elses", **run)
    with pytest.raises(ecs.exceptions.ClientError, match="iam:PassRole"):
        ecs.run_task(cluster=made["cluster"], **run, overrides={"taskRoleArn": outputs["execution_role_arn"]})
    with pytest.raises(logs.exceptions.ClientError, match="logs:GetLogEvents"):
        logs.get_log_events(logGroupName="/ecs/somebody-elses", logStreamName="x")


def test_glue_runs_the_jobs_that_terraform_made(
    stand_in: RunningStandIn, outputs: dict[str, Any], report: dict[str, Any]
) -> None:
    """Failure covered: an operator that wants to create or change what is Terraform's, and is denied."""
    bucket, glue = outputs["options"]["lake.bucket"], stand_in.client("glue", REGION)
    jobs = (("orders-to-parquet", "landing/orders"), ("sales-by-product", "orders"))
    for outcome, (job, source) in zip(_outcomes(report, "glue_orders"), jobs, strict=True):
        assert outcome["trigger"].endswith(".GlueJobCompleteTrigger")
        started = glue.get_job_run(JobName=job, RunId=outcome["arguments"]["run_id"])["JobRun"]
        assert started["Arguments"]["--source"] == f"s3://{bucket}/{source}/day=2026-02-28/"


def test_athena_is_asked_in_its_workgroup(
    stand_in: RunningStandIn, outputs: dict[str, Any], report: dict[str, Any]
) -> None:
    athena = stand_in.client("athena", REGION)
    table, best = (
        athena.get_query_execution(QueryExecutionId=outcome["arguments"]["query_execution_id"])["QueryExecution"]
        for outcome in _outcomes(report, "athena_sales")
    )
    assert table["WorkGroup"] == best["WorkGroup"] == "reports"
    assert f"s3://{outputs['options']['lake.bucket']}/sales/day=${{day}}/" in table["Query"]
    assert "date '2026-01-01'" in best["Query"]


def test_emr_has_a_cluster_for_the_step_and_ends_it(
    stand_in: RunningStandIn, outputs: dict[str, Any], report: dict[str, Any]
) -> None:
    created, _step, _end = _outcomes(report, "emr_steps")
    emr = stand_in.client("emr", REGION)
    [listed] = emr.list_steps(ClusterId=created["returned"])["Steps"]
    assert listed["Config"]["Args"][-1] == f"s3://{outputs['options']['lake.bucket']}/statistics/day=2026-02-28/"
    cluster = emr.describe_cluster(ClusterId=created["returned"])["Cluster"]
    assert {tag["Key"]: tag["Value"] for tag in cluster["Tags"]}["airflow"] == "analytics"
    assert cluster["Status"]["State"] in ("TERMINATING", "TERMINATED")
