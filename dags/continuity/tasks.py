"""What the tasks of the metadata DAGs do: check the input, connect, act, answer. The DAG files are thin over this."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from continuity import beat as beats
from continuity import connect, drill, errors, verify
from continuity import drain as drains
from continuity import guard as guards
from continuity import lake as lakes
from continuity import lease as leases
from continuity import ledger as ledgers
from continuity import prune as prunes
from continuity.aws import IMPATIENT, client
from continuity.catalog import read_catalog
from continuity.catchup import Skipped, forget_placeholders
from continuity.ledger import Ledger
from continuity.live import Outcome, go_live
from continuity.manifest import NAME as MANIFEST
from continuity.manifest import Manifest, read_manifest
from continuity.policy import make_plan
from continuity.portable_rest import go_live_by_rest, restore_by_rest
from continuity.portable_restore import restore_portable
from continuity.portable_snapshot import Outside, take_portable
from continuity.rest import RestApi
from continuity.restore import ACCEPT, Snapshot, Target, open_snapshot, restore_history, restore_state
from continuity.settings import (
    ALL_RUNS,
    PORTABLE,
    DrainConf,
    PruneConf,
    RunConf,
    Settings,
    load_settings,
    parse_lake_conf,
    parse_request_id,
    refuse_more_than_request,
)
from continuity.snapshot import Source, take_snapshot
from continuity.storage import SnapshotStore
from continuity.task_sdk import TaskSdk
from continuity.tidy import KEPT, KEPT_OF_SNAPSHOTS, forget_old_runs
from continuity.tokens import Answer, answering
from continuity.transactions import transaction

log = logging.getLogger(__name__)

SNAPSHOT_DAG = "continuity_snapshot"
RESTORE_DAG = "continuity_restore"

#: A database that is failing over may be back within this time.
ATTEMPTS, PAUSE_SECONDS = 3, 10.0

#: What the run configuration of `continuity_restore` may say beyond the snapshot and the request.
OF_RESTORE = ("in_flight", "mode", "history_days", "replace", "refresh")


def snapshot(conf: Any) -> dict[str, Any]:
    """`continuity_snapshot`, task `snapshot`. Only its failure is answered: success is for `verified` to tell."""
    settings = load_settings()
    with _answering(settings, conf, errors.SNAPSHOT_FAILED, hand_on=True):
        run = RunConf.parse(conf)
        store = _store(settings)
        kms = client("kms", settings.region)
        check = partial(_refuse_if_fenced, settings)
        try:
            engine = _engine()
        except errors.DatabaseUnreachable as unreachable:
            outside = Outside(_rest_api(settings), TaskSdk(), connect.airflow_version(), str(unreachable))
            done = take_portable(outside, store, kms, settings, run.snapshot_id, check=check)
        else:
            with connect.own_connection(engine) as connection:
                another = partial(connect.own_connection, engine)
                source = Source(connection, connect.fernet_keys(), connect.airflow_version(), another)
                done = take_snapshot(source, store, kms, settings, run.snapshot_id, check=check)
    return _told_of(store, done)


def verified(conf: Any) -> dict[str, Any]:
    """`continuity_snapshot`, task `verify`: in a process of its own, from what is stored alone.

    Also where nobody waits any more: what it finds is written beside the snapshot, and a restore goes by it.
    """
    settings = load_settings()
    with _answering(settings, conf, errors.SNAPSHOT_FAILED, regardless=True) as answer:
        run = RunConf.parse(conf)
        store = _store(settings)
        report = verify.read_back(store, client("kms", settings.region), run.snapshot_id, settings.kms_key)
        verify.record(store, report)
        report.refuse_faults()
        answer.output = _told_of(store, report.manifest)
    forgotten = _forget_old_runs(SNAPSHOT_DAG, KEPT_OF_SNAPSHOTS)
    log.info("forgot %d old runs of %s", forgotten, SNAPSHOT_DAG)
    return dict(answer.output)


def _told_of(store: SnapshotStore, manifest: Manifest) -> dict[str, Any]:
    """What the state machine is told of a snapshot."""
    return {
        "snapshot_id": manifest.snapshot_id,
        "manifest_key": store.key(manifest.snapshot_id, MANIFEST),
        "rows": manifest.rows,
        "bytes": manifest.stored_bytes,
        "mode": manifest.mode,
    }


def restored_state(conf: Any) -> dict[str, Any]:
    """`continuity_restore`, task `state`."""
    settings = load_settings()
    with _answering(settings, conf, errors.RESTORE_FAILED) as answer:
        run = RunConf.parse(conf, optional=OF_RESTORE)
        found = open_snapshot(_store(settings), client("kms", settings.region), settings, run.snapshot_id)
        ledger, already = _restore(found, settings, run)
        answer.output = {
            "snapshot_id": run.snapshot_id,
            "rows": ledger.rows,
            "unpaused": ledger.unpaused,
            "already": already,
            "replaced": ledger.replaced,
            "mode": ledger.mode,
            "left_out": ledger.left_out,
        }
    if run.refresh:
        forgotten = _forget_old_runs(RESTORE_DAG, KEPT_OF_SNAPSHOTS)
        log.info("forgot %d old runs of %s", forgotten, RESTORE_DAG)
    return dict(answer.output)


def _restore(found: Snapshot, settings: Settings, run: RunConf) -> tuple[Ledger, bool]:
    try:
        engine = _engine()
    except errors.DatabaseUnreachable as unreachable:
        if run.mode != PORTABLE:
            raise errors.RestoreRefused(f"{unreachable}. {ACCEPT}") from None
        if run.replace:
            raise errors.RestoreRefused(
                f"{unreachable}. Without it nothing can be deleted, hence nothing replaced"
            ) from None
        return restore_by_rest(_rest_api(settings), TaskSdk(), found, settings, connect.airflow_version())
    with connect.own_connection(engine) as connection:
        target = Target(connection, connect.fernet_keys())
        if run.mode == PORTABLE:
            return restore_portable(target, found, settings, replace=run.replace)
        wanted = replace(settings, history_days=run.history_days or settings.history_days)
        policy = run.in_flight or settings.in_flight
        standby = partial(_refuse_if_active, settings) if run.refresh else None
        return restore_state(target, found, wanted, policy, replace=run.replace, standby=standby)


def restored_history(conf: Any) -> dict[str, Any]:
    """`continuity_restore`, task `history`; nobody waits for it."""
    settings = load_settings()
    run = RunConf.parse(conf, optional=OF_RESTORE)
    if run.mode == PORTABLE or run.refresh:  # a standby gets its history once it is live: it would be replaced again
        return {"snapshot_id": run.snapshot_id, "rows": 0}
    found = open_snapshot(_store(settings), client("kms", settings.region), settings, run.snapshot_id)
    engine = _engine()
    with connect.own_connection(engine) as connection:
        target = Target(connection, connect.fernet_keys(), partial(connect.own_connection, engine))
        rows = restore_history(target, found, settings)
    return {"snapshot_id": run.snapshot_id, "rows": rows}


def gone_live(conf: Any) -> dict[str, Any]:
    """`continuity_go_live`."""
    settings = load_settings()
    with _answering(settings, conf, errors.GO_LIVE_FAILED) as answer:
        run = RunConf.parse(conf, optional=("parse_deadline_seconds",))
        found = open_snapshot(_store(settings), client("kms", settings.region), settings, run.snapshot_id)
        outcome = _go_live(found, settings, run.parse_deadline_seconds)
        answer.output = {
            "snapshot_id": run.snapshot_id,
            "unpaused": outcome.unpaused,
            "missing_dags": outcome.missing_dags,
            **({"would_repeat": outcome.would_repeat} if outcome.would_repeat else {}),
            **outcome.skipped.told(),
        }
    return dict(answer.output)


def _go_live(found: Snapshot, settings: Settings, deadline_seconds: float) -> Outcome:
    """The way the snapshot was restored: the database says nothing of last runs that the REST API could not restore.

    This Region may have taken the lease a moment ago, in a table of which it has a replica."""
    check = partial(_refuse_if_fenced, settings)
    try:
        engine = _engine()
    except errors.DatabaseUnreachable as unreachable:
        log.warning("%s", unreachable)
    else:
        with connect.own_connection(engine) as connection:
            with transaction(connection) as cursor:
                ledger = ledgers.read(cursor)
            if not (ledger and ledger.by_rest):
                target = Target(connection, connect.fernet_keys())
                return go_live(target, found, settings, deadline_seconds, check=check)
    outcome = go_live_by_rest(_rest_api(settings), TaskSdk(), found, deadline_seconds, check=check)
    if settings.catchup_after_sleep != ALL_RUNS:
        outcome = replace(outcome, skipped=Skipped(kept={"every DAG": "without the database no run can be left out"}))
    return outcome


def drained(conf: Any) -> dict[str, Any]:
    """`continuity_drain`. Where another Region holds the lease, the flags are the guard's, and it is refused."""
    settings = load_settings()
    with _answering(settings, conf, errors.DRAIN_FAILED) as answer:
        order = DrainConf.parse(conf)
        _refuse_if_fenced(settings)
        with _place(settings) as place:
            answer.output = asdict(drains.drain(place, order))
    return dict(answer.output)


