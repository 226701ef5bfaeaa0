"""Two Regions on moto, with the buckets, the lease table and the key that Terraform would have made."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import Loader, create_loader
from moto import mock_aws

from mwaa_continuity import aws, spec
from tests.unit.functions.mwaa_service import MwaaService

PRIMARY, SECONDARY, NAME = "us-east-1", "us-west-2", "rehearsal"
SNAPSHOTS, DAGS, LEASES = "snapshots-us-west-2", "dags-us-west-2", "rehearsal-lease"

VARIABLES = {
    "ENVIRONMENT_NAME": NAME,
    "SNAPSHOT_BUCKET": SNAPSHOTS,
    "LEASE_TABLE": LEASES,
    "LOG_LEVEL": "DEBUG",
    "AWS_REGION": SECONDARY,
    "AWS_DEFAULT_REGION": SECONDARY,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    "PRIMARY_REGION": PRIMARY,
    "PERIODS": "5",
    "MISSING": "3",
    "COOLDOWN_SECONDS": "3600",
    "DAG_TIMEOUT_SECONDS": "1800",
    "DAG_BUCKET": DAGS,
    "DAG_S3_PATH": "dags",
    "BUCKET_ARNS": f"arn:aws:s3:::{DAGS},arn:aws:s3:::{SNAPSHOTS}",
    "BATCH_ROLE_ARN": "arn:aws:iam::123456789012:role/batch",
    "ACCOUNT_ID": "123456789012",
    "AUTOMATIC": "true",
    "ASK": "false",
    "STRATEGY": "backup_restore",
    "ANSWER_SECONDS": "3600",
    "REST_SECONDS": "3600",
    "WITHOUT_ANSWER": "fail",
    "AWS_LAMBDA_FUNCTION_NAME": f"{NAME}-approval",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # a third of a second, for each test that has a network
}

#: What a test plants where a secret may be, and looks for where none may be.
SECRET_OPTION = "s3cr3t-of-an-option"


def environment(region: str = PRIMARY, status: str = "AVAILABLE") -> dict[str, Any]:
    """What GetEnvironment says of an environment, with every kind of member that a spec must not keep."""
    return {
        "Name": NAME,
        "Status": status,
        "Arn": f"arn:aws:airflow:{region}:123456789012:environment/{NAME}",
        "CreatedAt": 1_700_000_000,
        "WebserverUrl": "https://example.airflow.amazonaws.com",
        "ExecutionRoleArn": f"arn:aws:iam::123456789012:role/{NAME}-{region}",
        "ServiceRoleArn": "arn:aws:iam::123456789012:role/aws-service-role/airflow",
        "KmsKey": f"arn:aws:kms:{region}:123456789012:alias/{NAME}-{region}",
        "AirflowVersion": "2.10.3",
        "SourceBucketArn": f"arn:aws:s3:::dags-{region}",
        "DagS3Path": "dags",
        "StartupScriptS3Path": f"s3://dags-{region}/startup.sh",
        "RequirementsS3Path": "requirements.txt",
        "RequirementsS3ObjectVersion": "version-of-the-primary",
        "AirflowConfigurationOptions": {
            "secrets.backend_kwargs": json.dumps({"region_name": region, "token": SECRET_OPTION}),
            "core.parallelism": "8",
        },
        "EnvironmentClass": "mw1.small",
        "MaxWorkers": 5,
        "MinWorkers": 1,
        "MinWebservers": 2,
        "MaxWebservers": 4,
        "Schedulers": 2,
        "NetworkConfiguration": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        "LoggingConfiguration": {
            "TaskLogs": {
                "Enabled": True,
                "LogLevel": "INFO",
                "CloudWatchLogGroupArn": f"arn:aws:logs:{region}:123456789012:log-group:airflow",
            }
        },
        "LastUpdate": {"Status": "SUCCESS", "CreatedAt": 1_700_000_000},
        "WeeklyMaintenanceWindowStart": "SUN:03:30",
        "Tags": {"team": "data", "aws:cloudformation:stack-name": "x"},
        "WebserverAccessMode": "PRIVATE_ONLY",
        "CeleryExecutorQueue": f"arn:aws:sqs:{region}:123456789012:airflow-celery",
        "EndpointManagement": "SERVICE",
    }


BINDING = {
    "Name": NAME,
    "ExecutionRoleArn": f"arn:aws:iam::123456789012:role/{NAME}-{SECONDARY}",
    "SourceBucketArn": f"arn:aws:s3:::{DAGS}",
    "KmsKey": f"arn:aws:kms:{SECONDARY}:123456789012:alias/{NAME}-{SECONDARY}",
    "NetworkConfiguration": {"SubnetIds": ["subnet-a", "subnet-b"], "SecurityGroupIds": ["sg-a"]},
    "Tags": {"team": "data", "region": SECONDARY},
    "AirflowConfigurationOptions": {"email.from_email": "west@example.com"},
}


class Account:
    """The administrator's view of the account."""

    def __init__(self, mwaa: MwaaService) -> None:
        self.mwaa = mwaa
        self.s3 = boto3.client("s3", SECONDARY)
        self.kms = boto3.client("kms", SECONDARY)
        self.dynamodb = boto3.client("dynamodb", SECONDARY)
        self.cloudwatch = {region: boto3.client("cloudwatch", region) for region in (PRIMARY, SECONDARY)}
        for bucket in (SNAPSHOTS, DAGS):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": SECONDARY})
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.key_id = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.dynamodb.create_table(
            TableName=LEASES,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )

    def put_json(self, key: str, document: Any, **arguments: Any) -> None:
        """An object of the snapshot bucket."""
        self.s3.put_object(Bucket=SNAPSHOTS, Key=key, Body=json.dumps(document).encode(), **arguments)

    def published(self, metric: str) -> list[float]:
        """Sums of what the functions said of a metric lately, by the minute."""
        now = datetime.now(UTC)
        points = self.cloudwatch[SECONDARY].get_metric_statistics(
            Namespace="MwaaContinuity",
            MetricName=metric,
            Dimensions=[{"Name": "Environment", "Value": NAME}],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return [point["Sum"] for point in points]

    def objects(self, bucket: str = SNAPSHOTS) -> list[str]:
        """Keys of all current objects."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def set_lease(self, **attributes: Any) -> None:
        """The lease item, by default as Terraform writes it."""
        lease = {
            "holder": PRIMARY,
            "token": 1,
            "since": 0,
            "reason": "created",
            "live": True,
            "execution": "",
            "locked": False,
        } | attributes
        kinds: dict[type, Callable[[Any], dict[str, Any]]] = {
            str: lambda value: {"S": value},
            bool: lambda value: {"BOOL": value},
            int: lambda value: {"N": str(value)},
        }
        item = {name: kinds[type(value)](value) for name, value in lease.items()}
        self.dynamodb.put_item(TableName=LEASES, Item={"pk": {"S": "lease"}, "sk": {"S": "lease"}, **item})

    def lease(self) -> dict[str, Any]:
        """The lease item as it is."""
        item = self.dynamodb.get_item(TableName=LEASES, Key={"pk": {"S": "lease"}, "sk": {"S": "lease"}})["Item"]
        return {name: next(iter(value.values())) for name, value in item.items()}

    def beat(self, *minutes_ago: int, region: str = PRIMARY) -> None:
        """Beats of a Region."""
        for ago in minutes_ago:
            minute = int(time.time()) // 60 - ago
            item = {"pk": {"S": f"beat#{region}"}, "sk": {"S": f"{minute:010d}"}, "beat_at": {"N": str(minute * 60)}}
            self.dynamodb.put_item(TableName=LEASES, Item=item)

    def scheduler_heartbeat(self, *minutes_ago: int) -> None:
        """Data of the scheduler's heartbeat in the primary."""
        dimensions = {"Function": "Scheduler", "Environment": NAME}
        self._metric(PRIMARY, "AmazonMWAA", "SchedulerHeartbeat", dimensions, minutes_ago)

    def changing(self, *minutes_ago: int) -> None:
        """What earlier checks published: the environment was being changed."""
        self._metric(SECONDARY, "MwaaContinuity", "EnvironmentChanging", {"Environment": NAME}, minutes_ago)

    def _metric(self, region: str, namespace: str, name: str, dimensions: dict[str, str], ago: Iterable[int]) -> None:
        for minutes in ago:
            datum = {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                "Timestamp": (int(time.time()) // 60 - minutes) * 60,
                "Value": 1.0,
            }
            self.cloudwatch[region].put_metric_data(Namespace=namespace, MetricData=[datum])

    def snapshot(self, snapshot_id: str, **overrides: Any) -> dict[str, Any]:
        """A complete snapshot; answers its manifest as written."""
        folder = f"snapshots/{NAME}/{snapshot_id}/"
        context = {"environment": NAME, "snapshot_id": snapshot_id}
        data_key = self.kms.generate_data_key(KeyId=self.key_id, KeySpec="AES_256", EncryptionContext=context)
        spec_body = json.dumps(spec.from_environment(environment())).encode()
        contents = {
            "dag_run.state.copy.gz": gzip.compress(b"1\tscheduled\n"),
            "log.history.copy.gz": gzip.compress(b"1\tx\n" * 1000),
            "layout.json.gz": gzip.compress(b"{}"),
            "variable.sealed": b"sealed" * 100,
            "spec.json": spec_body,
        }
        claims = {}
        for name, body in contents.items():
            self.s3.put_object(Bucket=SNAPSHOTS, Key=folder + name, Body=body, Metadata={"region": PRIMARY})
            claims[name] = {"name": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        manifest = {
            "format": 2,
            "snapshot_id": snapshot_id,
            "base": None,
            "environment": NAME,
            "region": PRIMARY,
            "mode": "full",
            "airflow_version": "2.10.3",
            "cut_at": "2026-11-21T08:00:05+00:00",
            "started_at": "2026-11-21T08:00:04+00:00",
            "completed_at": "2026-11-21T08:00:14.500000+00:00",
            "encryption": {
                "algorithm": "AES-256-GCM",
                "kms_key_arn": self.key_id,
                "encrypted_data_key": base64.b64encode(data_key["CiphertextBlob"]).decode(),
                "context": context,
            },
            "tables": [
                {"name": "dag_run", "rows": 1, "objects": [{**claims["dag_run.state.copy.gz"], "phase": "state"}]},
                {"name": "log", "rows": 1000, "objects": [{**claims["log.history.copy.gz"], "phase": "history"}]},
                {"name": "variable", "rows": 3, "objects": [{**claims["variable.sealed"], "phase": "state"}]},
            ],
            "spec": claims["spec.json"],
            "layout": claims["layout.json.gz"],
        } | overrides
        self.put_json(folder + "manifest.json", manifest)
        self.verification(snapshot_id)
        return manifest

    def delta(self, snapshot_id: str, base: str) -> dict[str, Any]:
        """A complete snapshot that takes the history of `log` from a base; answers its manifest as written."""
        manifest = self.snapshot(snapshot_id, base=base, layout=None)
        folder = f"snapshots/{NAME}/"
        self.s3.delete_object(Bucket=SNAPSHOTS, Key=f"{folder}{snapshot_id}/layout.json.gz")
        body = self.s3.get_object(Bucket=SNAPSHOTS, Key=f"{folder}{base}/manifest.json")["Body"].read()
        (of_base,) = next(table["objects"] for table in json.loads(body)["tables"] if table["name"] == "log")
        (log,) = (table for table in manifest["tables"] if table["name"] == "log")
        log["objects"].append(of_base | {"snapshot_id": base, "take": [[0, 990]]})
        log["rows"] = 1990
        self.put_json(f"{folder}{snapshot_id}/manifest.json", manifest)
        return manifest

    def verification(self, snapshot_id: str, *faults: tuple[str, str]) -> None:
        """What reading a snapshot back found wrong."""
        document = {
            "format": 1,
            "snapshot_id": snapshot_id,
            "verified_at": "2026-11-21T08:00:30+00:00",
            "objects": 4,
            "rows": 1004,
            "faults": [{"name": name, "why": why} for name, why in faults],
        }
        self.put_json(f"snapshots/{NAME}/{snapshot_id}/verification.json", document)


@pytest.fixture(scope="package", autouse=True)
def service_models_are_read_once() -> Iterator[None]:
    """moto starts every test with a new boto3 session; each would parse megabytes of service models again.

    For some folders only: clients rewrite the models they are made of, and elsewhere the models are what is tested.
    """
    loaders: dict[str | None, Loader] = {}

    def shared(search_path_string: str | None = None) -> Loader:
        return loaders.setdefault(search_path_string, create_loader(search_path_string))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", shared)
        yield


@pytest.fixture(scope="package", autouse=True)
def clients_are_made_once() -> Iterator[None]:
    """Making clients would take a third of the time of every test, and moto answers whichever asks."""
    clients: dict[tuple[str, str | None, int], tuple[Any, Any]] = {}  # with what is asked for, so that its id stays
    make: Any = boto3.client

    def kept(service_name: str, region_name: str | None = None, config: Any = None, **others: Any) -> Any:
        if others or f"AWS_ENDPOINT_URL_{service_name.upper()}" in os.environ:  # somebody else answers
            return make(service_name, region_name=region_name, config=config, **others)
        key = (service_name, region_name or os.environ.get("AWS_DEFAULT_REGION"), id(config))
        if key not in clients:
            clients[key] = make(service_name, region_name=region_name, config=config), config
        return clients[key][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", kept)
        yield


def own_client(service: str, region: str = SECONDARY) -> Any:
    """A client that no other test is given, to be changed."""
    client: Any = boto3.session.Session().client
    return client(service, region_name=region)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of all functions at once."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return VARIABLES


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Iterator[Account]:
    """An account with nothing but what Terraform makes."""
    assert variables
    service = MwaaService()
    monkeypatch.setenv("AWS_ENDPOINT_URL_MWAA", service.url)
    with mock_aws():
        yield Account(service)
    service.stop()


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let services of a Region refuse connections from now on: `dead(PRIMARY, "cloudwatch")`."""
    connect = aws.client
    gone: set[tuple[str, str]] = set()

    def client(service: str, region: str | None = None, config: Any = aws.PATIENT) -> Any:
        if (region or SECONDARY, service) in gone:
            create: Any = boto3.client
            return create(service, region_name=region, config=config, endpoint_url="http://127.0.0.1:1")
        return connect(service, region, config)

    monkeypatch.setattr(aws, "client", client)
    return lambda region, *services: gone.update((region, service) for service in services)
