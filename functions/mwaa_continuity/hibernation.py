"""hibernation: who puts the environment away or brings it back, and what state it is in between.

The state is one item ("The lease table"), which is written here alone. Every action may be asked again: the same
execution gets the same answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Final

from mwaa_continuity import app, aws, events, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.errors import HibernationLost, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.sleep_decisions import Ask, Decision, hibernate, resume, told
from mwaa_continuity.sleep_state import (
    ASLEEP,
    AWAKE,
    HIBERNATING,
    RESUMING,
    SleepState,
    read_state,
    write_state,
)

ATTEMPTS: Final = 5
AN_EXECUTION: Final = "the ARN of the execution"


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "begin": begin,
        "record": record,
        "asleep": asleep,
        "awake": awake,
        "stay_awake": stay_awake,
    }
    return app.run("hibernation", actions, event, context)


def begin(event: Event, log: Log) -> Result:
    """Let one execution put the environment away or bring it back, or say why not."""
    operation = events.choice(event, "operation", ("hibernate", "resume"))
    ask = Ask(
        settings=Settings.read(),
        execution=events.text(event, "execution", AN_EXECUTION),
        scheduled_at=events.instant(event, "scheduled_at"),
        snapshot_id=events.optional_snapshot_id(event),
        now=int(time.time()),
        first=events.flag(event, "first"),
    )
    decide = hibernate if operation == "hibernate" else resume
    decision, state = change(ask.settings, lambda seen: decide(ask, seen))
    log.info("begin", outcome=decision.outcome, why=decision.why, snapshot_id=state.snapshot_id)
    return {
        "outcome": decision.outcome,
        "snapshot_id": state.snapshot_id or None,
        "since": state.since,
        "why": decision.why,
    }


def record(event: Event, log: Log) -> Result:
    """Record what brings the environment back, before it is removed. Raises `HibernationLost`."""
    snapshot_id = events.snapshot_id(event)

    def decide(execution: str, seen: SleepState) -> SleepState | None:
        return (
            replace(seen, snapshot_id=snapshot_id) if (seen.state, seen.execution) == (HIBERNATING, execution) else None
        )

    owned(event, decide)
    log.info("record", snapshot_id=snapshot_id)
    return {"snapshot_id": snapshot_id}


def asleep(event: Event, log: Log) -> Result:
    """End a hibernation, once, and publish how long the environment was awake. Raises `HibernationLost`."""
    snapshot_id = events.snapshot_id(event)
    now = int(time.time())
    slept = SleepState(ASLEEP, since=now, phase_since=now, snapshot_id=snapshot_id)

    def decide(execution: str, seen: SleepState) -> SleepState | None:
        if (seen.state, seen.execution) == (HIBERNATING, execution):
            return replace(slept, execution=execution, stay_awake_until=seen.stay_awake_until)
        return seen if (seen.state, seen.execution, seen.snapshot_id) == (ASLEEP, execution, snapshot_id) else None

    seen, state = owned(event, decide)
    if seen != state:
        publish_hours("AwakeHours", seen.phase_since, now, log)
    log.info("asleep", snapshot_id=snapshot_id)
    return {"state": state.state}


def awake(event: Event, log: Log) -> Result:
    """End a resume, or a hibernation that was put back, once; after a resume, publish how long the sleep was.

    Raises `HibernationLost`.
    """
    now = int(time.time())

    def decide(execution: str, seen: SleepState) -> SleepState | None:
        if seen.execution != execution or seen.state == ASLEEP:
            return None
        if seen.state == AWAKE:
            return seen
        phase_since = now if seen.state == RESUMING else seen.phase_since
        return replace(seen, state=AWAKE, since=now, phase_since=phase_since, snapshot_id="")

    seen, state = owned(event, decide)
    if seen.state == RESUMING:
        publish_hours("AsleepHours", seen.phase_since, now, log)
    log.info("awake", outcome=f"after {seen.state}")
    return {"state": state.state}


def stay_awake(event: Event, log: Log) -> Result:
    """Keep schedules from putting the environment away until an instant; one that has passed takes the wish back."""
    until = events.needed_instant(event, "until")
    wish = int(until.timestamp())
    _, state = change(Settings.read(), lambda seen: Decision("stays", wanted=replace(seen, stay_awake_until=wish)))
    log.info("stay awake", why=f"until {told(wish)}")
    return asdict(state)


def change(settings: Settings, decide: Callable[[SleepState], Decision]) -> tuple[Decision, SleepState]:
    """Write what is decided of what was read, unless somebody else was faster: then it is decided again."""
    dynamodb, table = aws.client("dynamodb"), variable("LEASE_TABLE")
    for _ in range(ATTEMPTS):
        seen = read_state(dynamodb, table, settings.region)
        decision = decide(seen or SleepState())
        wanted = decision.wanted
        if wanted is None or wanted == seen or write_state(dynamodb, table, settings.region, seen, wanted):
            return decision, wanted or seen or SleepState()
    raise Transient(f"the state of hibernation changed {ATTEMPTS} times while it was being written")


def owned(event: Event, decide: Callable[[str, SleepState], SleepState | None]) -> tuple[SleepState, SleepState]:
    """Change the state for the execution that the event names: what it was, and what it is.

    Raises `HibernationLost` where there is nothing for that execution to change.
    """
    settings = Settings.read()
    execution = events.text(event, "execution", AN_EXECUTION)
    before: list[SleepState] = []

    def decided(seen: SleepState) -> Decision:
        wanted = decide(execution, seen)
        if wanted is None:
            raise HibernationLost(f"{settings.environment} is {seen.state}, and not by this execution any more")
        before.append(seen)
        return Decision("changed", wanted=wanted)

    _, state = change(settings, decided)
    return before[-1], state


def publish_hours(metric: str, since: int, now: int, log: Log) -> None:
    """Publish how long a phase was."""
    if since:
        metrics.try_to_publish(variable("ENVIRONMENT_NAME"), {metric: (now - since) / 3600}, log)
