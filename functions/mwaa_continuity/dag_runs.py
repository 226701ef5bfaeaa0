"""Starting a metadata DAG that answers by task token.

The token goes into one object of the snapshot bucket and nowhere else: not into the run's configuration, which
Airflow keeps and shows, and not into a log.
"""

from __future__ import annotations

import json
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError

from mwaa_continuity import aws, events
from mwaa_continuity.app import Result
from mwaa_continuity.errors import DagNotReady, EnvironmentNotUsable
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.rest import RestApi
from mwaa_continuity.settings import Settings, variable

#: InvokeRestApi gives up after 10 seconds by itself.
REST: Final = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 2, "mode": "standard"})


def rest_api(environment: str) -> RestApi:
    """The REST API of the environment in this Region. Raises `EnvironmentNotUsable` where there is none."""
    mwaa = aws.client("mwaa", config=REST)
    try:
        answer = mwaa.get_environment(Name=environment)["Environment"]
    except ClientError as error:
        if aws.is_absent(error):
            raise EnvironmentNotUsable(f"environment {environment} does not exist in this Region") from None
        raise
    return RestApi(mwaa, environment, str(answer["AirflowVersion"]))


def start(dag_id: str, event: Event, log: Log, **conf: Any) -> Result:
    """Leave the task token for the DAG and start it with `request_id` and `conf`.

    A second start of the same request finds the run there and leaves the newer token. Raises `BadInput` or
    `DagNotReady` before anything is written, `DagRunIsOver` where that run has ended.
    """
    settings = Settings.read()
    bucket = variable("SNAPSHOT_BUCKET")
    request_id = events.request_id(event)
    token = events.text(event, "task_token", "the token of the waiting state")
    api = rest_api(settings.environment)
    problem = api.dag_problem(dag_id)
    if problem:
        raise DagNotReady(problem)
    write_token(bucket, settings.environment, request_id, token)
    run_id = f"continuity__{request_id}"
    outcome = api.start_dag(dag_id, run_id, {"request_id": request_id, **conf})
    log.info("DAG run", dag_id=dag_id, run_id=run_id, snapshot_id=conf.get("snapshot_id"), outcome=outcome)
    return {"outcome": outcome, "run_id": run_id}


def write_token(bucket: str, environment: str, request_id: str, token: str) -> None:
    """Write the one object that holds the token, encrypted by the bucket's key."""
    aws.client("s3").put_object(
        Bucket=bucket,
        Key=f"work/{environment}/{request_id}.json",
        Body=json.dumps({"task_token": token}).encode(),
        ContentType="application/json",
    )
