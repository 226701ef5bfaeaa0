"""The life of one environment: created, used, updated, lost with its Region, brought back, deleted.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
from botocore.exceptions import ClientError

from mwaa_continuity.errors import DagRunIsOver
from mwaa_continuity.rest import RestApi
from tests.integration.local_mwaa.conftest import NAME, REGION, Surroundings
from tests.waiting import until


def status(surroundings: Surroundings) -> str:
    return str(surroundings.client("mwaa").get_environment(Name=NAME)["Environment"]["Status"])


def rest(surroundings: Surroundings, method: str, path: str, **document: Any) -> Any:
    answer = surroundings.client("mwaa").invoke_rest_api(Name=NAME, Method=method, Path=path, **document)
    return answer["RestApiResponse"]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def api_of(surroundings: Surroundings) -> RestApi:
    """The REST API as the functions call it."""
    return RestApi(surroundings.client("mwaa"), NAME, surroundings.version)


def parsed(surroundings: Surroundings, dag_id: str) -> bool:
    listed = rest(surroundings, "GET", "/dags", QueryParameters={"dag_id_pattern": dag_id})
    return dag_id in [dag["dag_id"] for dag in listed["dags"]]


def gone(surroundings: Surroundings, dag_id: str) -> bool:
    dag = rest(surroundings, "GET", f"/dags/{dag_id}")
    return bool(dag["is_stale"]) if surroundings.major >= 3 else not dag["is_active"]


def test_it_becomes_available_once_airflow_is_up(surroundings: Surroundings) -> None:
    mwaa = surroundings.client("mwaa")
    mwaa.create_environment(Name=NAME, **surroundings.document)
    assert status(surroundings) == "CREATING"
    with pytest.raises(mwaa.exceptions.ValidationException, match="already exists"):
        mwaa.create_environment(Name=NAME, **surroundings.document)
    with pytest.raises(mwaa.exceptions.ValidationException, match="its status is CREATING"):
        mwaa.delete_environment(Name=NAME)
    until("environment", lambda: status(surroundings) != "CREATING", 360)
    environment = mwaa.get_environment(Name=NAME)["Environment"]
    assert environment["Status"] == "AVAILABLE"
    assert {key: environment[key] for key in surroundings.document} == surroundings.document


def test_a_run_started_by_the_functions_succeeds_under_the_execution_role(surroundings: Surroundings) -> None:
    until("DAG parsed", lambda: parsed(surroundings, "look_around"), 120)
    api = api_of(surroundings)
    assert api.dag_problem("look_around") == "look_around is paused"  # as MWAA creates DAGs
    assert api.dag_problem("nobody") == "nobody is not parsed"
    assert api.start_dag("look_around", "one", {"planted": 1}) == "started"
    assert api.start_dag("look_around", "one", {}) == "already_started"
    rest(surroundings, "PATCH", "/dags/look_around", Body={"is_paused": False})
    assert api.dag_problem("look_around") is None
    path = "/dags/look_around/dagRuns/one"
    until("run", lambda: rest(surroundings, "GET", path)["state"] in ("success", "failed"), 120)
    run = rest(surroundings, "GET", path)
    assert (run["state"], run["conf"]) == ("success", {"planted": 1})
    with pytest.raises(DagRunIsOver):
        api.start_dag("look_around", "one", {})
    entry = f"{path}/taskInstances/look/xcomEntries/return_value"
    assert len(entry) > 64
    with pytest.raises(ClientError, match="length less than or equal to 64"):
        rest(surroundings, "GET", entry)
    seen = _xcom(surroundings, "look_around", "one", "look")
    for part in (
        NAME,
        REGION,
        "assumed-role/under-test/",
        "'retries': '2'",
        "'secret': 'none'",
        "'database': 'airflow_",
    ):
        assert part in seen


def _xcom(surroundings: Surroundings, dag_id: str, run_id: str, task_id: str) -> str:
    """What a task returned, read from the database, for its REST address is longer than MWAA takes."""
    inside = surroundings.inside()
    assert inside is not None
    connection = psycopg2.connect(inside["database_url"].replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            wanted = (
                "SELECT value FROM xcom WHERE dag_id = %s AND run_id = %s AND task_id = %s AND key = 'return_value'"
            )
            cursor.execute(wanted, (dag_id, run_id, task_id))
            (value,) = cursor.fetchone() or ({},)
    finally:
        connection.close()
    # bytea in Airflow 2, jsonb in Airflow 3
    return str(json.loads(bytes(value)) if isinstance(value, memoryview) else value)


def test_errors_of_airflow_keep_their_status_and_body(surroundings: Surroundings) -> None:
    exceptions = surroundings.client("mwaa").exceptions
    with pytest.raises(exceptions.RestApiClientException) as caught:
        rest(surroundings, "GET", "/dags/nobody")
    assert caught.value.response["RestApiStatusCode"] == 404
    assert "nobody" in caught.value.response["RestApiResponse"]["detail"]


def test_a_web_login_token_opens_the_pages(surroundings: Surroundings) -> None:
    inside = surroundings.inside()
    assert inside is not None
    token = surroundings.client("mwaa").create_web_login_token(Name=NAME)["WebToken"]
    login = inside["web_url"] + ("/auth" if surroundings.major >= 3 else "") + "/aws_mwaa/login"
    with requests.Session() as session:
        assert session.post(login, data={"token": token[:-1]}, timeout=10).status_code == 403
        assert session.post(login, data={"token": token}, timeout=10, allow_redirects=False).status_code == 302
        if surroundings.major >= 3:
            session.headers["Authorization"] = f"Bearer {session.cookies['_token']}"
        page = "/api/v2/dags" if surroundings.major >= 3 else "/home"
        assert session.get(inside["web_url"] + page, timeout=10, allow_redirects=False).status_code == 200


def test_iam_decides_the_airflow_role(surroundings: Surroundings) -> None:
    """Failure covered: a caller without a grant for an Airflow role reaches Airflow."""
    iam, sts = surroundings.client("iam"), surroundings.client("sts")
    account = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [account]})
    role = iam.create_role(RoleName="viewer", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    resource = f"arn:aws:airflow:{REGION}:123456789012:role/{NAME}/Viewer"
    grant = {"Effect": "Allow", "Action": "airflow:InvokeRestApi", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    iam.put_role_policy(RoleName="viewer", PolicyName="rest", PolicyDocument=policy)
    session = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    viewer = surroundings.stand_in.client(
        "mwaa",
        REGION,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    assert viewer.invoke_rest_api(Name=NAME, Method="GET", Path="/dags")["RestApiStatusCode"] == 200
    with pytest.raises(viewer.exceptions.RestApiClientException) as caught:
        viewer.invoke_rest_api(Name=NAME, Method="PATCH", Path="/dags/look_around", Body={"is_paused": True})
    assert caught.value.response["RestApiStatusCode"] == 403


def test_beats_arrive_as_a_metric(surroundings: Surroundings) -> None:
    def beats() -> float:
        now = datetime.now(UTC)
        points = surroundings.client("cloudwatch").get_metric_statistics(
            Namespace="AmazonMWAA",
            MetricName="SchedulerHeartbeat",
            Dimensions=[{"Name": "Function", "Value": "Scheduler"}, {"Name": "Environment", "Value": NAME}],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    before = beats()
    assert before > 0
    until("another beat", lambda: beats() > before, 120)


def test_new_and_deleted_files_reach_airflow(surroundings: Surroundings) -> None:
    s3 = surroundings.client("s3")
    source = b"from airflow import DAG\ndag = DAG('late', schedule=None)\n"
    s3.put_object(Bucket=surroundings.bucket, Key="dags/nested/late.py", Body=source)
    until("late DAG parsed", lambda: parsed(surroundings, "late"), 120)
    s3.delete_object(Bucket=surroundings.bucket, Key="dags/nested/late.py")
    until("late DAG inactive", lambda: gone(surroundings, "late"), 120)


def test_an_update_changes_the_configuration_and_keeps_the_history(surroundings: Surroundings) -> None:
    mwaa = surroundings.client("mwaa")
    mwaa.update_environment(Name=NAME, AirflowConfigurationOptions={"core.default_task_retries": "5"})
    assert status(surroundings) == "UPDATING"
    until("update", lambda: status(surroundings) != "UPDATING", 120)
    environment = mwaa.get_environment(Name=NAME)["Environment"]
    assert (environment["Status"], environment["LastUpdate"]["Status"]) == ("AVAILABLE", "SUCCESS")
    assert rest(surroundings, "GET", "/dags/look_around/dagRuns/one")["state"] == "success"
    api_of(surroundings).start_dag("look_around", "two", {})
    until("run", lambda: rest(surroundings, "GET", "/dags/look_around/dagRuns/two")["state"] == "success", 120)
    assert "'retries': '5'" in _xcom(surroundings, "look_around", "two", "look")


@pytest.mark.any_airflow
def test_an_update_that_cannot_work_is_rolled_back(surroundings: Surroundings) -> None:
    mwaa = surroundings.client("mwaa")
    surroundings.client("s3").put_object(Bucket=surroundings.bucket, Key="plugins.zip", Body=b"no archive")
    mwaa.update_environment(Name=NAME, PluginsS3Path="plugins.zip")
    until("update", lambda: status(surroundings) == "UPDATE_FAILED", 120)
    environment = mwaa.get_environment(Name=NAME)["Environment"]
    assert "PluginsS3Path" not in environment
    assert "not a zip file" in environment["LastUpdate"]["Error"]["ErrorMessage"]
    assert rest(surroundings, "GET", "/dags/look_around/dagRuns/one")["state"] == "success"


def test_a_lost_region_kills_everything_tasks_included(surroundings: Surroundings) -> None:
    api_of(surroundings).start_dag("sleeper", "one", {})
    instance = "/dags/sleeper/dagRuns/one/taskInstances/sleep"
    until("task running", lambda: rest(surroundings, "GET", instance)["state"] == "running", 120)
    inside = surroundings.inside()
    assert inside is not None
    assert alive(inside["pids"]) == inside["pids"]
    surroundings.stand_in.post("outage", region=REGION, down=True)
    assert alive(inside["pids"]) == []

    surroundings.stand_in.post("outage", region=REGION, down=False)

    def back() -> bool:
        found = surroundings.inside()
        return bool(found and found["web_url"] and found["web_url"] != inside["web_url"] and _answers(surroundings))

    until("Airflow is back", back, 120)
    assert rest(surroundings, "GET", "/dags/look_around/dagRuns/one")["state"] == "success"


def _answers(surroundings: Surroundings) -> bool:
    try:
        return bool(rest(surroundings, "GET", "/monitor/health" if surroundings.major >= 3 else "/health"))
    except ClientError:
        return False


def test_a_scheduler_that_dies_is_started_again(surroundings: Surroundings) -> None:
    inside = surroundings.inside()
    assert inside is not None
    os.kill(_process(inside["pids"], "airflow scheduler"), 9)
    until("death told", lambda: surroundings.stand_in.events("airflow_component_ended", component="scheduler"), 120)

    def again() -> int | None:
        found = surroundings.inside()
        return _process(found["pids"], "airflow scheduler") if found else None

    until("scheduler again", again, 120)


def _process(pids: list[int], words: str) -> int:
    """The first process whose command line holds the words, 0 if none does."""
    for pid in alive(pids):
        if words in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
            return pid
    return 0


def test_deletion_leaves_nothing_behind(surroundings: Surroundings) -> None:
    """Also while Airflow is being brought back after an outage, which the deletion ends and no failure may follow."""
    for down in (True, False):
        surroundings.stand_in.post("outage", region=REGION, down=down)
    inside = until("a new Airflow", lambda: (found := surroundings.inside()) and found["pids"] and found, 120)
    mwaa = surroundings.client("mwaa")
    mwaa.delete_environment(Name=NAME)
    until("deletion", lambda: not mwaa.list_environments()["Environments"], 120)
    assert alive(inside["pids"]) == []
    assert not surroundings.stand_in.events("environment_status", status="UNAVAILABLE")
    with pytest.raises(mwaa.exceptions.ResourceNotFoundException):
        mwaa.get_environment(Name=NAME)


@pytest.mark.any_airflow
def test_a_role_that_may_not_read_the_bucket_fails_the_creation(surroundings: Surroundings) -> None:
    """Failure covered: CREATE_FAILED polls until the time limit (here it must come, with its reason)."""
    mwaa, iam = surroundings.client("mwaa"), surroundings.client("iam")
    iam.delete_role_policy(RoleName="under-test", PolicyName="airflow")
    mwaa.create_environment(Name=NAME, **surroundings.document)
    until("failure", lambda: status(surroundings) == "CREATE_FAILED", 120)
    error = mwaa.get_environment(Name=NAME)["Environment"]["LastUpdate"]["Error"]
    assert "s3:ListBucket" in error["ErrorMessage"]
    mwaa.delete_environment(Name=NAME)
    until("deletion", lambda: not mwaa.list_environments()["Environments"], 120)


def test_a_killed_stand_in_takes_everything_with_it(surroundings: Surroundings) -> None:
    """Must stay the last test: it ends the stand-in."""
    mwaa, iam = surroundings.client("mwaa"), surroundings.client("iam")
    iam.put_role_policy(RoleName="under-test", PolicyName="airflow", PolicyDocument=surroundings.policy)
    mwaa.create_environment(Name=NAME, **surroundings.document)

    def has_processes() -> list[int]:
        found = surroundings.inside()
        return found["pids"] if found and found["database_url"] else []

    pids = until("processes", has_processes, 120)
    until("several processes", lambda: len(has_processes()) > 3, 120)
    inside = surroundings.inside()
    assert inside is not None
    surroundings.stand_in.process.kill()
    surroundings.stand_in.process.wait()
    until("Airflow ended", lambda: not alive([*pids, *inside["pids"]]), 15)
    until("PostgreSQL ended", lambda: not _listens(inside["database_url"]), 15)


def _listens(database_url: str) -> bool:
    try:
        psycopg2.connect(database_url.replace("+psycopg2", "")).close()
    except psycopg2.OperationalError:
        return False
    return True
