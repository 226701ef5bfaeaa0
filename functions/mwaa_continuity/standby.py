"""Keeping a standby in step with the spec: it is created, and updated with what differs; what cannot be is told.

A standby is the environment of a Region that does not hold the lease. Its user DAGs are hidden, so that an update
interrupts nothing. What was tried is kept in one object of the snapshot bucket, so that an update that did not help
is not begun again by every look.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from mwaa_continuity import aws, changes, events, materialise, metrics, spec
from mwaa_continuity.app import Result
from mwaa_continuity.changes import Changes
from mwaa_continuity.environments import USABLE, adoptable_environment, existing_environment
from mwaa_continuity.errors import AwsRefused, CannotBeUpdated, ContinuityError, NoSpec, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.lease_table import read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.spec import Document
from mwaa_continuity.stored_spec import StoredSpec, document_here, find_spec, parse, read_object

#: What each outcome says of being in step; under way, or nothing to say, where it is not here.
IN_STEP: Final[Mapping[str, float]] = {"in_step": 1.0, "behind": 0.0}

#: How often a look waits for a version of a file that replication may still bring.
ARRIVAL_RETRIES: Final = 3

#: It goes away by itself; the next look creates it anew.
NOT_YET: Final = "DELETING"


@dataclass(frozen=True)
class Standing:
    """How the standby stands to its spec."""

    outcome: str
    why: str = ""
    differing: tuple[str, ...] = ()  #: members of the spec
    spec_source: str | None = None
    applied_spec_hash: str | None = None


@dataclass(frozen=True)
class Record:
    """What was tried (hash of what it was and what it was to be), and which document it was last in step with."""

    applied_spec_hash: str | None = None
    applied_at: str | None = None
    spec_source: str | None = None
    attempted: str | None = None
    attempted_at: str | None = None


def keep(settings: Settings, event: Event, log: Log) -> Result:
    """Bring the standby a step nearer to its spec, and publish `StandbyInStep` where there is something to say.

    `again` begins an update that was tried before; `retries` is how often this look was repeated. Raises
    `CannotBeUpdated`, `BadSpec`, `EnvironmentNotUsable` or `AwsRefused` where a person is needed, `Transient` where
    waiting helps.
    """
    again = events.flag(event, "again")
    retries = events.optional_number(event, "retries", 0, low=0, high=100)
    try:
        standing = look(settings, again, retries)
    except Transient:
        raise
    except ContinuityError:
        metrics.try_to_publish(settings.environment, {"StandbyInStep": 0.0}, log)
        raise
    if standing.outcome in IN_STEP:
        metrics.try_to_publish(settings.environment, {"StandbyInStep": IN_STEP[standing.outcome]}, log)
    log.info("keep", outcome=standing.outcome, why=standing.why, source=standing.spec_source)
    return asdict(standing) | {"differing": list(standing.differing), "published_version": None}


def look(settings: Settings, again: bool, retries: int) -> Standing:
    """What is there, what is wanted, and the call that brings the one to the other."""
    there = existing_environment(settings.environment)
    if there is not None and there["Status"] == NOT_YET:
        return Standing("not_yet", "the environment is being deleted: the next look creates it anew")
    live = adoptable_environment(settings)
    if live is not None and live["Status"] not in USABLE:
        return Standing("changing", f"the environment is {live['Status']}")
    s3 = aws.client("s3")
    try:
        stored = find_spec(s3, settings, None)
    except NoSpec as error:
        return Standing("no_spec", str(error))
    document = document_here(s3, settings, stored)
    missing = materialise.use_local_objects(s3, variable("DAG_BUCKET"), document)
    absent = f"not in this Region's DAG bucket: {', '.join(missing)}" if missing else ""
    if missing and retries < ARRIVAL_RETRIES:
        raise Transient(absent)
    if live is None:
        return created(settings, stored, document)
    return compared(settings, s3, Wanted(stored, document, absent), live, again)


@dataclass(frozen=True)
class Wanted:
    """What the standby is to be: the spec, what it comes to in this Region, and what of it has not arrived."""

    stored: StoredSpec
    document: Document
    absent: str


def created(settings: Settings, stored: StoredSpec, document: Document) -> Standing:
    """Create the environment, unless a failover began meanwhile or somebody else was faster."""
    if is_active(settings):
        return not_standby(settings)
    try:
        materialise.create(document)
    except AwsRefused:
        if existing_environment(settings.environment) is None:
            raise
        return Standing("changing", "it was created meanwhile")
    return Standing("creating", spec_source=stored.key)


def compared(settings: Settings, s3: Any, wanted: Wanted, live: Mapping[str, Any], again: bool) -> Standing:
    """Change what differs, once."""
    described = spec.from_environment(live)
    found = changes.changes(described, wanted.document)
    if found.fixed:
        raise CannotBeUpdated(advice(settings, found))
    record = read_record(s3, settings)
    standing = Standing("behind", differing=tuple(found.names), spec_source=wanted.stored.key)
    if not found.names:
        if wanted.absent:
            return replace(standing, why=wanted.absent, applied_spec_hash=record.applied_spec_hash)
        applied = note_applied(s3, settings, record, wanted)
        return replace(standing, outcome="in_step", applied_spec_hash=applied.applied_spec_hash)
    attempt = hash_of([described, wanted.document])
    standing = replace(standing, applied_spec_hash=record.applied_spec_hash)
    if record.attempted == attempt and not again:
        return replace(standing, why=why_behind(live, wanted, found))
    if is_active(settings):
        return not_standby(settings)
    try:
        apply(described, wanted.document, found, str(live["Arn"]))
    except AwsRefused:
        if changes_by_itself(settings):
            return replace(standing, outcome="changing", why="somebody else changes it")
        note_attempt(s3, settings, record, attempt)
        raise
    note_attempt(s3, settings, record, attempt)
    return replace(standing, outcome="updating", why=f"differs in {', '.join(found.names)}")


def apply(live: Document, wanted: Document, found: Changes, arn: str) -> None:
    """Make the calls that change what differs."""
    if found.tags:
        aws.client("mwaa").tag_resource(ResourceArn=arn, Tags=found.tags)
    if found.update:
        materialise.update(live, wanted, found.update)


def is_active(settings: Settings) -> bool:
    """Whether this Region holds the lease by now: what is there belongs to the failover then."""
    return read_lease(aws.client("dynamodb"), variable("LEASE_TABLE")).holder == settings.region


def not_standby(settings: Settings) -> Standing:
    """Nothing is touched."""
    return Standing("not_standby", f"{settings.region} holds the lease")


def changes_by_itself(settings: Settings) -> bool:
    """Whether the environment is being changed now, by whomever."""
    environment = existing_environment(settings.environment)
    return environment is not None and environment["Status"] not in USABLE


def advice(settings: Settings, found: Changes) -> str:
    """What cannot be changed, and what to do."""
    name, region = settings.environment, settings.region
    return (
        f"environment {name} in {region} differs from its spec in what MWAA cannot change: {', '.join(found.fixed)}."
        f" Nothing was changed. It is a standby and holds nothing: delete it (aws mwaa delete-environment --name {name}"
        f" --region {region}); the state machine standby creates it anew"
    )


def why_behind(live: Mapping[str, Any], wanted: Wanted, found: Changes) -> str:
    """Why an update that was tried is not tried again."""
    names = ", ".join(found.names)
    last = live.get("LastUpdate") or {}
    error = last.get("Error") or {}
    if last.get("Status") == "FAILED":
        said = f"{error.get('ErrorCode', '')}: {error.get('ErrorMessage', '')}"
        return f"the update of {names} failed: {materialise.masked(said, live, wanted.document)}"
    return f"it differs in {names} after an update"


def record_key(settings: Settings) -> str:
    """Where the record is kept."""
    return f"spec/{settings.environment}/applied.{settings.region}.json"


def read_record(s3: Any, settings: Settings) -> Record:
    """What was tried before; nothing where nobody knows."""
    key = record_key(settings)
    found = read_object(s3, variable("SNAPSHOT_BUCKET"), key)
    known = parse(found.body, key) if found else {}
    return Record(**{name: known.get(name) for name in Record.__dataclass_fields__})


def note_applied(s3: Any, settings: Settings, record: Record, wanted: Wanted) -> Record:
    """Keep which document the standby is in step with, where that is news."""
    applied = hash_of(wanted.document)
    if record.applied_spec_hash == applied:
        return record
    return write_record(s3, settings, Record(applied, now(), wanted.stored.key))


def note_attempt(s3: Any, settings: Settings, record: Record, attempt: str) -> Record:
    """Keep what was tried."""
    return write_record(s3, settings, replace(record, attempted=attempt, attempted_at=now()))


def write_record(s3: Any, settings: Settings, record: Record) -> Record:
    """Write the record; the bucket keeps older ones."""
    body = json.dumps(asdict(record), indent=2).encode()
    s3.put_object(
        Bucket=variable("SNAPSHOT_BUCKET"), Key=record_key(settings), Body=body, ContentType="application/json"
    )
    return record


def hash_of(document: Any) -> str:
    """SHA-256 of a document, whatever the order of its members."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
