"""dry_run: what a failover to this Region would do now, and why. It only reads; its role can do nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from mwaa_continuity import app, aws, events, heartbeat_check, metrics, preflight, restore
from mwaa_continuity.app import Result
from mwaa_continuity.dry_run_text import told
from mwaa_continuity.environments import IN_THE_WAY, USABLE, existing_environment
from mwaa_continuity.errors import BadSpec, NoSnapshot, SnapshotRefused
from mwaa_continuity.events import Event
from mwaa_continuity.health import whole_minutes
from mwaa_continuity.lease import cooling_down, outcome_of_take
from mwaa_continuity.lease_table import Lease, home_of_lease, read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.manifest import FULL
from mwaa_continuity.question import read_question, stands
from mwaa_continuity.settings import Settings, optional_variable, variable, whole_number
from mwaa_continuity.snapshots import read_manifest
from mwaa_continuity.stored_spec import document_here, find_spec

#: What taking the lease may come to, in words.
OUTCOMES: Final[Mapping[str, str]] = {
    "taken": "it would be taken",
    "held": "this Region has it from an attempt that did not finish: it would go on from there",
    "already_live": "this Region has it and is live: there is nothing to do",
    "busy": "another failover to this Region is at work",
    "cooling_down": "it changed hands within the cool-down, and force is not true",
    "locked": "the operator's lock forbids it",
}
GOES_ON: Final = ("taken", "held")


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what it answers."""
    return app.run("dry_run", {"": look}, event, context)


def look(event: Event, log: Log) -> Result:
    """Everything that a failover with this input would look at, in its order, and what would keep it from going on."""
    settings = Settings.read()
    execution = events.text(event, "execution", "the ARN of the execution that asks")
    snapshot_id = events.optional_snapshot_id(event)
    force = events.flag(event, "force")
    mode = {"restore_mode": event.get("restore_mode")}
    table, now = variable("LEASE_TABLE"), time.time()
    cooldown = whole_number("COOLDOWN_SECONDS")

    lease = read_lease(home_of_lease(), table)
    outcome = outcome_of_take(lease, settings.region, execution, now=int(now), cooldown=cooldown, force=force)
    evidence = evidence_of(settings, log, now)
    asking = stands(read_question(home_of_lease(), table), now)
    cools = lease.holder != settings.region and cooling_down(lease, now, cooldown)
    recorded = lease.snapshot_id or None if outcome == "held" else None
    snapshot = snapshot_of({"snapshot_id": snapshot_id, "recorded": recorded, **mode}, log)
    chosen = snapshot.get("snapshot_id")
    found: Result = {
        "environment": settings.environment,
        "region": settings.region,
        "strategy": variable("STRATEGY"),
        "evidence": evidence,
        "by_itself": by_itself(lease, evidence["verdict"], settings.region, cooling=cools, asking=asking),
        "lease": {
            "holder": lease.holder,
            "token": lease.token,
            "live": lease.live,
            "locked": lease.locked,
            "cooling_down": cools,
            "outcome": outcome,
            "why": OUTCOMES[outcome],
        },
        "snapshot": snapshot,
        "target": target_of(settings, chosen, snapshot.get("restore_mode")),
        "preflight": preflight_of(settings, chosen, log),
    }
    obstacles = obstacles_of(found)
    log.info("looked", outcome=outcome, verdict=evidence["verdict"], snapshot_id=chosen, why="; ".join(obstacles))
    return {"text": told(found, obstacles), "would_fail_over": not obstacles, "obstacles": obstacles, **found}


def evidence_of(settings: Settings, log: Log, now: float) -> Result:
    """The verdict by the signals of this project; of a detector of the caller's own, the last that it published."""
    seen = heartbeat_check.look(settings, log)
    detector = optional_variable("DETECTOR")
    if detector is None:
        return seen | {"detector": None}
    cloudwatch = aws.client("cloudwatch")
    minutes = whole_minutes(now, whole_number("PERIODS"))
    dimensions = {"Environment": settings.environment}
    newest = {
        verdict: max(
            metrics.minutes_with_data(cloudwatch, (metrics.NAMESPACE, metric), dimensions, minutes, "Maximum"),
            default=0,
        )
        for verdict, metric in heartbeat_check.VERDICT_METRICS.items()
    }
    last = max(newest, key=lambda verdict: newest[verdict]) if any(newest.values()) else "unknown"
    why = f"{detector} decides, and published {last if any(newest.values()) else 'nothing'} last. {seen['why']}"
    return seen | {"verdict": last, "why": why, "detector": detector}


