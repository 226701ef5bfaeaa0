"""Whether an environment is put away or brought back now: what `hibernation.begin` answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mwaa_continuity import exceptions
from mwaa_continuity.environments import USABLE, existing_environment
from mwaa_continuity.executions import execution_state
from mwaa_continuity.settings import Settings
from mwaa_continuity.sleep_state import ASLEEP, AWAKE, HIBERNATING, RESUMING, SleepState

#: How the first environment is created.
FIRST: Final = 'start resume with {"first": true}'


@dataclass(frozen=True)
class Ask:
    """What `begin` was asked for."""

    settings: Settings
    execution: str
    scheduled_at: datetime | None  #: none where a person started it
    snapshot_id: str | None  #: what a person wants a resume to restore
    now: int
    first: bool = False  #: whether a person wants the environment's first life begun, empty


@dataclass(frozen=True)
class Decision:
    """An answer, and the state to write, if it changes."""

    outcome: str
    why: str = ""
    wanted: SleepState | None = None


def hibernate(ask: Ask, seen: SleepState) -> Decision:
    """Whether the environment is put away now."""
    against = against_hibernating(ask, seen)
    if against:
        return against
    if seen.state == HIBERNATING and seen.execution == ask.execution:
        return Decision("go")
    name = ask.settings.environment
    environment = existing_environment(name)
    status = environment["Status"] if environment else "not there"
    if seen.snapshot_id and status in ("not there", "DELETING"):  # recorded by a hibernation that was interrupted
        return Decision("go", "its removal had begun", replace(seen, execution=ask.execution))
    if environment is None or status not in USABLE:
        return Decision("not_available", f"environment {name} is {status}")
    wanted = replace(
        seen,
        state=HIBERNATING,
        since=ask.now,
        phase_since=seen.phase_since or int(environment["CreatedAt"].timestamp()),
        execution=ask.execution,
        snapshot_id="",
    )
    return Decision("go", wanted=wanted)


def against_hibernating(ask: Ask, seen: SleepState) -> Decision | None:
    """What keeps the environment from being put away, whatever MWAA says of it."""
    if seen.state == ASLEEP:
        return Decision("asleep", f"asleep since {told(seen.since)}")
    if goes_on(ask, seen):
        return Decision("busy", f"{seen.execution} is at work")
    if seen.state == RESUMING:
        return Decision("not_available", "the last resume did not end well: start it again first")
    return None if seen.execution == ask.execution else against_schedule(ask, seen)


def against_schedule(ask: Ask, seen: SleepState) -> Decision | None:
    """What keeps a schedule from putting the environment away; a person knows what they do."""
    if ask.scheduled_at is None:
        return None
    if seen.phase_since > ask.scheduled_at.timestamp():  # delivered twice, and waited while the first was at work
        return Decision("asleep", f"it has slept since this start was due, and is back since {told(seen.phase_since)}")
    if exceptions.is_exception(ask.scheduled_at):
        return Decision("exception", "the calendar of exceptions names this day")
    if seen.stay_awake_until > ask.now:
        return Decision("stay_awake", f"it is to stay awake until {told(seen.stay_awake_until)}")
    return None


def resume(ask: Ask, seen: SleepState) -> Decision:
    """Whether the environment is brought back now, or created for the first time."""
    if goes_on(ask, seen):
        return Decision("busy", f"{seen.execution} is at work")
    first_failed = seen.state == RESUMING and not seen.snapshot_id
    if ask.first:
        return begin_first(ask, seen, again=first_failed)
    if seen.state == AWAKE:
        return resume_awake(ask, seen)
    if seen.state == HIBERNATING:
        return resume_interrupted(ask, seen)
    if first_failed and not ask.snapshot_id:
        return Decision("refused", f"its creation did not end well: {FIRST} again")
    since = seen.since if seen.state == RESUMING else ask.now
    return Decision("go", wanted=resuming(ask, seen, since))


def begin_first(ask: Ask, seen: SleepState, *, again: bool) -> Decision:
    """Whether the environment is created empty. What ever slept has a snapshot to come back from."""
    name = ask.settings.environment
    if again:
        return Decision("first", wanted=replace(seen, execution=ask.execution))
    if seen.state == AWAKE and existing_environment(name):
        return Decision("awake", "it is there already")
    if seen.since:
        why = f"environment {name} is {seen.state} since {told(seen.since)}: start resume without `first`"
        return Decision("refused", why)
    return Decision("first", wanted=replace(seen, state=RESUMING, since=ask.now, execution=ask.execution))


def resume_awake(ask: Ask, seen: SleepState) -> Decision:
    """Nothing to do where it is there; where it is not, nobody put it away: only a person knows what is to be."""
    name = ask.settings.environment
    if existing_environment(name):
        return Decision("awake", f"awake since {told(seen.since)}" if seen.since else "it never slept")
    if ask.snapshot_id:
        return Decision("go", wanted=resuming(ask, seen, ask.now))
    or_first = "" if seen.since else f", or, where it has yet to be created, {FIRST}"
    why = f'environment {name} is not there, and was not put away: start resume with {{"snapshot_id": "..."}}{or_first}'
    return Decision("refused", why)


def resume_interrupted(ask: Ask, seen: SleepState) -> Decision:
    """What becomes of a hibernation that ended in the middle: nothing was removed, or it slept unrecorded."""
    name = ask.settings.environment
    environment = existing_environment(name)
    if environment and environment["Status"] == "DELETING":
        return Decision("not_available", f"environment {name} is being deleted")
    if environment:
        why = "the hibernation was interrupted before it removed anything"
        return Decision("put_back", why, replace(seen, execution=ask.execution))
    wanted = replace(resuming(ask, seen, ask.now), phase_since=seen.since)
    if not wanted.snapshot_id:
        return Decision("not_available", f"environment {name} is gone, and no snapshot was recorded: name one")
    return Decision("go", wanted=wanted)


def resuming(ask: Ask, seen: SleepState, since: int) -> SleepState:
    """The state while the execution brings the environment back."""
    snapshot_id = ask.snapshot_id or seen.snapshot_id
    return replace(seen, state=RESUMING, since=since, execution=ask.execution, snapshot_id=snapshot_id)


def goes_on(ask: Ask, seen: SleepState) -> bool:
    """Whether another execution changes the state right now. One that ended in the middle is taken over."""
    between = seen.state in (HIBERNATING, RESUMING) and seen.execution != ask.execution
    return between and execution_state(seen.execution)[0]


def told(instant: int) -> str:
    """An instant in words."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))
