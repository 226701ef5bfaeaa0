"""failback: what the primary asks of the other Region to become active again. It runs in the primary.

Each action may be asked again: what is under way is followed, and what is done stays done.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from mwaa_continuity import app, aws, dag_changes, events, lease, peer_executions, snapshot_copy, visibility
from mwaa_continuity.app import Result
from mwaa_continuity.environments import existing_environment
from mwaa_continuity.errors import HandOverFailed, PutBackFailed, StandDownFailed
from mwaa_continuity.events import Event
from mwaa_continuity.executions import earlier_execution
from mwaa_continuity.failback_decision import (
    GO,
    NO_ENVIRONMENT,
    RESUME,
    SOME_ENVIRONMENT,
    Decision,
    of_environments,
    of_lease,
)
from mwaa_continuity.lease_table import Lease, home_of_lease, read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable, whole_number
from mwaa_continuity.snapshot_copy import Place

AN_EXECUTION: Final = "the ARN of the failback execution"

#: How long one call copies, well below the time-out of the function.
COPY_SECONDS: Final = 600

#: A state machine carries the answer on, so it names so many files only.
NAMED_CONFLICTS: Final = 20


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "begin": begin,
        "hand_over": hand_over,
        "put_back": put_back,
        "copy_snapshot": copy_snapshot,
        "copy_dags": copy_dags,
        "stand_down": stand_down,
    }
    return app.run("failback", actions, event, context)


def begin(event: Event, log: Log) -> Result:
    """Say whether this Region may become active again, from where on, and what is there. Nothing is changed."""
    settings, peer = Settings.read(), variable("PEER_REGION")
    execution = events.text(event, "execution", AN_EXECUTION)
    force = events.flag(event, "force")
    earlier = earlier_execution(execution)
    seen = read_lease(home_of_lease(), variable("LEASE_TABLE"))
    decision = of_lease(
        seen,
        settings.region,
        peer,
        other_running=earlier.rpartition(":")[2] if earlier else None,
        cooling_down=lease.cooling_down(seen, time.time(), whole_number("COOLDOWN_SECONDS")),
        force=force,
    )
    here = status_of(settings)
    if decision.outcome in (GO, RESUME):
        # After the lease moved, the other Region is asked for nothing any more.
        there = status_of(settings, peer) if decision.outcome == GO else "AVAILABLE"
        looked = of_environments(here, there, terraform_owns=variable("ENVIRONMENT_OWNER") == "terraform")
        decision = decision if looked.outcome == GO else looked
    log.info("begin", outcome=decision.outcome, why=decision.why, token=seen.token)
    return begun(decision, seen, here)


def begun(decision: Decision, seen: Lease, here: str | None) -> Result:
    """The answer: `since` is when the lease moved to the other Region; `snapshot_id` what an earlier attempt took."""
    return {
        "outcome": decision.outcome,
        "why": decision.why,
        "environment": NO_ENVIRONMENT if here is None else SOME_ENVIRONMENT,
        "since": seen.since,
        "snapshot_id": seen.snapshot_id or None,
    }


def status_of(settings: Settings, region: str | None = None) -> str | None:
    """The status of the environment in a Region, the own one by default, or none."""
    environment = existing_environment(settings.environment, region)
    return None if environment is None else str(environment["Status"])


def hand_over(event: Event, log: Log) -> Result:
    """Let the other Region drain and snapshot its environment, once. Raises `HandOverFailed`."""
    execution = events.text(event, "execution", AN_EXECUTION)
    name = peer_executions.name_of("hand-over", execution)
    found = peer_executions.start_once(variable("HAND_OVER_ARN"), name, {"operation": "hand_over"})
    log.info("hand over", outcome=found.status)
    if found.running:
        return {"outcome": "running", "snapshot_id": None}
    if found.status != "SUCCEEDED":
        raise HandOverFailed(found.why)
    return {"outcome": "done", "snapshot_id": found.output["handed_over"]["snapshot_id"]}


def put_back(event: Event, log: Log) -> Result:
    """Let the other Region go on as before, after what failed here. Raises `PutBackFailed` where its DAGs stay paused.

    A hand-over that is still at work is let end first. One that failed by itself put everything back.
    """
    execution = events.text(event, "execution", AN_EXECUTION)
    settings = Settings.read()
    holder = read_lease(home_of_lease(), variable("LEASE_TABLE")).holder
    machine = variable("HAND_OVER_ARN")
    handed = peer_executions.find(machine, peer_executions.name_of("hand-over", execution))
    if handed is None or holder == settings.region:
        return {"outcome": "done"}
    if handed.running or on_its_way(settings):
        return {"outcome": "running"}
    if handed.status == "FAILED" and handed.error != "LeftPaused":
        return {"outcome": "done"}
    name = peer_executions.name_of("put-back", execution)
    found = peer_executions.start_once(machine, name, {"operation": "put_back"})
    log.info("put back", outcome=found.status)
    if found.running:
        return {"outcome": "running"}
    if found.status != "SUCCEEDED":
        raise PutBackFailed(found.why)
    return {"outcome": "done"}


def on_its_way(settings: Settings) -> bool:
    """Whether the file that hides DAGs here is still to be replicated: it would arrive after it was looked for."""
    key = visibility.ignore_key(variable("DAG_S3_PATH"))
    current = visibility.head(aws.client("s3", settings.region), variable("DAG_BUCKET"), key)
    return current is not None and visibility.is_managed(current) and current.get("ReplicationStatus") == "PENDING"


def copy_snapshot(event: Event, log: Log) -> Result:
    """Copy a snapshot, and its base, from the other Region's bucket: "more" where the time of one call was too short.

    Raises `SnapshotRefused` where it is not complete there.
    """
    settings = Settings.read()
    snapshot_id = events.snapshot_id(event)
    copied = snapshot_copy.copy(*places("SNAPSHOT_BUCKET"), settings.environment, snapshot_id, deadline())
    log.info("copied", snapshot_id=snapshot_id, objects=copied.objects, bytes=copied.size)
    return {"outcome": "done" if copied.whole else "more", "objects": copied.objects, "bytes": copied.size}


def copy_dags(event: Event, log: Log) -> Result:
    """Carry over what people changed in the other Region's DAG bucket since the lease moved there (epoch seconds).

    What changed here as well, and was never replicated, is kept and named in `conflicts`.
    """
    since = datetime.fromtimestamp(events.number(event, "since", low=0, high=2**40), UTC)
    there, here = places("DAG_BUCKET")
    plan = dag_changes.plan(there, here, variable("DAG_S3_PATH"), since)
    whole = dag_changes.carry_out(there, here, plan, deadline())
    conflicts = sorted(plan.conflicts)
    log.info("copied", copied=len(plan.copies), deleted=len(plan.deletions), conflicts=len(conflicts))
    return {
        "outcome": "done" if whole else "more",
        "copied": len(plan.copies),
        "deleted": len(plan.deletions),
        "conflicts": conflicts[:NAMED_CONFLICTS],
    }


def places(bucket: str) -> tuple[Place, Place]:
    """The bucket of the other Region and its own, by the name of the variable."""
    there = Place(aws.client("s3", variable("PEER_REGION")), variable(f"PEER_{bucket}"))
    return there, Place(aws.client("s3"), variable(bucket))


def deadline() -> float:
    """Until when one call copies, in seconds of the monotonic clock."""
    return time.monotonic() + COPY_SECONDS


def stand_down(event: Event, log: Log) -> Result:
    """Let the other Region remove its environment, once. Raises `StandDownFailed`: the failback stays."""
    execution = events.text(event, "execution", AN_EXECUTION)
    name = peer_executions.name_of("stand-down", execution)
    found = peer_executions.start_once(variable("STAND_DOWN_ARN"), name, {})
    log.info("stand down", outcome=found.status)
    if not found.running and found.status != "SUCCEEDED":
        raise StandDownFailed(found.why)
    return {"outcome": "running" if found.running else "done"}
