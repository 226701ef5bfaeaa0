"""A small snapshot in a bucket by moto, for what reads snapshots and needs no database."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from continuity import manifest, secrets
from continuity.manifest import ColumnEntry, Manifest, ObjectEntry, TableEntry
from continuity.storage import SnapshotStore

BUCKET, ENVIRONMENT, REGION = "bucket", "env", "us-east-1"
ID, OTHER_ID = "20260131T235959Z-0a1b2c3d", "20260201T000000Z-0a1b2c3d"
PASSWORD, VALUE, TOKEN = "pa55w0rd-planted", "va1ue-planted", "t0ken-planted"

SEALED_ROWS: dict[str, list[dict[str, str | None]]] = {
    "connection": [
        {"conn_id": "one", "conn_type": "http", "password": PASSWORD, "port": "8080", "extra": '{"a": 1}'},
        {"conn_id": "two", "conn_type": "http", "password": None, "port": None, "extra": ""},
    ],
    "trigger": [{"id": "7", "classpath": "x.Y", "kwargs": json.dumps({"token": TOKEN})}],
    "variable": [{"key": "one", "val": VALUE, "description": "said"}],
}
COPIED = {
    "dag_run": (["id", "run_id"], {"state": b"1\tmanual\\t\\n1\n2\tb\n", "history": b""}),
    "log": (["id"], {"history": b"1\n2\n3\n"}),
}


@dataclass
class Stored:
    """Snapshots of one environment; `kms` and `s3` are the administrator's."""

    s3: Any
    kms: Any
    key_arn: str

    @classmethod
    def make(cls, s3: Any, kms: Any) -> Stored:
        s3.create_bucket(Bucket=BUCKET)
        return cls(s3, kms, kms.create_key()["KeyMetadata"]["Arn"])

    @property
    def store(self) -> SnapshotStore:
        return SnapshotStore(self.s3, BUCKET, ENVIRONMENT)

    def snapshot(self, snapshot_id: str = ID, **overrides: Any) -> Manifest:
        """Write a complete snapshot."""
        key = secrets.new_data_key(self.kms, self.key_arn, manifest.key_context(ENVIRONMENT, snapshot_id))
        tables = [self._copied(snapshot_id, name, *rest) for name, rest in COPIED.items()]
        tables += [self._sealed(snapshot_id, name, rows, key) for name, rows in SEALED_ROWS.items()]
        spec = self._put(snapshot_id, "spec.json", "spec", b'{"Name": "env"}', 0)
        values: dict[str, Any] = {
            "snapshot_id": snapshot_id,
            "environment": ENVIRONMENT,
            "region": REGION,
            "airflow_version": "2.10.3",
            "alembic_heads": {"alembic_version": ["5f2621c13b39"]},
            "postgres_version": "15.7",
            "cut_at": "2026-01-31T23:59:59+00:00",
            "started_at": "2026-01-31T23:59:58+00:00",
            "completed_at": "2026-02-01T00:00:09+00:00",
            "exported_snapshot": None,
            "encryption": {
                "algorithm": secrets.ALGORITHM,
                "kms_key_arn": self.key_arn,
                "encrypted_data_key": base64.b64encode(key.encrypted).decode(),
                "context": dict(key.context),
            },
            "paused": {"reports": False, "dormant": True},
            "in_flight": [["reports", "manual__1", "load", -1, "running"]],
            "tables": tuple(tables),
            "skipped": [{"name": "serialized_dag", "why": "Airflow regenerates it when it parses the DAGs"}],
            "unknown_tables": ["plugin_notes"],
            "spec": {"name": spec.name, "bytes": spec.bytes, "sha256": spec.sha256},
        }
        made = Manifest(**{**values, **overrides})
        self.store.put(snapshot_id, manifest.NAME, made.to_json())
        return made

    def body(self, name: str, snapshot_id: str = ID) -> bytes:
        found = self.store.read_if_present(snapshot_id, name)
        assert found is not None, name
        return found

    def claim(self, name: str, body: bytes, snapshot_id: str = ID) -> None:
        """Replace an object, and let the manifest claim what it has become."""
        document = json.loads(self.body(manifest.NAME, snapshot_id))
        for entry in (entry for table in document["tables"] for entry in table["objects"]):
            if entry["name"] == name:
                entry.update(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
        self.store.put(snapshot_id, name, body)
        self.store.put(snapshot_id, manifest.NAME, json.dumps(document).encode())

    def _copied(self, snapshot_id: str, name: str, columns: list[str], contents: dict[str, bytes]) -> TableEntry:
        objects = tuple(
            self._put(snapshot_id, f"{name}.{phase}.copy.gz", phase, gzip.compress(text, 1, mtime=0), text.count(b"\n"))
            for phase, text in contents.items()
        )
        return self._table(name, "carry", columns, objects)

    def _sealed(
        self, snapshot_id: str, name: str, rows: list[dict[str, str | None]], key: secrets.DataKey
    ) -> TableEntry:
        body = secrets.seal((json.dumps(row).encode() for row in rows), key, f"{snapshot_id}/{name}")
        entry = self._put(snapshot_id, f"{name}.sealed", "state", body, len(rows))
        return self._table(name, "sealed", list(rows[0]), (entry,))

    def _put(self, snapshot_id: str, name: str, phase: str, body: bytes, rows: int) -> ObjectEntry:
        self.store.put(snapshot_id, name, body)
        return ObjectEntry(name, phase, rows, len(body), hashlib.sha256(body).hexdigest())

    @staticmethod
    def _table(name: str, verdict: str, columns: list[str], objects: tuple[ObjectEntry, ...]) -> TableEntry:
        named = tuple(ColumnEntry(column, "text") for column in columns)
        return TableEntry(name, verdict, named, sum(entry.rows for entry in objects), None, objects)
