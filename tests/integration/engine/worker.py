"""Run the engine against one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import psycopg2

from continuity import verify
from continuity.ledger import Ledger
from continuity.live import Outcome, go_live
from continuity.manifest import Manifest
from continuity.restore import Snapshot, StandbyCheck, Target, open_snapshot, restore_history, restore_state
from continuity.secrets import FernetKeys
from continuity.settings import InFlight, Settings
from continuity.snapshot import Source, take_snapshot
from continuity.storage import SnapshotStore


@dataclass(frozen=True)
class Side:
    """One environment, as the engine sees it."""

    dsn: str
    fernet_key: str
    bucket: str
    kms_key: str
    environment: str
    region: str = "us-east-1"
    settings: dict[str, Any] = field(default_factory=dict)
    airflow_version: str = "2.10.3"

    def parsed(self) -> Settings:
        return Settings.parse(
            {
                "environment": self.environment,
                "region": self.region,
                "snapshot_bucket": self.bucket,
                "kms_key": self.kms_key,
                "lease_table": "lease",
                **self.settings,
            }
        )

    @property
    def store(self) -> SnapshotStore:
        return SnapshotStore(self.client("s3"), self.bucket, self.environment)

    def snapshot(self, snapshot_id: str) -> Manifest:
        with self.connection() as connection:
            source = Source(connection, FernetKeys(self.fernet_key), self.airflow_version, self.connection)
            return take_snapshot(source, self.store, self.client("kms"), self.parsed(), snapshot_id)

    def proven_snapshot(self, snapshot_id: str) -> Manifest:
        """A snapshot that is read back, as `continuity_snapshot` does: the next one may build on it."""
        manifest = self.snapshot(snapshot_id)
        report = verify.read_back(self.store, self.client("kms"), snapshot_id, self.kms_key)
        verify.record(self.store, report)
        report.refuse_faults()
        return manifest

    def restore_state(
        self,
        snapshot_id: str,
        in_flight: dict[str, Any] | None = None,
        *,
        replace: bool = False,
        standby: StandbyCheck | None = None,
    ) -> tuple[Ledger, bool]:
        with self._target() as target:
            policy = InFlight.parse(in_flight or {}, "in_flight")
            snapshot = self._open(snapshot_id)
            return restore_state(target, snapshot, self.parsed(), policy, replace=replace, standby=standby)

    def restore_history(self, snapshot_id: str) -> int:
        with self._target() as target:
            return restore_history(target, self._open(snapshot_id), self.parsed())

    def go_live(self, snapshot_id: str, deadline: float = 0) -> Outcome:
        with self._target() as target:
            return go_live(target, self._open(snapshot_id), self.parsed(), deadline, poll_seconds=0.05)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """The session that the engine works in."""
        connection = psycopg2.connect(self.dsn)
        try:
            yield connection
        finally:
            connection.close()

    def client(self, service: str, **settings: Any) -> Any:
        """What the engine talks to S3 or KMS with."""
        # A multi-Region key answers in every Region; the one here answers where it is.
        region = self.kms_key.split(":")[3] if service == "kms" else self.region
        return boto3.client(service, region_name=region, **settings)

    def _open(self, snapshot_id: str) -> Snapshot:
        return open_snapshot(self.store, self.client("kms"), self.parsed(), snapshot_id)

    @contextmanager
    def _target(self) -> Iterator[Target]:
        with self.connection() as connection:
            yield Target(connection, FernetKeys(self.fernet_key), self.connection)
