"""One piece of work in a process of its own, as a task of Airflow does it: `python -m tests.bench.work` with a JSON
document on stdin (see `Order`), in Airflow's own environment. The last line it prints is its outcome as JSON.

Peak memory is VmHWM of /proc/self/status: what `getrusage` says begins with the memory of the process that started
this one.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from tests.bench.parts import OF_RESTORE, OF_SNAPSHOT, Parts


@dataclass(frozen=True)
class Order:
    """What to do: action, database, snapshot, where objects are stored (`folder` of a local sink; None: S3)."""

    action: str
    dsn: str = ""
    snapshot_id: str = ""
    environment: str = "bench"
    fernet_key: str = ""
    kms_key: str = ""
    bucket: str = "snapshots"
    folder: str | None = None
    airflow_version: str = "2.10.3"


#: What a worker has loaded before the work of our task begins.
LOADED = (
    "airflow.cli.commands.task_command",
    "airflow.jobs.local_task_job_runner",
    "airflow.models",
    "boto3",
    "continuity.cli",
    "continuity.tasks",
)


def peak_rss_mib() -> float:
    """The most memory this process ever had, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Worker:
    """Does what an order says."""

    def __init__(self, order: Order) -> None:
        from continuity.secrets import FernetKeys
        from continuity.settings import Settings

        self.order = order
        self.parts = Parts()
        self.settings = Settings.parse(
            {
                "environment": order.environment,
                "region": "us-east-1",
                "snapshot_bucket": order.bucket,
                "kms_key": order.kms_key,
                "lease_table": "lease",
            }
        )
        self.fernet = FernetKeys(order.fernet_key)

    def snapshot(self) -> dict[str, Any]:
        from continuity.snapshot import Source, take_snapshot

        self.parts.watch(OF_SNAPSHOT)
        with self._connection() as connection:
            source = Source(connection, self.fernet, self.order.airflow_version, self._connection)
            done = take_snapshot(source, self._store(), self._kms(), self.settings, self.order.snapshot_id)
        stored = done.stored_bytes + sum(entry["bytes"] for entry in done.plain_objects) + len(done.to_json())
        return {"bytes": stored, "rows": done.rows, "is_delta": done.base is not None}

    def proven_snapshot(self) -> dict[str, Any]:
        """A snapshot that is read back, as the second task of the DAG does: later ones may be deltas of it."""
        from continuity import verify

        outcome = self.snapshot()
        report = verify.read_back(self._store(), self._kms(), self.order.snapshot_id, self.order.kms_key)
        verify.record(self._store(), report)
        report.refuse_faults()
        return outcome

    def export(self) -> dict[str, Any]:
        """What changed since the last export to the lake, or everything where there was none."""
        from continuity.lake import export
        from continuity.lake_store import LakeStore

        with self._connection() as connection:
            store = LakeStore(self._s3(), self.order.bucket, "lake/", self.order.environment)
            done = export(connection, store, self.settings)
        return {"bytes": done.bytes, "rows": sum(done.mark.rows.values()), "is_day": done.by == "transactions"}

    def restore(self) -> dict[str, Any]:
        """State, going live, history: the order in which a failover does them."""
        from continuity.restore import Target, restore_history

        self.parts.watch(OF_RESTORE)
        began = time.perf_counter()
        live = self.go_live()
        with self._connection() as connection:
            rows = restore_history(Target(connection, self.fernet, self._connection), self._open(), self.settings)
        whole = time.perf_counter() - began
        # As long as nothing says when DAGs are parsed, pretending that they are costs us, not the restore.
        return {**live, "history_rows": rows, "seconds": whole - live["parse_seconds"]}

    def refresh(self) -> dict[str, Any]:
        """State alone, as into a hot standby."""
        from continuity.restore import Target, restore_state
        from continuity.settings import InFlight

        with self._connection() as connection:
            target = Target(connection, self.fernet)
            ledger, _ = restore_state(target, self._open(), self.settings, InFlight(), standby=lambda: None)
        return {"rows": ledger.rows}

    def go_live(self) -> dict[str, Any]:
        """State and going live, without the wait for Airflow to parse the DAGs."""
        from continuity.live import go_live
        from continuity.restore import Target, restore_state
        from continuity.settings import InFlight

        began = time.perf_counter()
        with self._connection() as connection:
            target = Target(connection, self.fernet)
            ledger, _ = restore_state(target, self._open(), self.settings, InFlight())
            restored = time.perf_counter()
            pretend_parsed(connection)
            parsed = time.perf_counter()
            go_live(target, self._open(), self.settings, deadline_seconds=0)
        ended = time.perf_counter()
        return {
            "state_seconds": restored - began,
            "take_up_seconds": ended - parsed,
            "parse_seconds": parsed - restored,
            "seconds": ended - parsed + restored - began,
            "rows": ledger.rows,
        }

    def row_wise_snapshot(self) -> dict[str, Any]:
        from tests.bench import row_wise

        return {"bytes": row_wise.snapshot(self.order.dsn, self._s3(), self.order.bucket, self._prefix())}

    def row_wise_restore(self) -> dict[str, Any]:
        from tests.bench import row_wise

        with self._connection() as connection:
            row_wise.restore(connection, self._s3(), self.order.bucket, self._prefix())
        return {}

    def bare(self) -> dict[str, Any]:
        """Nothing: what the imports cost."""
        return {}

    def _prefix(self) -> str:
        return f"row_wise/{self.order.snapshot_id}/"

    def _connection(self) -> Any:
        from contextlib import closing

        return closing(psycopg2.connect(self.order.dsn))

    def _open(self) -> Any:
        from continuity.restore import open_snapshot

        return open_snapshot(self._store(), self._kms(), self.settings, self.order.snapshot_id)

    def _store(self) -> Any:
        from continuity.storage import SnapshotStore

        return SnapshotStore(self._s3(), self.order.bucket, self.order.environment)

    def _s3(self) -> Any:
        if self.order.folder:
            from tests.bench.sink import FolderS3

            return FolderS3(Path(self.order.folder))
        return self._client("s3")

    def _kms(self) -> Any:
        return self._client("kms")

    def _client(self, service: str) -> Any:
        import boto3

        return boto3.client(service, region_name="us-east-1")


def pretend_parsed(connection: Any) -> None:
    """Do what Airflow's parser does to the rows of DAGs that have a file."""
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE dag SET is_active = true, last_parsed_time = now()")
        cursor.execute(
            """INSERT INTO serialized_dag (dag_id, fileloc, fileloc_hash, data, last_updated, dag_hash)
            SELECT dag_id, 'x', 1, '{}', now(), 'x' FROM dag ON CONFLICT DO NOTHING"""
        )


def main() -> int:
    for name in LOADED:
        importlib.import_module(name)
    order = Order(**json.load(sys.stdin))
    worker = Worker(order)
    action: Callable[[], dict[str, Any]] = getattr(worker, order.action)
    began, cpu = time.perf_counter(), time.process_time()
    outcome = action()
    taken = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**taken, "peak_rss_mib": peak_rss_mib(), **outcome, "parts": worker.parts.seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
