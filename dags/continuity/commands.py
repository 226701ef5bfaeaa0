"""What each command of the tool does. The arguments are checked by `cli`; the engine does the work."""

from __future__ import annotations

import json
import logging
import os
import secrets as random
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3

from continuity import aws, live, outside, overview, unsealed
from continuity import verify as verification
from continuity.catalog import alembic_heads, read_catalog
from continuity.errors import BadInput, SnapshotDamaged
from continuity.manifest import NAME as MANIFEST
from continuity.manifest import read_manifest
from continuity.portable_restore import restore_portable
from continuity.restore import Snapshot, Target, open_snapshot, restore_history, restore_state
from continuity.settings import PORTABLE, REGION, InFlight, Settings
from continuity.snapshot import Source, take_snapshot
from continuity.storage import SnapshotStore

log = logging.getLogger(__name__)

NEWEST = "newest"
DONE, NOT_GOOD = 0, 1


@dataclass(frozen=True)
class Place:
    """Where the snapshots of an environment lie."""

    bucket: str
    environment: str
    region: str
    kms_key: str | None

    @classmethod
    def of(cls, given: Namespace) -> Place:
        """Raises BadInput where no Region is given, or something that is none."""
        region = given.region or os.environ.get("AWS_REGION") or boto3.session.Session().region_name or ""
        if not REGION.fullmatch(region):
            raise BadInput("--region", f"{region!r} is no Region", "as in us-east-1, or AWS_REGION, or a profile's")
        return cls(given.bucket, given.environment, region, given.kms_key)

    @property
    def store(self) -> SnapshotStore:
        return SnapshotStore(aws.client("s3", self.region), self.bucket, self.environment)

    @property
    def kms(self) -> Any:
        return aws.client("kms", self.region)

    def settings(self, given: Namespace) -> Settings:
        """What Terraform tells the metadata DAGs, from the command line. There is no lease here to ask."""
        return Settings(
            environment=self.environment,
            region=self.region,
            snapshot_bucket=self.bucket,
            kms_key=self.kms_key or "",
            lease_table="",
            tables=getattr(given, "tables", {}),
            local_variables=tuple(getattr(given, "local_variable", ())),
            local_connections=tuple(getattr(given, "local_connection", ())),
            history_days=getattr(given, "history_days", None),
        )

    def chosen(self, wanted: str) -> str:
        """The id of the snapshot that is meant. Raises BadInput where there is none."""
        present = self.store.snapshot_ids()
        if not present:
            where = f"s3://{self.bucket}/{self.store.key('', '')}".rstrip("/")
            raise BadInput("--environment", f"there is no snapshot below {where}", "an environment that has snapshots")
        if wanted != NEWEST and wanted not in present:
            raise BadInput("--snapshot", f"there is no {wanted}", f"one of {len(present)}, the newest is {present[0]}")
        if wanted != NEWEST:
            return wanted
        for snapshot_id in present:
            if self.store.read_if_present(snapshot_id, MANIFEST) is not None:
                return snapshot_id
            log.warning("%s is passed over: it is not complete, as it has no manifest", snapshot_id)
        raise BadInput("--snapshot", f"none of {len(present)} is complete", "a snapshot with a manifest")


def verify(given: Namespace) -> int:
    """Read a snapshot back."""
    place = Place.of(given)
    snapshot_id = place.chosen(given.snapshot)
    try:
        report = verification.read_back(place.store, place.kms, snapshot_id, place.kms_key)
    except SnapshotDamaged as damage:
        fault = {"name": damage.name, "why": damage.why}
        document = {"snapshot_id": snapshot_id, "verdict": "damaged", "faults": [fault]}
        _say(given, document, [f"snapshot {snapshot_id}", f"damaged: {damage.name}: {damage.why}"])
        return NOT_GOOD
    if given.record:
        verification.record(place.store, report)
    document = overview.verification_document(report, datetime.now(UTC))
    _say(given, document, overview.verification_lines(document))
    return DONE if report.sound else NOT_GOOD


def inspect(given: Namespace) -> int:
    """Say what is in a snapshot, or which snapshots there are."""
    place = Place.of(given)
    now = datetime.now(UTC)
    if given.snapshot is None:
        return _list(given, place, now)
    snapshot_id = place.chosen(given.snapshot)
    manifest = read_manifest(place.store, snapshot_id)
    document = overview.contents_document(manifest, verification.recorded(place.store, snapshot_id), now)
    _say(given, document, overview.contents_lines(document))
    return DONE


