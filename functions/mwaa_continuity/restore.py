"""restore: choose the snapshot, wait for the metadata DAGs, start the restore and go live."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import app, aws, dag_runs, events, refresh, smoke, snapshots
from mwaa_continuity.app import Result
from mwaa_continuity.environments import existing_environment
from mwaa_continuity.errors import (
    EnvironmentNotUsable,
    NoSnapshot,
    RestApiRefused,
    RestApiUnavailable,
    SnapshotRefused,
)
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.manifest import FULL, MODES, Manifest
from mwaa_continuity.settings import Settings, variable

NEEDED_DAGS = ("continuity_restore", "continuity_go_live")

#: A database that tasks could not reach for a while is no reason to do without history and work in flight.
FULL_PREFERRED: Final = timedelta(hours=2)

#: What a restore may be told beyond its mode.
FLAGS: Final = ("replace", "refresh")

#: A state machine carries the answer on, so it names the newest rejected snapshots only.
NAMED_REJECTED = 20


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "select": select,
        "ready": ready,
        "start": start,
        "go_live": go_live,
        "look": look,
        "smoke": smoke.smoke,
        "refresh": refresh.refresh,
        "refreshed": refresh.refreshed,
        "interrupted": refresh.interrupted,
    }
    return app.run("restore", actions, event, context)


def select(event: Event, log: Log) -> Result:
    """The newest snapshot that is complete and unaltered in this Region, or the one asked for, and how to restore it.

    A portable one gives way to a full one that is little older: it holds no history, and no work in flight.
    `recorded` is what an earlier attempt of this failover chose. It comes first while the environment is there: that
    may hold its state already, and is not restored a second time from another one. A new one holds none: any will do.

    Raises `SnapshotRefused` where the one asked for is not, `NoSnapshot` where none is.
    """
    settings = Settings.read()
    bucket = variable("SNAPSHOT_BUCKET")
    wanted = events.optional_snapshot_id(event)
    recorded = events.optional_snapshot_id(event, "recorded")
    mode = events.optional_choice(event, "restore_mode", MODES)
    s3, kms = aws.client("s3"), aws.client("kms")
    candidates = [wanted] if wanted else snapshots.newest_first(s3, bucket, settings.environment)
    if recorded and not wanted and existing_environment(settings.environment):
        candidates = [recorded, *(other for other in candidates if other != recorded)]
    rejected: list[dict[str, str]] = []
    found: snapshots.Faults = {}
    best: Manifest | None = None  # a portable one, until a full one is found that is little older
    for snapshot_id in candidates:
        if best and snapshots.taken_at(best.snapshot_id) - snapshots.taken_at(snapshot_id) > FULL_PREFERRED:
            break
        try:
            chosen = snapshots.prove(s3, kms, bucket, settings.environment, snapshot_id, found=found)
        except SnapshotRefused as error:
            if wanted:
                raise
            log.warning("rejected", snapshot_id=snapshot_id, why=str(error))
            rejected.append({"snapshot_id": snapshot_id, "why": str(error)[:500]})
            continue
        if best is None or chosen.mode == FULL:
            if best:
                why = f"it is portable, and {snapshot_id} is full and little older"
                rejected.append({"snapshot_id": best.snapshot_id, "why": why})
            best = chosen
        if best.mode == FULL or wanted or snapshot_id == recorded:
            break
    if best:
        return selected(best, mode, rejected, log)
    reasons = "; ".join(item["why"] for item in rejected[:3]) or "there is none"
    raise NoSnapshot(f"no snapshot of {settings.environment} in bucket {bucket} can be restored: {reasons}")


def selected(chosen: Manifest, mode: str | None, rejected: list[dict[str, str]], log: Log) -> Result:
    """The answer for a chosen snapshot."""
    rpo = max(0, round(time.time() - chosen.cut_at.timestamp()))
    log.info("selected", snapshot_id=chosen.snapshot_id, rpo_seconds=rpo)
    return {
        "snapshot_id": chosen.snapshot_id,
        "cut_at": chosen.cut_at.isoformat(),
        "rpo_seconds": rpo,
        "restore_mode": mode or chosen.mode,
        "rejected": rejected[:NAMED_REJECTED],
    }


def ready(event: Event, log: Log) -> Result:
    """Whether the metadata DAGs can be started; a web server that is still starting is no error."""
    settings = Settings.read()
    waiting_since = events.instant(event, "waiting_since")
    deadline = events.optional_number(event, "deadline_seconds", 900, low=1, high=86400)
    problem = why_not_ready(settings.environment)
    waited = time.time() - waiting_since.timestamp() if waiting_since else 0.0
    log.info("ready", ready=problem is None, why=problem)
    return {"ready": problem is None, "expired": problem is not None and waited >= deadline, "why": problem or ""}


def why_not_ready(environment: str) -> str | None:
    """What keeps the metadata DAGs from being started, or none."""
    try:
        api = dag_runs.rest_api(environment)
        problems = [api.dag_problem(dag_id) for dag_id in NEEDED_DAGS]
    except (RestApiRefused, RestApiUnavailable, EnvironmentNotUsable) as error:
        return str(error)
    except (BotoCoreError, ClientError) as error:
        return str(aws.translated(error))
    return "; ".join(problem for problem in problems if problem) or None


def start(event: Event, log: Log) -> Result:
    """Start the restore DAG, which answers by task token.

    `replace`: it may delete what the environment ran; `refresh`: it is for a standby, the state alone.
    """
    mode = events.optional_choice(event, "restore_mode", MODES)
    snapshot_id = events.snapshot_id(event)
    wanted = {**({"mode": mode} if mode else {}), **{flag: True for flag in FLAGS if events.flag(event, flag)}}
    return dag_runs.start("continuity_restore", event, log, snapshot_id=snapshot_id, **wanted)


def go_live(event: Event, log: Log) -> Result:
    """Start the DAG that unpauses what was unpaused at the cut, which answers by task token."""
    seconds = events.number(event, "parse_deadline_seconds", low=1, high=86400)
    snapshot_id = events.snapshot_id(event)
    return dag_runs.start("continuity_go_live", event, log, snapshot_id=snapshot_id, parse_deadline_seconds=seconds)


def look(event: Event, log: Log) -> Result:
    """Start the DAG that counts what a drill restored, which answers by task token."""
    minutes = events.number(event, "minutes", low=1, high=1440)
    return dag_runs.start("continuity_drill", event, log, snapshot_id=events.snapshot_id(event), minutes=minutes)
