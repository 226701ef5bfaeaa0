"""Run the engine against one database, in this process or in one that can be killed.

    python -m tests.integration.engine.worker '{"action": "state", "side": {...}, "snapshot_id": "...", "die_at": 17}'

`die_at`: send SIGKILL to itself before the n-th thing it does (a statement, a COPY, a request to S3 or KMS).
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import psycopg2
from psycopg2 import extensions

from continuity.ledger import Ledger
from continuity.live import Outcome, go_live
from continuity.manifest import Manifest
from continuity.restore import Snapshot, Target, open_snapshot, restore_history, restore_state
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
        return SnapshotStore(self._client("s3"), self.bucket, self.environment)

    def snapshot(self, snapshot_id: str, tick: Callable[[], None] | None = None) -> Manifest:
        with self._connection(tick) as connection:
            source = Source(connection, FernetKeys(self.fernet_key), self.airflow_version)
            store = SnapshotStore(self._client("s3", tick), self.bucket, self.environment)
            return take_snapshot(source, store, self._client("kms"), self.parsed(), snapshot_id)

    def restore_state(
        self, snapshot_id: str, in_flight: dict[str, Any] | None = None, tick: Callable[[], None] | None = None
    ) -> tuple[Ledger, bool]:
        with self._target(tick) as target:
            policy = InFlight.parse(in_flight or {}, "in_flight")
            return restore_state(target, self._open(snapshot_id, tick), self.parsed(), policy)

    def restore_history(self, snapshot_id: str, tick: Callable[[], None] | None = None) -> int:
        with self._target(tick) as target:
            return restore_history(target, self._open(snapshot_id), self.parsed())

    def go_live(self, snapshot_id: str, deadline: float = 0, tick: Callable[[], None] | None = None) -> Outcome:
        with self._target(tick) as target:
            return go_live(target, self._open(snapshot_id), self.parsed(), deadline, poll_seconds=0.05)

    def _open(self, snapshot_id: str, tick: Callable[[], None] | None = None) -> Snapshot:
        store = SnapshotStore(self._client("s3", tick), self.bucket, self.environment)
        return open_snapshot(store, self._client("kms"), self.parsed(), snapshot_id)

    @contextmanager
    def _target(self, tick: Callable[[], None] | None = None) -> Iterator[Target]:
        with self._connection(tick) as connection:
            yield Target(connection, FernetKeys(self.fernet_key))

    @contextmanager
    def _connection(self, tick: Callable[[], None] | None = None) -> Iterator[Any]:
        connection = psycopg2.connect(self.dsn, cursor_factory=ticking(tick) if tick else None)
        try:
            yield connection
        finally:
            connection.close()

    def _client(self, service: str, tick: Callable[[], None] | None = None) -> Any:
        # A multi-Region key answers in every Region; the one here answers where it is.
        region = self.kms_key.split(":")[3] if service == "kms" else self.region
        client = boto3.client(service, region_name=region)
        if tick:
            client.meta.events.register(f"before-call.{service}", lambda **_: tick())
        return client


def ticking(tick: Callable[[], None]) -> type[extensions.cursor]:
    """A cursor that tells of each statement before it runs."""

    class Ticking(extensions.cursor):
        def execute(self, *args: Any, **kwargs: Any) -> None:
            tick()
            super().execute(*args, **kwargs)

        def copy_expert(self, *args: Any, **kwargs: Any) -> None:
            tick()
            super().copy_expert(*args, **kwargs)

    return Ticking


class Countdown:
    """Counts what happens, and kills this process at a chosen count."""

    def __init__(self, die_at: int | None = None) -> None:
        self.die_at, self.count = die_at, 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(order: dict[str, Any]) -> None:
    side = Side(**order["side"])
    tick = Countdown(order.get("die_at"))
    action = getattr(
        side,
        {"snapshot": "snapshot", "state": "restore_state", "history": "restore_history", "live": "go_live"}[
            order["action"]
        ],
    )
    action(order["snapshot_id"], tick=tick)
    print(json.dumps({"ticks": tick.count}))


def order_of(action: str, side: Side, snapshot_id: str, die_at: int | None = None) -> str:
    return json.dumps(
        {"action": action, "side": dataclasses.asdict(side), "snapshot_id": snapshot_id, "die_at": die_at}
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