def undrained(conf: Any) -> dict[str, Any]:
    """`continuity_undrain`. Refused where another Region holds the lease: what it unpaused would run twice."""
    settings = load_settings()
    with _answering(settings, conf, errors.UNDRAIN_FAILED) as answer:
        refuse_more_than_request(conf)
        _refuse_if_fenced(settings)
        with _place(settings) as place:
            answer.output = asdict(place.put_back())
    return dict(answer.output)


def drilled(conf: Any) -> dict[str, Any]:
    """`continuity_drill`. Without the database there is nothing to count by, and it fails."""
    settings = load_settings()
    with _answering(settings, conf, errors.DRILL_FAILED) as answer:
        run = RunConf.parse(conf, optional=("minutes",))
        manifest = read_manifest(_store(settings), run.snapshot_id)
        with connect.own_connection(_engine()) as connection:
            found = drill.look(connection, manifest, settings, run.minutes * 60)
        answer.output = {"snapshot_id": run.snapshot_id, **asdict(found)}
    return dict(answer.output)


@contextmanager
def _place(settings: Settings) -> Iterator[drains.Place]:
    """How the paused flags of this environment can be reached."""
    try:
        engine = _engine()
    except errors.DatabaseUnreachable as unreachable:
        log.warning("%s", unreachable)
        yield drains.ByRest(_rest_api(settings), TaskSdk())
        return
    with connect.own_connection(engine) as connection:
        yield drains.InDatabase(connection)


