"""Databases, a bucket and a key for the engine's tests: real PostgreSQL with the real Airflow schema, S3 and KMS by
moto."""

from __future__ import annotations

import logging
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

from tests.conftest import versions_of
from tests.integration.engine.nasty import World
from tests.integration.engine.worker import Side
from tests.postgres import Cluster, migrate

ROOT = Path(__file__).resolve().parents[3]
BUCKET = "snapshots"


def airflow_bin(version: str) -> Path:
    """The command line tool of an installed Airflow."""
    return ROOT / f"build/airflow/{version}/bin/airflow"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a database once per chosen Airflow version."""
    if "airflow_version" in metafunc.fixturenames:
        metafunc.parametrize("airflow_version", versions_of(metafunc), scope="package")


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    # Not pytest's own temporary folder: that one is closed to the user PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    try:
        with Cluster(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="package")
def template(cluster: Cluster, airflow_version: str) -> str:
    """Name of a database with the schema of the Airflow version under test, and nothing in it."""
    name = f"template_{airflow_version}"
    migrate(cluster, name, airflow_bin(airflow_version), Fernet.generate_key().decode())
    return name


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
def databases(cluster: Cluster, template: str) -> dict[str, Prepared]:
    """By kind: `source` is filled, `target` has rows of its own whose ids collide with the source's, `empty` none."""
    prepared = {
        kind: Prepared(f"{kind}_of_{template}", Fernet.generate_key().decode()) for kind in ("source", "target")
    }
    for seed, (kind, prefix) in enumerate((("source", ""), ("target", "own_")), start=1):
        _fill(cluster, prepared[kind], template, seed=seed, prefix=prefix)
    return {**prepared, "empty": Prepared(template, Fernet.generate_key().decode())}


@pytest.fixture
def sides(
    cluster: Cluster, kms_key: str, airflow_version: str, databases: dict[str, Prepared]
) -> Iterator[Callable[..., Side]]:
    """Make a Side: `sides("source")` is a fresh copy of the filled source, `sides("target")` of the target,
    `sides("empty")` of neither."""
    made = []

    def make(kind: str, **settings: Any) -> Side:
        dbname = f"{kind}_{uuid.uuid4().hex[:12]}"
        cluster.create(dbname, template=databases[kind].dbname)
        made.append(dbname)
        return Side(
            dsn=cluster.dsn(dbname),
            fernet_key=databases[kind].fernet_key,
            bucket=BUCKET,
            kms_key=kms_key,
            environment=settings.pop("environment", f"env-{uuid.uuid4().hex[:8]}"),
            settings=settings,
            airflow_version=airflow_version,
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


def _fill(cluster: Cluster, prepared: Prepared, template: str, seed: int, prefix: str) -> None:
    cluster.create(prepared.dbname, template=template)
    connection = psycopg2.connect(cluster.dsn(prepared.dbname))
    try:
        with connection, connection.cursor() as cursor:
            World(cursor, seed, fernet=Fernet(prepared.fernet_key), prefix=prefix).fill()
    finally:
        connection.close()
