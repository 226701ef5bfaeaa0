"""Removing the environment of this Region: only what a snapshot was proved to hold, and only once."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from mwaa_continuity import aws, events, snapshots, stored_spec
from mwaa_continuity.app import Result
from mwaa_continuity.environments import DRILL_TAG, USABLE, existing_environment
from mwaa_continuity.errors import EnvironmentNotUsable, SnapshotRefused, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.lease_table import read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable


def remove(event: Event, log: Log) -> Result:
    """Delete the environment once a snapshot is proved to bring it back; asked again, say whether it is gone.

    `drained_at` is when its DAGs had been paused: an older cut would lose what ran until then. Without it nothing is
    deleted. Raises `SnapshotRefused` or `BadSpec` where the snapshot is not that good, `EnvironmentNotUsable` where
    nobody drained the environment, or MWAA deletes no such one: nothing is touched then.
    """
    settings = Settings.read()
    snapshot_id = events.snapshot_id(event)
    drained_at = events.instant(event, "drained_at")
    asked = polls(event)
    outcome = removal_of(settings, snapshot_id, drained_at)
    log.info("remove", outcome=outcome, snapshot_id=snapshot_id)
    return {"outcome": outcome, "polls": asked}


def discard(event: Event, log: Log) -> Result:
    """Delete an environment that a drill made and that never went live; asked again, say whether it is gone.

    Raises `EnvironmentNotUsable` where a failover has taken it up, or another one made it: nothing is touched then.
    """
    settings = Settings.read()
    asked = polls(event)
    outcome = discarded(settings)
    log.info("discard", outcome=outcome)
    return {"outcome": outcome, "polls": asked}


def discarded(settings: Settings) -> str:
    """Delete the drill's environment unless that is done or under way: "deleting" or "gone"."""
    environment = existing_environment(settings.environment)
    if environment is None:
        return "gone"
    if environment["Status"] == "DELETING":
        return "deleting"
    where = f"environment {settings.environment} in {settings.region}"
    if DRILL_TAG not in environment.get("Tags", {}):
        raise EnvironmentNotUsable(f"{where} was made by no drill: it is not removed")
    if environment["Status"] not in (*USABLE, "CREATE_FAILED"):
        raise Transient(f"{where} is {environment['Status']}: it cannot be deleted yet")
    if read_lease(aws.client("dynamodb"), variable("LEASE_TABLE")).holder == settings.region:
        raise EnvironmentNotUsable(f"{where} was taken up by a failover: it is not removed")
    return delete(aws.client("mwaa"), settings.environment)


def polls(event: Event) -> int:
    """How often to ask before giving up."""
    poll_seconds = events.optional_number(event, "poll_seconds", 30, low=1, high=3600)
    timeout_minutes = events.optional_number(event, "timeout_minutes", 120, low=1, high=1440)
    return math.ceil(timeout_minutes * 60 / poll_seconds)


def removal_of(settings: Settings, snapshot_id: str, drained_at: datetime | None) -> str:
    """Delete the environment unless that is done or under way: "deleting" or "gone"."""
    environment = existing_environment(settings.environment)
    if environment is None:
        return "gone"
    if environment["Status"] == "DELETING":
        return "deleting"
    where = f"environment {settings.environment} in {settings.region}"
    if environment["Status"] not in USABLE:
        raise EnvironmentNotUsable(f"{where} is {environment['Status']}; accepted: {' or '.join(USABLE)}")
    if drained_at is None:
        raise EnvironmentNotUsable(f"{where} is {environment['Status']}, and was not drained: hibernate it anew")
    prove(settings, snapshot_id, drained_at)
    return delete(aws.client("mwaa"), settings.environment)


def prove(settings: Settings, snapshot_id: str, drained_at: datetime) -> None:
    """Raise where the snapshot would not bring this environment back as it is now."""
    s3, bucket = aws.client("s3"), variable("SNAPSHOT_BUCKET")
    claimed, read_back = snapshots.prove_present(s3, bucket, settings.environment, snapshot_id)
    if not read_back:
        raise SnapshotRefused(f"snapshot {snapshot_id}, or its base, was not read back")
    if claimed.region != settings.region:
        raise SnapshotRefused(f"snapshot {snapshot_id} is of {claimed.region}; accepted: {settings.region}")
    if claimed.cut_at < drained_at:
        cut, drained = claimed.cut_at.isoformat(), drained_at.isoformat()
        raise SnapshotRefused(f"snapshot {snapshot_id} was cut at {cut}, before the DAGs were paused at {drained}")
    if stored_spec.snapshot_spec(s3, settings, snapshot_id).get("Name") != settings.environment:
        raise SnapshotRefused(f"snapshot {snapshot_id}: its spec.json is of another environment")
    snapshots.prove_key(aws.client("kms"), claimed)


def delete(mwaa: Any, environment: str) -> str:
    """Call DeleteEnvironment: "deleting", or "gone" where somebody else was faster."""
    try:
        mwaa.delete_environment(Name=environment)
    except ClientError as error:
        if aws.is_absent(error):
            return "gone"
        raise
    return "deleting"
