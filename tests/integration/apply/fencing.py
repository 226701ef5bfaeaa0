"""The lease reaches into a running environment: real scheduler, real DAGs, the execution role as Terraform made it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from continuity.priority import FENCE_SECONDS
from tests.local_aws.fixtures import RunningStandIn
from tests.waiting import until

REGION = "us-east-1"
OTHER = "us-west-2"
#: For a task instance that was queued when its DAG was paused.
UNDER_WAY_SECONDS = 20
SILENCE_SECONDS = 45

TICKING = """
from datetime import UTC, datetime, timedelta
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("ticking", schedule=timedelta(seconds=10), start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False,
         is_paused_upon_creation=False):
    BashOperator(task_id="tick", bash_command="true")
"""


class Environment:
    """The applied environment, seen through its REST API."""

    def __init__(self, stand_in: RunningStandIn) -> None:
        self.mwaa = stand_in.client("mwaa", REGION)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.mwaa.invoke_rest_api(Name="minimal", Method="GET", Path=path, QueryParameters=query)
        return answer["RestApiResponse"]

    def bucket(self) -> str:
        return str(self.mwaa.get_environment(Name="minimal")["Environment"]["SourceBucketArn"].rsplit(":", 1)[1])

    def paused(self, dag_id: str) -> bool | None:
        found = self.get("/dags", dag_id_pattern=dag_id, limit=100)["dags"]
        return next((bool(dag["is_paused"]) for dag in found if dag["dag_id"] == dag_id), None)

    def starts(self) -> list[datetime]:
        """When each of the latest task instances of the ticking DAG started."""
        found = self.get("/dags/ticking/dagRuns/~/taskInstances", limit=100)["task_instances"]
        return [datetime.fromisoformat(instance["start_date"]) for instance in found if instance["start_date"]]


@contextmanager
def uploaded(s3: Any, bucket: str, key: str, text: str) -> Iterator[None]:
    """An object for as long as the block lasts; none of its versions stays, so that the bucket can be destroyed."""
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    try:
        yield
    finally:
        for version in s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])


def give_lease_away(dynamodb: Any) -> None:
    """Make the other Region the holder, as its failover does."""
    # Other examples may stand beside it: the stand-in is one for all.
    (table,) = (name for name in dynamodb.list_tables()["TableNames"] if name.startswith(f"minimal-{REGION}-"))
    dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": "lease"}, "sk": {"S": "lease"}},
        UpdateExpression="SET holder = :holder, #token = :token",
        ExpressionAttributeNames={"#token": "token"},
        ExpressionAttributeValues={":holder": {"S": OTHER}, ":token": {"N": "2"}},
    )


def assert_that_a_region_without_the_lease_starts_nothing_new(stand_in: RunningStandIn) -> None:
    """Give the lease of the applied environment away while a DAG of its runs every ten seconds."""
    environment = Environment(stand_in)
    with uploaded(stand_in.client("s3", REGION), environment.bucket(), "dags/ticking.py", TICKING):
        until("DAG parsed", lambda: environment.paused("ticking") is False, 90)
        until("runs", lambda: len(environment.starts()) >= 2, 90)
        until("guard parsed", lambda: environment.paused("continuity_guard") is False, 10)

        give_lease_away(stand_in.client("dynamodb", REGION))
        lost_at = datetime.now(UTC)
        until("paused", lambda: bool(environment.paused("ticking")), FENCE_SECONDS)
        record = json.loads(environment.get("/variables/continuity_guard")["value"])
        assert (record["holder"], record["token"], record["paused"]) == (OTHER, 2, ["ticking"])
        fenced_at = datetime.fromisoformat(record["fenced_at"])
        assert timedelta() <= fenced_at - lost_at <= timedelta(seconds=FENCE_SECONDS)

        time.sleep(SILENCE_SECONDS)
        assert max(environment.starts()) <= fenced_at + timedelta(seconds=UNDER_WAY_SECONDS)
        assert environment.paused("continuity_beat") is False, "the metadata DAGs go on"