def beat() -> dict[str, Any]:
    """`continuity_beat`: the beat first, then its own tidying."""
    settings = load_settings()
    item = beats.put_beat(client("dynamodb", settings.region, IMPATIENT), settings)
    forgotten = _forget_old_runs(beats.DAG_ID, KEPT)
    return {
        "beat": item["sk"]["S"],
        "forgotten_runs": forgotten,
        "forgotten_placeholders": _tidied("placeholders", forget_placeholders),
    }


def guard() -> dict[str, Any]:
    """`continuity_guard`: the lease decides, then its own tidying. An unreadable lease fails it."""
    settings = load_settings()
    read = partial(leases.read_lease, client("dynamodb", settings.region, IMPATIENT), settings)
    try:
        engine = connect.engine()
    except errors.DatabaseUnreachable as unreachable:
        log.warning("old runs of %s stay: %s", guards.DAG_ID, unreachable)
        return _told_of_guard(guards.watch(guards.ByRest(_rest_api(settings), TaskSdk(), settings), read, settings), 0)
    with connect.own_connection(engine) as connection:
        watched = guards.watch(guards.InDatabase(connection, settings), read, settings)
        return _told_of_guard(watched, forget_old_runs(connection, guards.DAG_ID))


def _told_of_guard(watched: guards.Watched, forgotten: int) -> dict[str, Any]:
    return {
        "holder": watched.lease.holder if watched.lease else "",
        "paused": len(watched.paused),
        "given_back": len(watched.given_back),
        "forgotten_runs": forgotten,
    }


