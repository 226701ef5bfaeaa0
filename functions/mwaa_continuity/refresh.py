"""Refreshing a hot standby: which snapshot's state is to be restored into it next, and what is known of the last one.

The state is restored while the primary is active, and never goes live by this: a failover finds it there. Of several
executions one is at work and one waits, because the one that waits takes whatever is the newest by then.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mwaa_continuity import aws, events, executions, metrics, snapshots
from mwaa_continuity.app import Result
from mwaa_continuity.environments import USABLE, existing_environment
from mwaa_continuity.errors import SnapshotIncomplete, SnapshotRefused
from mwaa_continuity.events import Event
from mwaa_continuity.lease_table import Lease, home_of_lease, read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.manifest import FULL, Manifest
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.stored_spec import parse, read_object
from mwaa_continuity.verification import NAME as VERIFICATION
from mwaa_continuity.verification import was_read_back

#: Replication brings objects in no order: one that came without the others is waited for so long.
ARRIVAL: Final = timedelta(minutes=15)
#: So many of the newest snapshots are looked at.
LOOKED_AT: Final = 50

AN_EXECUTION: Final = "the ARN of the refresh's execution"


@dataclass(frozen=True)
class Next:
    """What is to be done: go (restore the snapshot), wait, or nothing, and why."""

    outcome: str
    why: str = ""
    chosen: Manifest | None = None


@dataclass(frozen=True)
class Note:
    """What was restored last: the snapshot, its cut and when that was (ISO 8601), the lease's fencing token then, and
    the environment by its creation (epoch seconds)."""

    snapshot_id: str
    cut_at: str
    restored_at: str
    token: int
    environment_created_at: int


def refresh(event: Event, log: Log) -> Result:
    """Which snapshot to restore into the standby, if any, and publish `StandbyAgeSeconds`."""
    settings = Settings.read()
    execution = events.text(event, "execution", AN_EXECUTION)
    found = look(settings, execution, log)
    chosen = found.chosen
    log.info("refresh", outcome=found.outcome, why=found.why, snapshot_id=chosen.snapshot_id if chosen else None)
    return {
        "outcome": found.outcome,
        "why": found.why,
        "snapshot_id": chosen.snapshot_id if chosen else None,
        "cut_at": chosen.cut_at.isoformat() if chosen else None,
    }


def look(settings: Settings, execution: str, log: Log) -> Next:
    """What is there, and what could be."""
    lease = here()
    if lease.holder == settings.region:
        metrics.try_to_publish(settings.environment, {"StandbyAgeSeconds": 0.0}, log)
        return Next("active", f"{settings.region} is the active Region, or is becoming it")
    environment = existing_environment(settings.environment)
    note = read_note(lease, settings, environment)
    if note:
        publish_age(settings, datetime.fromisoformat(note.cut_at), log)
    earlier = executions.earlier_executions(execution)
    if earlier:
        # Whoever waits chooses after all those that were started before.
        return Next("wait" if len(earlier) == 1 else "busy", f"{earlier[0]} is at work")
    if environment is None or environment["Status"] not in USABLE:
        there = environment["Status"] if environment else "not there"
        return Next("not_available", f"environment {settings.environment} in {settings.region} is {there}")
    drills = executions.running(variable("DRILL_ARN"))
    if drills:
        return Next("drill", f"{drills[0][1]} uses the standby")
    return choose(settings, note, str(environment["AirflowVersion"]), log)


def choose(settings: Settings, note: Note | None, version: str, log: Log) -> Next:
    """The newest snapshot that was read back and is all here, unless it is the one that is restored already.

    A portable one is left to a failover: it holds no work in flight.
    """
    s3, bucket = aws.client("s3"), variable("SNAPSHOT_BUCKET")
    environment = settings.environment
    for snapshot_id in snapshots.newest_first(s3, bucket, environment)[:LOOKED_AT]:
        if note and snapshot_id <= note.snapshot_id:
            return Next("current", f"{note.snapshot_id} is the newest, and is there")
        try:
            if not was_read_back(s3, bucket, snapshots.prefix(environment, snapshot_id), snapshot_id):
                continue
            found, whole = snapshots.prove_present(s3, bucket, environment, snapshot_id)
        except SnapshotIncomplete as error:
            if arrives(s3, bucket, environment, snapshot_id):
                return Next("wait", f"{error}; it may be on its way")
            log.warning("rejected", snapshot_id=snapshot_id, why=str(error))
            continue
        except SnapshotRefused as error:
            log.warning("rejected", snapshot_id=snapshot_id, why=str(error))
            continue
        if not whole or found.mode != FULL:
            log.info("passed over", snapshot_id=snapshot_id, mode=found.mode, read_back=whole)
            continue
        if found.airflow_version != version:
            why = f"{snapshot_id} is of Airflow {found.airflow_version}, the standby of {version}"
            return Next("other_version", why)
        return Next("go", chosen=found)
    return Next("no_snapshot", "no snapshot is good, full and newer than what is there")


def arrives(s3: Any, bucket: str, environment: str, snapshot_id: str) -> bool:
    """Whether a snapshot that was read back may be on its way: that it was is known for a short time only."""
    key = snapshots.prefix(environment, snapshot_id) + VERIFICATION
    written: datetime = s3.head_object(Bucket=bucket, Key=key)["LastModified"]
    return datetime.now(UTC) - written < ARRIVAL


def refreshed(event: Event, log: Log) -> Result:
    """Note what was restored into the standby, and publish its age."""
    settings = Settings.read()
    snapshot_id = events.snapshot_id(event)
    cut_at = events.needed_instant(event, "cut_at")
    environment = existing_environment(settings.environment)
    if environment:
        created = int(environment["CreatedAt"].timestamp())
        now = datetime.now(UTC).isoformat()
        note = Note(snapshot_id, cut_at.isoformat(), now, here().token, created)
        body = json.dumps(asdict(note), indent=2).encode()
        aws.client("s3").put_object(
            Bucket=variable("SNAPSHOT_BUCKET"), Key=note_key(settings), Body=body, ContentType="application/json"
        )
    age = publish_age(settings, cut_at, log)
    log.info("refreshed", snapshot_id=snapshot_id, age_seconds=age)
    return {"snapshot_id": snapshot_id, "age_seconds": age}


def interrupted(_event: Event, log: Log) -> Result:
    """Whether a refresh that failed had to: a failover took the environment over, or it is being changed or removed."""
    settings = Settings.read()
    why = ""
    if here().holder == settings.region:
        why = f"{settings.region} is the active Region, or is becoming it"
    else:
        environment = existing_environment(settings.environment)
        if environment is None or environment["Status"] not in USABLE:
            why = f"the environment is {environment['Status'] if environment else 'gone'}"
    log.info("interrupted", interrupted=bool(why), why=why)
    return {"interrupted": bool(why), "why": why}


def here() -> Lease:
    """The lease as its home, this Region, holds it now."""
    return read_lease(home_of_lease(), variable("LEASE_TABLE"))


def note_key(settings: Settings) -> str:
    """Where it is noted what was restored last."""
    return f"spec/{settings.environment}/refreshed.{settings.region}.json"


def read_note(lease: Lease, settings: Settings, environment: dict[str, Any] | None) -> Note | None:
    """What was restored last, none where that is gone: with the environment, by a failover, or perhaps by a drill."""
    found = read_object(aws.client("s3"), variable("SNAPSHOT_BUCKET"), note_key(settings))
    if found is None or environment is None:
        return None
    note = Note(**parse(found.body, note_key(settings)))
    if (note.token, note.environment_created_at) != (lease.token, int(environment["CreatedAt"].timestamp())):
        return None
    drilled = executions.last_start(variable("DRILL_ARN"))
    return None if drilled and drilled > datetime.fromisoformat(note.restored_at) else note


def publish_age(settings: Settings, cut_at: datetime, log: Log) -> int:
    """Publish how old the state in the standby is: the whole seconds since its cut."""
    age = max(0, round(time.time() - cut_at.timestamp()))
    metrics.try_to_publish(settings.environment, {"StandbyAgeSeconds": float(age)}, log)
    return age
