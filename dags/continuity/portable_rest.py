"""Portable restore without the database (Airflow 3): connections, variables, pools and paused flags by the REST API.

It cannot recreate a run of a schedule. So a DAG whose next run would be one that the snapshot's environment had already
stays paused, and is named.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from continuity import guard, portable, verify
from continuity import ledger as ledgers
from continuity.errors import ContinuityError, RestRefused
from continuity.ledger import Ledger, Memory
from continuity.live import POLL_SECONDS, Check, Outcome, wait_until_held
from continuity.portable_restore import OF_SCHEDULE, tell
from continuity.reading import Row, state_rows
from continuity.rest import RestApi
from continuity.restore import Snapshot
from continuity.settings import FULL, PORTABLE, Settings, matches

log = logging.getLogger(__name__)

#: Entities of one call.
BATCH = 50
#: What is written, in order: table -> path, member with the name, that member in the snapshot.
WRITTEN = {
    "connection": ("/connections", "connection_id", "conn_id"),
    "variable": ("/variables", "key", "key"),
    "slot_pool": ("/pools", "name", "pool"),
}
FIRST_PARSE = (
    "DAGs with is_paused_upon_creation=False: without the database they cannot be paused before they are parsed first, "
    "and run from then on"
)
AUDITED = (
    "secrecy: Airflow before 3.3 writes what its REST API is sent into its audit log, values of variables and extras "
    "of connections in clear text"
)


def restore_by_rest(
    api: RestApi, memory: Memory, snapshot: Snapshot, settings: Settings, airflow_version: str
) -> tuple[Ledger, bool]:
    """Write what is portable into this version; returns the ledger, and whether it had been restored already.

    Done again after a failure it writes the same once more. Every object that is needed, now or to go live, is read
    before anything is written, and what is left out is logged; what Airflow refuses then is added, by name. Raises
    ContinuityError.
    """
    manifest = snapshot.manifest
    verify.refuse_known_bad(snapshot.store, manifest.snapshot_id)
    done = recall(memory, manifest.snapshot_id, PORTABLE)
    if done:
        return done, True
    entities = {table: list(_entities(api, snapshot, settings, table)) for table in WRITTEN}
    ledger = ledgers.begun(manifest, PORTABLE)
    ledger.by_rest = True
    ledger.inactive = [str(row["dag_id"]) for row in _rows(snapshot, "dag") if _inactive(row)]
    last_due(_rows(snapshot, "dag_run"))  # read now, so that damage is found before anything is written
    ledger.left_out = [*portable.left_out_tables(manifest, (*WRITTEN, "dag")), FIRST_PARSE]
    if not masks_its_audit_log(airflow_version):
        ledger.left_out.append(AUDITED)
    tell(ledger.left_out, manifest.snapshot_id)
    for table, found in entities.items():
        refused = list(_write(api, table, found))
        tell(refused, manifest.snapshot_id)
        ledger.left_out += portable.listed(refused)
        ledger.rows += len(found) - len(refused)
    ledger.done = list(WRITTEN)
    ledger.state_at = datetime.now(UTC).isoformat()
    ledgers.remember(memory, ledger)
    return ledger, False


def go_live_by_rest(
    api: RestApi,
    memory: Memory,
    snapshot: Snapshot,
    deadline_seconds: float,
    poll_seconds: float = POLL_SECONDS,
    *,
    check: Check | None = None,
) -> Outcome:
    """Wait for the lease and the DAGs, then set their paused flags. Those that are missing at the deadline, and those
    whose next run the snapshot's environment had already, stay paused and are named.

    `check` as for `go_live`, but that nothing keeps the guard from pausing meanwhile: it is called before each DAG.
    Done again it only takes up those. Raises ContinuityError where nothing was restored, or in full mode.
    """
    began = time.monotonic()
    manifest = snapshot.manifest
    ledger = recall(memory, manifest.snapshot_id)
    if ledger is None:
        raise ContinuityError(f"snapshot {manifest.snapshot_id} has not been restored here; going live comes after")
    if ledger.mode == FULL:
        raise ContinuityError(
            f"snapshot {manifest.snapshot_id} was restored in full mode; to go live takes the database"
        )
    awaited = set(ledger.missing_dags) if ledger.live else set(manifest.paused) - set(ledger.inactive)
    wait_until_held(check, deadline_seconds, poll_seconds)
    left = deadline_seconds - (time.monotonic() - began)
    parsed = _wait_until_parsed(api, awaited, ledger.state_at, left, poll_seconds)
    due = last_due(_rows(snapshot, "dag_run"))
    waiting = {dag_id for dag_id in parsed if not manifest.paused[dag_id] and would_repeat(parsed[dag_id], due)}
    unpaused = 0
    for dag_id in sorted(set(parsed) - waiting):
        if check:
            check()
        if parsed[dag_id]["is_paused"] != manifest.paused[dag_id] and not api.set_paused(
            dag_id, manifest.paused[dag_id]
        ):
            waiting.add(dag_id)
        unpaused += dag_id not in waiting and not manifest.paused[dag_id]
    if not ledger.live and memory.find_variable(guard.VARIABLE) is not None:
        memory.forget(guard.VARIABLE)  # the flags are the snapshot's from here on
    ledger.unpaused = unpaused + (ledger.unpaused if ledger.live else 0)
    ledger.live = True
    ledger.missing_dags = sorted((awaited - set(parsed)) | waiting)
    ledgers.remember(memory, ledger)
    log.info("live with snapshot %s: %d DAGs unpaused", manifest.snapshot_id, ledger.unpaused)
    if ledger.missing_dags:
        log.warning("they stay paused: %s, of which parsed: %s", ledger.missing_dags, sorted(waiting))
    return Outcome(ledger.unpaused, ledger.missing_dags, sorted(waiting))


def masks_its_audit_log(airflow_version: str) -> bool:
    """Whether Airflow leaves secrets of a bulk write out of its audit log."""
    major, minor = (int(part) for part in airflow_version.split(".")[:2])
    return (major, minor) >= (3, 3)


def recall(memory: Memory, snapshot_id: str, mode: str | None = None) -> Ledger | None:
    """As `ledger.read_for`, without the database. Raises RestoreRefused also if this one was restored in another mode
    than the one asked for."""
    found = ledgers.recall(memory)
    if found:
        ledgers.refuse_another(found, snapshot_id, mode)
    return found


def last_due(runs: Iterable[Row]) -> dict[str, datetime]:
    """When the last run of each schedule was due."""
    dated = [
        (str(run["dag_id"]), date, due)
        for run in runs
        if run["run_type"] in OF_SCHEDULE
        and (date := _first(run, "logical_date", "execution_date", "run_after"))
        and (due := _first(run, "run_after", "data_interval_end", "execution_date"))
    ]
    return {dag_id: due for dag_id, _, due in sorted(dated)}


def would_repeat(dag: Mapping[str, Any], due: Mapping[str, datetime]) -> bool:
    """Whether the DAG's next run would be one that there was before, or stand before it."""
    following = dag["next_dagrun_run_after"]
    last = due.get(dag["dag_id"])
    return last is not None and following is not None and datetime.fromisoformat(following) <= last


