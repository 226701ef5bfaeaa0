"""The servers of a bench run and their databases: a PostgreSQL cluster, S3 and KMS in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg2
from botocore.exceptions import EndpointConnectionError
from cryptography.fernet import Fernet

from tests.bench.generate import Size, fill
from tests.postgres import SUPERUSER, Cluster, bin_dir, free_port, migrate

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "snapshots"
#: Databases: a schema as Airflow makes it; the same without a single row; the same in which Airflow has run a little.
EMPTY, BLANK, LIVED_IN = "empty", "blank", "lived_in"
#: What an environment has of its own before anything is restored into it: runs of the metadata DAGs.
OWN = Size(task_instances=500, dags=5)
OWN_PREFIX = "continuity_"
START_SECONDS = 60
TRUNCATE_ALL = """EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') FROM pg_tables
  WHERE schemaname = 'public');"""


@dataclass(frozen=True)
class Setting:
    """Where everything is. `scratch` is a folder for what contenders write."""

    cluster: Cluster
    scratch: Path
    aws: str
    kms_key: str
    airflow_version: str
    fernet_key: str

    @property
    def python(self) -> Path:
        """The interpreter of the real Airflow."""
        return ROOT / f"build/airflow/{self.airflow_version}/bin/python"

    @property
    def server_pid(self) -> int:
        assert self.cluster.pid
        return self.cluster.pid

    def environment(self) -> dict[str, str]:
        """Environment variables of a worker of Airflow."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON", "AWS"))},
            **aws_variables(self.aws),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'dags'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW_HOME": str(self.scratch / "airflow"),
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.cluster.url(EMPTY),
        }

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1", endpoint_url=self.aws, **CREDENTIALS)

    @contextmanager
    def database(self, template: str | None) -> Iterator[str]:
        """Name of a database of its own, a copy of another one (None: without anything in it)."""
        name = f"run_{uuid.uuid4().hex[:12]}"
        self.cluster.create(name, template=template)
        try:
            yield name
        finally:
            self.cluster.drop(name)

    def administer(self, *statements: str, dbname: str = "postgres") -> None:
        """Run statements as the superuser, outside of any transaction."""
        with closing(psycopg2.connect(self.cluster.dsn(dbname, SUPERUSER))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)


CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def aws_variables(address: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
    }


def source_of(task_instances: int) -> str:
    """Name of the database with that many task instances."""
    return f"source_{task_instances}"


@contextmanager
def prepared(folder: Path, airflow_version: str, sizes: tuple[int, ...]) -> Iterator[Setting]:
    """Start the servers and fill what is not filled yet; everything is below `folder`, and stopped at the end."""
    with Cluster(folder, shared_buffers=a_quarter_of_memory()) as cluster, _aws() as address:
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        kms = boto3.client("kms", region_name="us-east-1", endpoint_url=address, **CREDENTIALS)
        boto3.client("s3", region_name="us-east-1", endpoint_url=address, **CREDENTIALS).create_bucket(Bucket=BUCKET)
        setting = Setting(
            cluster=cluster,
            scratch=scratch,
            aws=address,
            kms_key=kms.create_key()["KeyMetadata"]["Arn"],
            airflow_version=airflow_version,
            fernet_key=_fernet_key(folder),
        )
        # Its visits at random would go to the account of whoever is measured at that moment.
        setting.administer("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
        _make_databases(setting, sizes)
        yield setting


def a_quarter_of_memory() -> str:
    """What PostgreSQL's manual has a server of its own begin with, and RDS gives: with the default of 128 MB, made for
    the smallest machines, what is measured is how the kernel's cache is copied and emptied."""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 4 // 2**20}MB"


def _fernet_key(folder: Path) -> str:
    path = folder / "fernet_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Fernet.generate_key().decode())
    return path.read_text()


def _make_databases(setting: Setting, sizes: tuple[int, ...]) -> None:
    with (
        closing(psycopg2.connect(setting.cluster.dsn("postgres", SUPERUSER))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT datname FROM pg_database")
        present = {name for (name,) in cursor.fetchall()}
    if EMPTY not in present:
        airflow = ROOT / f"build/airflow/{setting.airflow_version}/bin/airflow"
        migrate(setting.cluster, EMPTY, airflow, setting.fernet_key)
    if BLANK not in present:
        setting.cluster.create(BLANK, template=EMPTY)
        setting.administer(f"DO $$BEGIN {TRUNCATE_ALL} END$$", dbname=BLANK)
    wanted = {LIVED_IN: (OWN, OWN_PREFIX), **{source_of(size): (Size(size), "") for size in sizes}}
    for name, (size, prefix) in wanted.items():
        if name not in present:
            print(f"filling a database with {size.task_instances:,} task instances", flush=True)
            setting.cluster.drop(f"{name}_unfinished")
            setting.cluster.create(f"{name}_unfinished", template=EMPTY)
            _fill(setting, f"{name}_unfinished", size, prefix)
            # Under its name only when it is whole: a run that is interrupted begins it again.
            setting.administer(f'ALTER DATABASE "{name}_unfinished" RENAME TO "{name}"')


def _fill(setting: Setting, dbname: str, size: Size, prefix: str) -> None:
    with (
        closing(psycopg2.connect(setting.cluster.dsn(dbname, SUPERUSER))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        fill(cursor, size, Fernet(setting.fernet_key), prefix)
    setting.administer("VACUUM ANALYZE", "CHECKPOINT", dbname=dbname)


@contextmanager
def _aws() -> Iterator[str]:
    """Address of an S3 and KMS that forget everything at the end."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-c", f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt from the terminal is for us; we end it in order
    )
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=address, **CREDENTIALS)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.list_buckets()
        except EndpointConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def program(name: str) -> Path:
    """One of PostgreSQL's own programs."""
    return bin_dir() / name