def decrypt(given: Namespace) -> int:
    """Write one sealed table to a file, in clear text."""
    place = Place.of(given)
    snapshot_id = place.chosen(given.snapshot)
    rows = unsealed.write_rows(
        place.store, place.kms, snapshot_id, key_id=place.kms_key, table=given.table, to=given.to
    )
    document = {"snapshot_id": snapshot_id, "table": given.table, "rows": rows, "file": str(given.to)}
    _say(given, document, [f"{rows} rows of {given.table} in clear text in {given.to}: delete it when you are done"])
    return DONE


def snapshot(given: Namespace) -> int:
    """Take a snapshot of the Airflow behind a database URL, and read it back."""
    place = Place.of(given)
    url = outside.database_url(outside.Given(given.database_url_variable, given.database_url_file))
    fernet = outside.fernet_keys(outside.Given(given.fernet_key_variable, given.fernet_key_file))
    snapshot_id = given.snapshot or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{random.token_hex(4)}"
    with outside.database(url) as connection:
        with connection.cursor() as cursor:
            heads = alembic_heads(cursor, read_catalog(cursor))
        version = outside.airflow_version(heads, given.airflow_version)
        source = Source(connection, fernet, version, partial(outside.database, url))
        take_snapshot(source, place.store, place.kms, place.settings(given), snapshot_id)
    report = verification.read_back(place.store, place.kms, snapshot_id, place.kms_key)
    verification.record(place.store, report)
    document = overview.verification_document(report, datetime.now(UTC))
    _say(given, document, overview.verification_lines(document))
    return DONE if report.sound else NOT_GOOD


def restore(given: Namespace) -> int:
    """Restore the state of a snapshot, and its history, into the Airflow behind a database URL."""
    rows = 0
    with _target(given) as (target, found, settings):
        if given.mode == PORTABLE:
            ledger, already = restore_portable(target, found, settings, replace=given.replace)
        else:
            ledger, already = restore_state(target, found, settings, InFlight(given.in_flight), replace=given.replace)
            rows = 0 if given.state_only else restore_history(target, found, settings)
    document = {
        "snapshot_id": found.manifest.snapshot_id,
        "already": already,
        "replaced": ledger.replaced,
        "mode": ledger.mode,
        "left_out": ledger.left_out,
        "state_rows": ledger.rows,
        "history_rows": rows,
        "to_unpause": ledger.unpaused,
    }
    done = "had been restored already" if already else f"restored: {ledger.rows} rows"
    _say(
        given,
        document,
        [
            f"state of snapshot {found.manifest.snapshot_id} {done}; history: {rows} rows",
            f"every DAG of it is paused; `go-live` unpauses {ledger.unpaused} once they are parsed",
        ],
    )
    return DONE


def go_live(given: Namespace) -> int:
    """Unpause what was unpaused at the cut, once the DAGs are parsed."""
    with _target(given) as (target, found, settings):
        outcome = live.go_live(target, found, settings, given.parse_deadline_seconds)
    document = {
        "snapshot_id": found.manifest.snapshot_id,
        "unpaused": outcome.unpaused,
        "missing_dags": outcome.missing_dags,
    }
    missing = ", ".join(outcome.missing_dags) or "none"
    _say(given, document, [f"live: {outcome.unpaused} DAGs unpaused; not parsed in time, and paused still: {missing}"])
    return NOT_GOOD if outcome.missing_dags else DONE


@contextmanager
def _target(given: Namespace) -> Iterator[tuple[Target, Snapshot, Settings]]:
    place = Place.of(given)
    settings = place.settings(given)
    url = outside.database_url(outside.Given(given.database_url_variable, given.database_url_file))
    fernet = outside.fernet_keys(outside.Given(given.fernet_key_variable, given.fernet_key_file))
    found = open_snapshot(place.store, place.kms, settings, place.chosen(given.snapshot))
    with outside.database(url) as connection:
        yield Target(connection, fernet, partial(outside.database, url)), found, settings


def _list(given: Namespace, place: Place, now: datetime) -> int:
    present = place.store.snapshot_ids()
    documents: list[dict[str, Any]] = []
    for snapshot_id in present[: given.limit]:
        try:
            manifest = read_manifest(place.store, snapshot_id)
            faults = verification.recorded(place.store, snapshot_id)
            documents.append(overview.listing_document(manifest, faults, now))
        except SnapshotDamaged as damage:
            documents.append({"snapshot_id": snapshot_id, "why": f"no good: {damage.name}: {damage.why}"})
    left = len(present) - len(documents)
    document = {"environment": place.environment, "snapshots": documents, "older": left}
    _say(given, document, overview.listing_lines(documents, left))
    return DONE


def _say(given: Namespace, document: dict[str, Any], lines: Iterable[str]) -> None:
    if given.json:
        json.dump(document, sys.stdout, indent=1)
        print()
    else:
        print("\n".join(lines))
