"""backup: prepare a snapshot, start the DAG that takes it, prove it complete; drain before one, let none be lost."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from mwaa_continuity import app, aws, dag_runs, destruction, events, metrics, snapshots, spec
from mwaa_continuity.app import Result
from mwaa_continuity.environments import USABLE, find_environment
from mwaa_continuity.events import Event
from mwaa_continuity.lease_table import read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.manifest import PORTABLE
from mwaa_continuity.settings import Settings, variable

#: What a drain does with what still executes when its time is over.
WHEN_LATE = ("cancel", "snapshot")


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "prepare": prepare,
        "start": start,
        "verify": verify,
        "drain": drain,
        "undrain": undrain,
        "may_be_destroyed": destruction.may_be_destroyed,
    }
    return app.run("backup", actions, event, context)


def prepare(event: Event, log: Log) -> Result:
    """Decide whether this Region takes a snapshot now; if so, name it and store the spec beside it."""
    settings = Settings.read()
    bucket = variable("SNAPSHOT_BUCKET")
    table = variable("LEASE_TABLE")
    scheduled_at = events.instant(event, "scheduled_at")
    snapshot_id = name_snapshot(settings, scheduled_at, log.context["request_id"])

    def answer(outcome: str, why: str) -> Result:
        log.info("prepared", outcome=outcome, why=why, snapshot_id=snapshot_id)
        return {"outcome": outcome, "snapshot_id": snapshot_id, "why": why}

    lease = read_lease(aws.client("dynamodb"), table)
    if lease.holder not in ("", settings.region):
        return answer("not_holder", f"{lease.holder} holds the lease")
    if lease.holder and not lease.live:
        return answer("not_holder", "the failover to this Region has not gone live")
    environment = find_environment(settings.environment)
    if environment is None:
        return answer("not_available", f"environment {settings.environment} does not exist in {settings.region}")
    if environment["Status"] not in USABLE:
        return answer("not_available", f"environment {settings.environment} is {environment['Status']}")
    if not store_spec(settings, bucket, snapshot_id, environment, str(log.context["request_id"])):
        return answer("duplicate", "this snapshot was started before")
    return answer("go", "")


def name_snapshot(settings: Settings, scheduled_at: datetime | None, request_id: object) -> str:
    """The id of a snapshot: a schedule delivered twice gives the same, whoever asks."""
    moment = scheduled_at or datetime.fromtimestamp(int(time.time()), UTC)
    seed = moment.isoformat() if scheduled_at else f"{moment.isoformat()}|{request_id}"
    digest = hashlib.sha256(f"{settings.environment}|{settings.region}|{seed}".encode()).hexdigest()
    return f"{moment:%Y%m%dT%H%M%SZ}-{digest[:8]}"


def store_spec(settings: Settings, bucket: str, snapshot_id: str, environment: dict[str, Any], request_id: str) -> bool:
    """Store spec.json, once. False where another request did: the first writer owns the snapshot."""
    s3 = aws.client("s3")
    key = snapshots.prefix(settings.environment, snapshot_id) + "spec.json"
    document = spec.from_environment(environment)
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=json.dumps(document, indent=2, sort_keys=True).encode(),
            ContentType="application/json",
            Metadata={"request-id": request_id, "region": settings.region},
            IfNoneMatch="*",
        )
    except ClientError as error:
        if aws.code(error) not in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
            raise
        # The same request may come back after its answer was lost: it still owns the snapshot.
        found: str = s3.head_object(Bucket=bucket, Key=key)["Metadata"].get("request-id", "")
        return found == request_id
    return True


def start(event: Event, log: Log) -> Result:
    """Start the snapshot DAG, which answers by task token."""
    return dag_runs.start("continuity_snapshot", event, log, snapshot_id=events.snapshot_id(event))


def drain(event: Event, log: Log) -> Result:
    """Start the DAG that pauses every DAG and waits until nothing executes, which answers by task token."""
    minutes = events.number(event, "minutes", low=0, high=1440)
    when_late = events.choice(event, "when_late", WHEN_LATE)
    return dag_runs.start("continuity_drain", event, log, minutes=minutes, when_late=when_late)


def undrain(event: Event, log: Log) -> Result:
    """Start the DAG that puts back what a drain paused, which answers by task token."""
    return dag_runs.start("continuity_undrain", event, log)


def verify(event: Event, log: Log) -> Result:
    """Prove a snapshot complete, unaltered and read back, and publish what it came to. Raises `SnapshotRefused`.

    `bytes` are those of its own objects; `objects` counts those of its base that it builds on as well.
    """
    settings = Settings.read()
    snapshot_id = events.snapshot_id(event)
    bucket = variable("SNAPSHOT_BUCKET")
    found = snapshots.prove_new(aws.client("s3"), aws.client("kms"), bucket, settings.environment, snapshot_id)
    age = max(0, round(time.time() - found.cut_at.timestamp()))
    metrics.publish(
        aws.client("cloudwatch"),
        settings.environment,
        {
            "SnapshotAgeSeconds": age,
            "SnapshotPortable": int(found.mode == PORTABLE),
            "SnapshotBytes": found.size,
            "SnapshotDurationSeconds": (found.completed_at - found.started_at).total_seconds(),
        },
    )
    log.info("verified", snapshot_id=snapshot_id, base=found.base, objects=len(found.objects), bytes=found.size)
    return {
        "snapshot_id": snapshot_id,
        "mode": found.mode,
        "base": found.base,
        "objects": len(found.objects),
        "rows": found.rows,
        "bytes": found.size,
        "cut_at": found.cut_at.isoformat(),
        "age_seconds": age,
    }