def exported(conf: Any) -> dict[str, Any]:
    """`continuity_lake`. Where another Region holds the lease, history is written there."""
    settings = load_settings()
    full = parse_lake_conf(conf)
    if settings.lake is None:
        raise errors.BadInput("settings.lake", "missing", "the lake to export to (`metadata_lake` of the module)")
    try:
        _refuse_if_fenced(settings)
    except errors.HeldElsewhere as refusal:
        connect.skip_task(str(refusal))
    store = lakes.store_of(settings.lake, settings)
    with connect.own_connection(_engine()) as connection:
        outcome = lakes.export(connection, store, settings, full=full)
    return {**outcome.as_answer(), "forgotten_runs": _forget_old_runs(lakes.DAG_ID, KEPT_OF_SNAPSHOTS)}


def pruned(conf: Any) -> dict[str, Any]:
    """`continuity_prune`: nothing goes that a verified base does not hold, and the lake, where there is one."""
    settings = load_settings()
    order = PruneConf.parse(conf)
    now = datetime.now(UTC)
    before = now - timedelta(days=order.history_days or settings.prune.history_days)
    store = _store(settings)
    with connect.own_connection(connect.engine()) as connection:
        try:
            _refuse_if_fenced(settings)
            with transaction(connection) as cursor:
                ledgers.refuse_half_restored(ledgers.read(cursor))
                base = prunes.find_base(cursor, store, settings, now, connect.airflow_version())
                if settings.lake:
                    base = lakes.held_back(cursor, base, lakes.store_of(settings.lake, settings))
                plan = make_plan(read_catalog(cursor), settings.tables)
        except errors.ContinuityError as refusal:
            raise errors.PruneRefused(f"nothing was deleted: {refusal}") from None
        outcome = prunes.prune(connection, plan, base, before, dry_run=order.dry_run)
        forgotten = forget_old_runs(connection, prunes.DAG_ID, KEPT_OF_SNAPSHOTS)
    return {**outcome.as_answer(), "forgotten_runs": forgotten}


def _tidied(name: str, act: Callable[[Any], int]) -> int:
    """How many of them went; none where the database is out of reach."""
    try:
        engine = connect.engine()
    except errors.DatabaseUnreachable as unreachable:
        log.warning("%s stay: %s", name, unreachable)
        return 0
    with connect.own_connection(engine) as connection:
        return act(connection)


def _forget_old_runs(dag_id: str, kept: str) -> int:
    return _tidied(f"old runs of {dag_id}", lambda connection: forget_old_runs(connection, dag_id, kept))


def _engine() -> Any:
    """An engine of the metadata database. Raises DatabaseUnreachable where it stays out of reach for a while."""
    for _ in range(ATTEMPTS - 1):
        try:
            return connect.engine()
        except errors.DatabaseUnreachable as unreachable:
            if not unreachable.may_pass:
                raise
            log.warning("%s; trying again in %.0f s", unreachable, PAUSE_SECONDS)
            time.sleep(PAUSE_SECONDS)
    return connect.engine()


def _rest_api(settings: Settings) -> RestApi:
    return RestApi(client("mwaa", settings.region), settings.environment)


def _refuse_if_fenced(settings: Settings) -> None:
    leases.refuse_if_held_elsewhere(leases.read_lease(client("dynamodb", settings.region), settings), settings)


def _refuse_if_active(settings: Settings) -> None:
    dynamodb = client("dynamodb", settings.region, IMPATIENT)
    leases.refuse_if_held_here(leases.read_lease(dynamodb, settings), settings)


@contextmanager
def _answering(settings: Settings, conf: Any, failure: str, **how: bool) -> Iterator[Answer]:
    request_id = parse_request_id(conf)
    clients = (client("s3", settings.region), client("stepfunctions", settings.region))
    try:
        with answering(
            *clients, settings.snapshot_bucket, settings.environment, request_id=request_id, failure=failure, **how
        ) as answer:
            yield answer
    except errors.NobodyWaits as given_up:
        connect.skip_task(str(given_up))


def _store(settings: Settings) -> SnapshotStore:
    return SnapshotStore(client("s3", settings.region), settings.snapshot_bucket, settings.environment)


def conf_of(context: Mapping[str, Any]) -> Any:
    """The run configuration, as an object even where it was left out."""
    return context["dag_run"].conf or {}
