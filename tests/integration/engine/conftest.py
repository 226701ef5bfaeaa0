"""Databases, a bucket and a key for the engine's tests: real PostgreSQL with the real Airflow schema, S3 and KMS by
moto."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
from cryptography.fernet import Fernet
from moto.server import ThreadedMotoServer

from tests.integration.engine.nasty import World
from tests.integration.engine.worker import Side
from tests.postgres import Cluster, migrate

ROOT = Path(__file__).resolve().parents[3]
AIRFLOW = Path(os.environ.get("AIRFLOW_BIN", ROOT / "build/airflow/2.10.3/bin/airflow"))
BUCKET = "snapshots"


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    # Not pytest's own temporary folder: that one is closed to the user PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    try:
        with Cluster(folder) as running:
            migrate(running, "airflow_template", AIRFLOW, Fernet.generate_key().decode())
            yield running
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="package")
def aws() -> Iterator[str]:
    """Address of an S3 and KMS that forget everything at the end."""
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
    }
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield variables["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture(scope="package")
def kms_key(aws: str) -> str:
    return str(boto3.client("kms", region_name="us-east-1").create_key()["KeyMetadata"]["Arn"])


@dataclass(frozen=True)
class Prepared:
    """A filled database that is only read: tests share it."""

    dbname: str
    fernet_key: str


@pytest.fixture(scope="package")
def source_database(cluster: Cluster) -> Prepared:
    prepared = Prepared("source", Fernet.generate_key().decode())
    _fill(cluster, prepared, seed=1, prefix="")
    return prepared


@pytest.fixture(scope="package")
def target_database(cluster: Cluster) -> Prepared:
    """Rows of its own, whose ids collide with the source's."""
    prepared = Prepared("target", Fernet.generate_key().decode())
    _fill(cluster, prepared, seed=2, prefix="own_")
    return prepared


@pytest.fixture
def sides(
    cluster: Cluster, aws: str, kms_key: str, source_database: Prepared, target_database: Prepared
) -> Iterator[Callable[..., Side]]:
    """Make a Side: `sides("source")` is a fresh copy of the filled source, `sides("target")` of the target,
    `sides("empty")` of neither."""
    made = []

    def make(kind: str, **settings: Any) -> Side:
        prepared = {"source": source_database, "target": target_database}.get(kind)
        dbname = f"{kind}_{uuid.uuid4().hex[:12]}"
        cluster.create(dbname, template=prepared.dbname if prepared else "airflow_template")
        made.append(dbname)
        return Side(
            dsn=cluster.dsn(dbname),
            fernet_key=prepared.fernet_key if prepared else Fernet.generate_key().decode(),
            bucket=BUCKET,
            kms_key=kms_key,
            environment=settings.pop("environment", f"env-{uuid.uuid4().hex[:8]}"),
            settings=settings,
        )

    yield make
    for dbname in made:
        cluster.drop(dbname)


@pytest.fixture
def lease_table(aws: str) -> Iterator[str]:
    """The name of an empty lease table."""
    client = boto3.client("dynamodb", region_name="us-east-1")
    client.create_table(
        TableName="lease",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield "lease"
    client.delete_table(TableName="lease")


def _fill(cluster: Cluster, prepared: Prepared, seed: int, prefix: str) -> None:
    cluster.create(prepared.dbname, template="airflow_template")
    connection = psycopg2.connect(cluster.dsn(prepared.dbname))
    try:
        with connection, connection.cursor() as cursor:
            World(cursor, Fernet(prepared.fernet_key), seed, prefix=prefix).fill()
    finally:
        connection.close()