def by_itself(lease: Lease, verdict: str, region: str, *, cooling: bool, asking: bool) -> Result:
    """What `heartbeat_check` would do now: `failover`, `ask` or `nothing`, and why."""
    held = lease.holder == region
    asks = variable("ASK") == "true"
    reasons = (
        (held and lease.live, "this Region has the lease and is live"),
        (held, "this Region has the lease, and a failover to it that did not finish is taken up again in its time"),
        (verdict != "unhealthy", f"the verdict is {verdict}"),
        (lease.locked, "the operator's lock is set"),
        (cooling, "the lease changed hands within the cool-down"),
        (variable("AUTOMATIC") != "true", "failovers are started by hand (failover.automatic)"),
        (asks and asking, "a person is being asked, or answered a short while ago"),
    )
    against = next((why for holds, why in reasons if holds), None)
    if against is not None:
        return {"would": "nothing", "why": against}
    if asks:
        return {"would": "ask", "why": "the primary is unhealthy, and a person is asked first (failover.approval)"}
    return {"would": "failover", "why": "the primary is unhealthy"}


def snapshot_of(wanted: Mapping[str, object], log: Log) -> Result:
    """The snapshot that would be restored, every object of it read and compared; or why there is none."""
    try:
        return restore.select(wanted, log)
    except (NoSnapshot, SnapshotRefused) as error:
        return {"snapshot_id": None, "why": str(error)}


def target_of(settings: Settings, snapshot_id: str | None, mode: str | None) -> Result:
    """What would become of the environment in this Region: `adopt`, `wait`, `create` or `refuse`. What its database
    holds is not looked at."""
    environment = existing_environment(settings.environment)
    status = None if environment is None else str(environment["Status"])
    if status in IN_THE_WAY:
        return {"status": status, "would": "refuse", "why": IN_THE_WAY[status], "spec_source": None}
    s3: Any = aws.client("s3")
    if environment is not None:
        # One under change may be of the snapshot's version after it.
        other = other_version(s3, settings, environment, snapshot_id) if status in USABLE and mode == FULL else ""
        would = "refuse" if other else "adopt" if status in USABLE else "wait"
        return {"status": status, "would": would, "why": other, "spec_source": None}
    try:
        stored = find_spec(s3, settings, snapshot_id)
        document_here(s3, settings, stored)
    except BadSpec as error:
        return {"status": None, "would": "refuse", "why": str(error), "spec_source": None}
    return {"status": None, "would": "create", "why": "there is none", "spec_source": stored.key}


def other_version(s3: Any, settings: Settings, environment: Mapping[str, Any], snapshot_id: str | None) -> str:
    """Why a full restore into this environment is not to be, or ""."""
    if snapshot_id is None:
        return ""
    there = str(environment["AirflowVersion"])
    taken = read_manifest(s3, variable("SNAPSHOT_BUCKET"), settings.environment, snapshot_id).airflow_version
    if there == taken:
        return ""
    return f"it is of Airflow {there}, the snapshot of {taken}: only restore_mode portable goes across versions"


def preflight_of(settings: Settings, snapshot_id: str | None, log: Log) -> Result:
    """What a preflight finds. A failover does not ask for one: its findings tell what may go wrong."""
    answer = preflight.look(settings, snapshot_id, log)
    failed = [check for check in answer["checks"] if not check["ok"]]
    return {"ok": answer["ok"], "made": len(answer["checks"]), "failed": failed}


def obstacles_of(found: Mapping[str, Any]) -> list[str]:
    """Why a failover with this input would end before it has done its work."""
    obstacles = []
    if found["lease"]["outcome"] not in GOES_ON:
        obstacles.append(f"the lease: {found['lease']['why']}")
    if found["snapshot"]["snapshot_id"] is None:
        obstacles.append(f"the snapshot: {found['snapshot']['why']}")
    if found["target"]["would"] == "refuse":
        obstacles.append(f"the environment: {found['target']['why']}")
    return obstacles