def _first(run: Row, *names: str) -> datetime | None:
    value = next((value for name in names if (value := run.get(name))), None)
    return datetime.fromisoformat(value) if value else None


def _rows(snapshot: Snapshot, table: str) -> Iterator[Row]:
    entry = snapshot.manifest.table(table)
    if entry:
        yield from state_rows(snapshot.store, snapshot.manifest.snapshot_id, entry, snapshot.data_key)


def _entities(api: RestApi, snapshot: Snapshot, settings: Settings, table: str) -> Iterator[dict[str, Any]]:
    """What to write of a table, as the REST API takes it."""
    path, name, column = WRITTEN[table]
    patterns = settings.local_patterns(table)
    present = set()
    if patterns and snapshot.manifest.region == settings.region:
        present = {entry[name] for entry in api.every(path, path[1:], name)}
    for row in _rows(snapshot, table):
        key = row[column]
        local = key is not None and matches(key, patterns)
        if local and (snapshot.manifest.region != settings.region or key in present):
            continue  # what belongs to one Region never crosses over, and never overwrites the target's own value
        yield ENTITY[table](row)


def _connection(row: Row) -> dict[str, Any]:
    same = ("conn_type", "description", "host", "schema", "login", "password", "extra")
    port = row["port"]
    return {
        "connection_id": row["conn_id"],
        **{name: row[name] for name in same},
        "port": None if port is None else int(port),
    }


def _variable(row: Row) -> dict[str, Any]:
    return {"key": row["key"], "value": row["val"], "description": row["description"]}


def _pool(row: Row) -> dict[str, Any]:
    return {
        "name": row["pool"],
        "slots": None if row["slots"] is None else int(row["slots"]),
        "description": row["description"],
        "include_deferred": row.get("include_deferred") in ("t", "true"),
    }


ENTITY = {"connection": _connection, "variable": _variable, "slot_pool": _pool}


def _write(api: RestApi, table: str, entities: list[dict[str, Any]]) -> Iterator[str]:
    """Write the entities over those that are there; yields what Airflow refuses, in words."""
    name = WRITTEN[table][1]
    for start in range(0, len(entities), BATCH):
        batch = entities[start : start + BATCH]
        if _write_batch(api, table, batch) is None:
            continue
        for entity in batch:  # one that is refused takes the others with it
            refused = _write_batch(api, table, [entity])
            if refused:
                yield f"{table} {entity[name]!r}: {refused}"


def _write_batch(api: RestApi, table: str, entities: list[dict[str, Any]]) -> str | None:
    """Why Airflow refuses to write these, None where it did. Raises RestRefused where it can take nothing now."""
    path, name, _ = WRITTEN[table]
    action = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
    try:
        done = api.call("PATCH", path, body={"actions": [action]})["create"]
    except RestRefused as refused:
        if refused.status not in (400, 409, 413, 422):
            raise
        return f"Airflow refuses it (HTTP status {refused.status})"
    wanted = {entity[name] for entity in entities}
    return None if wanted <= set(done["success"]) else "Airflow refuses it"


def _inactive(row: Row) -> bool:
    if "is_active" in row:
        return row["is_active"] not in ("t", "true")
    return row.get("is_stale") in ("t", "true")


def _wait_until_parsed(
    api: RestApi, awaited: set[str], since: str, deadline_seconds: float, poll_seconds: float
) -> dict[str, dict[str, Any]]:
    """Those of the awaited DAGs that are parsed by the deadline; returns as soon as all are."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        listed = api.every("/dags", "dags", "dag_id")
        found = {dag["dag_id"]: dag for dag in listed if dag["dag_id"] in awaited and _parsed(dag, since)}
        left = deadline - time.monotonic()
        if len(found) == len(awaited) or left <= 0:
            return found
        log.info("%d of %d DAGs are parsed; %.0f s left", len(found), len(awaited), left)
        time.sleep(min(poll_seconds, max(left, 0.0)))


def _parsed(dag: Mapping[str, Any], since: str) -> bool:
    at = dag["last_parsed_time"]
    return not dag["is_stale"] and at is not None and datetime.fromisoformat(at) > datetime.fromisoformat(since)
