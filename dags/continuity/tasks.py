"""What the tasks of the metadata DAGs do: check the input, connect, act, answer. The DAG files are thin over this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from continuity import beat as beats
from continuity import connect, errors
from continuity import guard as guards
from continuity.live import go_live
from continuity.restore import Target, open_snapshot, restore_history, restore_state
from continuity.settings import RunConf, Settings, load_settings, parse_request_id
from continuity.snapshot import Source, take_snapshot
from continuity.storage import SnapshotStore
from continuity.tidy import forget_old_runs
from continuity.tokens import Answer, answering

#: For what is done every minute: a beat that cannot be put within its minute is a missed beat.
IMPATIENT = Config(connect_timeout=5, read_timeout=5, retries={"max_attempts": 2})


def snapshot(conf: Any) -> dict[str, Any]:
    """`continuity_snapshot`."""
    settings = load_settings()
    with _answering(settings, conf, errors.SNAPSHOT_FAILED) as answer:
        run = RunConf.parse(conf)
        store = _store(settings)
        with connect.own_connection(connect.engine()) as connection:
            source = Source(connection, connect.fernet_keys(), connect.airflow_version())
            kms = _client("kms", settings)
            check = partial(_refuse_if_fenced, settings)
            done = take_snapshot(source, store, kms, settings, run.snapshot_id, check=check)
        answer.output = {
            "snapshot_id": done.snapshot_id,
            "manifest_key": store.key(done.snapshot_id, "manifest.json"),
            "rows": done.rows,
            "bytes": done.stored_bytes,
            "mode": done.mode,
        }
    return dict(answer.output)


def restored_state(conf: Any) -> dict[str, Any]:
    """`continuity_restore`, task `state`."""
    settings = load_settings()
    with _answering(settings, conf, errors.RESTORE_FAILED) as answer:
        run = RunConf.parse(conf, optional=("in_flight",))
        found = open_snapshot(_store(settings), _client("kms", settings), settings, run.snapshot_id)
        with connect.own_connection(connect.engine()) as connection:
            target = Target(connection, connect.fernet_keys())
            ledger, already = restore_state(target, found, settings, run.in_flight or settings.in_flight)
        answer.output = {
            "snapshot_id": run.snapshot_id,
            "rows": ledger.rows,
            "unpaused": ledger.unpaused,
            "already": already,
        }
    return dict(answer.output)


def restored_history(conf: Any) -> dict[str, Any]:
    """`continuity_restore`, task `history`; nobody waits for it."""
    settings = load_settings()
    run = RunConf.parse(conf, optional=("in_flight",))
    found = open_snapshot(_store(settings), _client("kms", settings), settings, run.snapshot_id)
    with connect.own_connection(connect.engine()) as connection:
        rows = restore_history(Target(connection, connect.fernet_keys()), found, settings)
    return {"snapshot_id": run.snapshot_id, "rows": rows}


def gone_live(conf: Any) -> dict[str, Any]:
    """`continuity_go_live`."""
    settings = load_settings()
    with _answering(settings, conf, errors.GO_LIVE_FAILED) as answer:
        run = RunConf.parse(conf, optional=("parse_deadline_seconds",))
        found = open_snapshot(_store(settings), _client("kms", settings), settings, run.snapshot_id)
        with connect.own_connection(connect.engine()) as connection:
            target = Target(connection, connect.fernet_keys())
            outcome = go_live(target, found, settings, run.parse_deadline_seconds)
        answer.output = {
            "snapshot_id": run.snapshot_id,
            "unpaused": outcome.unpaused,
            "missing_dags": outcome.missing_dags,
        }
    return dict(answer.output)


def beat() -> dict[str, Any]:
    """`continuity_beat`: the mark first, then its own tidying."""
    settings = load_settings()
    client = boto3.client("dynamodb", region_name=settings.region, config=IMPATIENT)
    item = beats.put_beat(client, settings)
    with connect.own_connection(connect.engine()) as connection:
        forgotten = forget_old_runs(connection, beats.DAG_ID)
    return {"beat": item["sk"]["S"], "forgotten_runs": forgotten}


def guard() -> dict[str, Any]:
    """`continuity_guard`: the lease decides, then its own tidying. An unreadable lease fails it and changes nothing."""
    settings = load_settings()
    client = boto3.client("dynamodb", region_name=settings.region, config=IMPATIENT)
    lease = guards.read_lease(client, settings)
    with connect.own_connection(connect.engine()) as connection:
        paused = guards.fence(connection, lease) if guards.held_elsewhere(lease, settings) else []
        forgotten = forget_old_runs(connection, guards.DAG_ID)
    return {"holder": lease.holder if lease else "", "paused": len(paused), "forgotten_runs": forgotten}


def _refuse_if_fenced(settings: Settings) -> None:
    guards.refuse_if_held_elsewhere(guards.read_lease(_client("dynamodb", settings), settings), settings)


@contextmanager
def _answering(settings: Settings, conf: Any, failure: str) -> Iterator[Answer]:
    request_id = parse_request_id(conf)
    clients = (_client("s3", settings), _client("stepfunctions", settings))
    try:
        with answering(
            *clients, settings.snapshot_bucket, settings.environment, request_id=request_id, failure=failure
        ) as answer:
            yield answer
    except errors.NobodyWaits as given_up:
        connect.skip_task(str(given_up))


def _client(service: str, settings: Settings) -> Any:
    # Several task processes of one worker may start at once; adaptive retries spread them.
    return boto3.client(
        service, region_name=settings.region, config=Config(retries={"mode": "standard", "max_attempts": 8})
    )  # type: ignore[call-overload]


def _store(settings: Settings) -> SnapshotStore:
    return SnapshotStore(_client("s3", settings), settings.snapshot_bucket, settings.environment)


def conf_of(context: Mapping[str, Any]) -> Any:
    """The run configuration, as an object even where it was left out."""
    return context["dag_run"].conf or {}
