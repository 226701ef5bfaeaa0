"""A snapshot without the database (Airflow 3): what Task SDK and REST API give, in the same objects and manifest.

It has no single instant: its parts are read one after the other, within the minute or so that the REST API's limits
make of it. `cut_at` is when the reading began.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from continuity import drain, guard, manifest, policy, rules, secrets
from continuity import ledger as ledgers
from continuity.ledger import Memory
from continuity.manifest import ColumnEntry, Manifest, ObjectEntry, TableEntry
from continuity.rest import LONGEST_PATH, RestApi
from continuity.selection import in_flight_by_rest
from continuity.settings import PORTABLE, Settings
from continuity.snapshot import refuse_present, spec_entry, tidy
from continuity.staging import copy_line
from continuity.storage import GzipUpload, SnapshotStore

log = logging.getLogger(__name__)

Row = dict[str, str | None]

#: The columns of each table, as Airflow 3 has them; ids are not to be had.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "connection": {
        "conn_id": "character varying(250)",
        "conn_type": "character varying(500)",
        "description": "text",
        "host": "character varying(500)",
        "schema": "character varying(500)",
        "login": "text",
        "password": "text",
        "port": "integer",
        "is_encrypted": "boolean",
        "is_extra_encrypted": "boolean",
        "extra": "text",
    },
    "variable": {
        "key": "character varying(250)",
        "val": "text",
        "description": "text",
        "is_encrypted": "boolean",
    },
    "slot_pool": {
        "pool": "character varying(256)",
        "slots": "integer",
        "description": "text",
        "include_deferred": "boolean",
    },
    "dag": {
        "dag_id": "character varying(250)",
        "is_paused": "boolean",
        "is_stale": "boolean",
        "fileloc": "character varying(2000)",
        "owners": "character varying(2000)",
        "description": "text",
        "dag_display_name": "character varying(2000)",
    },
    "dag_run": {
        "dag_id": "character varying(250)",
        "run_id": "character varying(250)",
        "run_type": "character varying(50)",
        "state": "character varying(50)",
        "logical_date": "timestamp with time zone",
        "run_after": "timestamp with time zone",
        "data_interval_start": "timestamp with time zone",
        "data_interval_end": "timestamp with time zone",
        "queued_at": "timestamp with time zone",
        "start_date": "timestamp with time zone",
        "end_date": "timestamp with time zone",
        "partition_key": "character varying(250)",
        "partition_date": "timestamp with time zone",
    },
}
#: What is not in it, and why.
LACKING = {
    "users and roles": "the REST API that a task reaches does not show them",
    "DAG runs": "the REST API cannot bring them back; the last run of each schedule is there",
    "task instances, XCom, notes, assets and their events, backfills": "the REST API cannot bring them back",
    "deferred tasks and their triggers": "the REST API cannot bring them back",
    "audit log": "the REST API cannot bring it back",
}
#: Names that stand in a URL for themselves. Airflow's client puts a name there as it is: another one is cut short, and
#: the answer may be that of another variable.
PLAIN_NAME = re.compile(r"[\w .~:@!$&'()*+,;=/-]+")


class Values(Memory, Protocol):
    """Where real values come from: the Task SDK."""

    def connection(self, conn_id: str) -> Mapping[str, str | None]: ...
    def variable(self, key: str) -> str: ...


@dataclass(frozen=True)
class Outside:
    """An environment without its database: REST API, real values, version, and why it is so."""

    api: RestApi
    values: Values
    airflow_version: str
    why: str


def take_portable(
    source: Outside,
    store: SnapshotStore,
    kms: Any,
    settings: Settings,
    snapshot_id: str,
    *,
    check: Callable[[], None] | None = None,
) -> Manifest:
    """Write a portable snapshot, its manifest last. Raises ContinuityError; a failed snapshot looks like none."""
    started_at = datetime.now(UTC)
    refuse_present(store, snapshot_id)
    ledgers.refuse_half_restored(ledgers.recall(source.values))
    tidy(store)
    context = manifest.key_context(settings.environment, snapshot_id)
    writer = Writer(store, snapshot_id, secrets.new_data_key(kms, settings.kms_key, context))
    reader = Reader(source.api, source.values, [])
    cut_at = datetime.now(UTC)
    dags = reader.dags()
    rows = {
        "connection": reader.connections(),
        "variable": reader.variables(),
        "slot_pool": reader.pools(),
        "dag": dags,
        "dag_run": reader.last_runs(dags),
    }
    paused = {str(row["dag_id"]): row["is_paused"] == "true" for row in dags}
    in_flight = reader.in_flight()
    record = drain.remembered(source.values)
    done = Manifest(
        snapshot_id=snapshot_id,
        environment=settings.environment,
        region=settings.region,
        airflow_version=source.airflow_version,
        alembic_heads={},
        postgres_version="",
        cut_at=cut_at.isoformat(),
        started_at=started_at.isoformat(),
        tables=tuple(writer.write(table, found) for table, found in rows.items()),
        completed_at=datetime.now(UTC).isoformat(),
        exported_snapshot=None,
        encryption=writer.data_key.entry(settings.kms_key),
        paused=drain.flags_before(paused, record, guard.remembered(source.values)),
        in_flight=in_flight,
        skipped=[
            {"name": "the database", "why": source.why},
            *({"name": name, "why": why} for name, why in LACKING.items()),
            *({"name": name, "why": "no task can read it"} for name in reader.unreadable),
        ],
        unknown_tables=[],
        spec=spec_entry(store, snapshot_id),
        mode=PORTABLE,
        drained_at=record.drained_at if record else None,
    )
    if check:
        check()
    store.put(snapshot_id, manifest.NAME, done.to_json())
    log.warning("snapshot %s is portable, because %s: %d rows", snapshot_id, source.why, done.rows)
    return done


@dataclass(frozen=True)
class Writer:
    """Writes the one object of each table."""

    store: SnapshotStore
    snapshot_id: str
    data_key: secrets.DataKey

    def write(self, table: str, rows: Iterable[Row]) -> TableEntry:
        sealed = rules.RULES[table].verdict == "sealed"
        listed = [{name: row.get(name) for name in COLUMNS[table]} for row in rows]
        stored = self._seal(table, listed) if sealed else self._copy(table, listed)
        return TableEntry(
            name=table,
            verdict="sealed" if sealed else "carry",
            columns=tuple(ColumnEntry(name, kind) for name, kind in COLUMNS[table].items()),
            rows=len(listed),
            max_id=None,
            objects=(stored,),
        )

    def _seal(self, table: str, rows: list[Row]) -> ObjectEntry:
        name = f"{table}.sealed"
        lines = (json.dumps(row).encode() for row in rows)
        body = secrets.seal(lines, self.data_key, f"{self.snapshot_id}/{table}")
        with self.store.upload(self.snapshot_id, name) as upload:
            upload.write(body)
        return ObjectEntry(name, "state", len(rows), upload.bytes, upload.sha256)

    def _copy(self, table: str, rows: list[Row]) -> ObjectEntry:
        name = f"{table}.state.copy.gz"
        with self.store.upload(self.snapshot_id, name) as upload:
            packed = GzipUpload(upload)
            for row in rows:
                packed.write(copy_line(list(row.values())))
            packed.finish()
        return ObjectEntry(name, "state", len(rows), upload.bytes, upload.sha256)


@dataclass(frozen=True)
class Reader:
    """Reads the rows of each table, values as PostgreSQL prints them; `unreadable` names what no task can read."""

    api: RestApi
    values: Values
    unreadable: list[str]

    def connections(self) -> list[Row]:
        listed = self.api.every("/connections", "connections", "connection_id")
        found = []
        for entry in listed:
            conn_id = entry["connection_id"]
            if conn_id.startswith(policy.OWN_PREFIX) or not self._readable("connection", conn_id):
                continue
            row: Row = {"conn_id": conn_id, "description": entry["description"], **self.values.connection(conn_id)}
            row["is_encrypted"] = _flag(row["password"])
            row["is_extra_encrypted"] = _flag(row["extra"])
            found.append(row)
        return found

    def variables(self) -> list[Row]:
        listed = self.api.every("/variables", "variables", "key")
        return [
            {
                "key": entry["key"],
                "val": self.values.variable(entry["key"]),
                "description": entry["description"],
                "is_encrypted": _text(entry["is_encrypted"]),
            }
            for entry in listed
            if not entry["key"].startswith(policy.OWN_PREFIX) and self._readable("variable", entry["key"])
        ]

    def _readable(self, what: str, name: str) -> bool:
        """Whether a task can ask for what has this name, and be sure that the answer is for it."""
        segments = name.split("/")
        plain = PLAIN_NAME.fullmatch(name) and not {"", ".", ".."} & set(segments)
        # Some versions of Airflow 3 find no name with a slash.
        if plain and (len(segments) == 1 or (what == "variable" and self.values.find_variable(name) is not None)):
            return True
        self.unreadable.append(f"{what} {name!r}")
        return False

    def pools(self) -> list[Row]:
        broken: list[str] = []  # Airflow 3.0 cannot show one with endless slots
        found = [
            {"pool": entry["name"], **{name: _text(entry[name]) for name in COLUMNS["slot_pool"] if name != "pool"}}
            for entry in self.api.every("/pools", "pools", "name", broken=broken)
        ]
        self.unreadable.extend(f"pool {place} by name" for place in broken)
        return found

    def dags(self) -> list[Row]:
        listed = self.api.every("/dags", "dags", "dag_id", exclude_stale=False)
        return [
            {**{name: _text(entry[name]) for name in COLUMNS["dag"]}, "owners": ", ".join(entry["owners"])}
            for entry in listed
            if not entry["dag_id"].startswith(policy.OWN_PREFIX)
        ]

    def last_runs(self, dags: Iterable[Row]) -> list[Row]:
        """Of each DAG the run from which the scheduler counts to the next one: the latest of its schedule."""
        found = []
        for dag in dags:
            runs = [self._latest(str(dag["dag_id"]), run_type) for run_type in ("scheduled", "backfill")]
            dated = [run for run in runs if run is not None]
            if dated:
                last = max(dated, key=lambda run: datetime.fromisoformat(run["logical_date"] or run["run_after"]))
                row = {name: _text(last.get(name)) for name in COLUMNS["dag_run"]}
                found.append({**row, "run_id": last["dag_run_id"]})
        return found

    def _latest(self, dag_id: str, run_type: str) -> dict[str, Any] | None:
        path = f"/dags/{quote(dag_id, safe='')}/dagRuns"
        query: dict[str, Any] = {"run_type": run_type, "order_by": "-run_after", "limit": 1}
        if len(path) <= LONGEST_PATH and path.isascii():
            runs = self.api.call("GET", path, query=query)["dag_runs"]
        else:  # what is asked for of all DAGs has room for any id
            query = {"dag_ids": [dag_id], "order_by": "-run_after", "page_limit": 100, "page_offset": 0}
            runs = []
            while not runs:
                page = self.api.call("POST", "/dags/~/dagRuns/list", body=query)["dag_runs"]
                if not page:
                    break
                runs = [run for run in page if run["run_type"] == run_type]
                query["page_offset"] += len(page)
        return runs[0] if runs else None

    def in_flight(self) -> list[list[Any]]:
        return in_flight_by_rest(self.api)


def _flag(secret: str | None) -> str:
    """Whether a value will be encrypted where it is restored."""
    return "false" if secret is None else "true"


def _text(value: Any) -> str | None:
    """As PostgreSQL takes it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)  # true, false and numbers
