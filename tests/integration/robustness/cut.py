"""Take a snapshot of a database that goes on changing, and know what it held at the cut."""

from __future__ import annotations

import subprocess
from functools import partial

import psycopg2

from continuity.secrets import FernetKeys
from continuity.snapshot import Source, take_snapshot
from tests.integration.engine.worker import Side
from tests.postgres import SUPERUSER, Cluster, bin_dir


def snapshot_and_copy(cluster: Cluster, source: Side, frozen: Side, snapshot_id: str) -> str:
    """While the snapshot is taken, copy the database as of its cut into `frozen`; returns PostgreSQL's name of the
    cut."""
    kept: list[str] = []
    with source.connection() as connection:
        take_snapshot(
            Source(connection, FernetKeys(source.fernet_key), source.airflow_version),
            source.store,
            source.client("kms"),
            source.parsed(),
            snapshot_id,
            check=partial(_copy, cluster, source, frozen, kept),
        )
    (cut,) = kept
    return cut


def _copy(cluster: Cluster, source: Side, frozen: Side, kept: list[str]) -> None:
    """By PostgreSQL's own means; notes which cut."""
    with psycopg2.connect(cluster.dsn("postgres", SUPERUSER)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_ls_dir('pg_snapshots')")
        (exported,) = [name for (name,) in cursor.fetchall()]
    connection.close()
    kept.append(exported)
    dump = [str(bin_dir() / "pg_dump"), "--clean", "--if-exists", f"--snapshot={exported}", source.dsn]
    copied = subprocess.run(dump, text=True, capture_output=True, check=True).stdout
    load = [
        str(bin_dir() / "psql"),
        "--quiet",
        "--no-psqlrc",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
        frozen.dsn,
    ]
    subprocess.run(load, text=True, input=copied, capture_output=True, check=True)
