"""The drain: pause every DAG, remember which, and wait until nothing of users executes; and the way back.

Paused, the scheduler queues nothing more of a DAG: what was queued or runs goes on to its end, what is `scheduled`, and
what becomes so (next tasks, retries, sensors that are due again, task instances whose trigger fires), stays so. So
these are not waited for. They go into the snapshot as they are.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from psycopg2 import errors as refusals
from psycopg2 import extensions

from continuity import pausing, variables
from continuity.errors import RecordUnreadable, StillExecuting, UnreadableSecret
from continuity.ledger import Memory
from continuity.policy import HANDED_OVER
from continuity.rest import RestApi
from continuity.selection import in_flight, in_flight_by_rest
from continuity.settings import CANCEL, DrainConf

log = logging.getLogger(__name__)

VARIABLE = "continuity_drain"
DESCRIPTION = "DAGs that were paused because this environment is being drained; continuity_undrain brings them back"
POLL_SECONDS = 5.0
#: How many task instances are named at most.
NAMED = 50
#: What passes: somebody held a row for long, or waited for us as we for them.
PASSING = (refusals.LockNotAvailable, extensions.QueryCanceledError, extensions.TransactionRollbackError)
ATTEMPTS = 5

Instance = list[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """What a drain did: since when (ISO 8601), and the DAGs it paused."""

    drained_at: str
    paused: list[str]

    @classmethod
    def parse(cls, document: Any) -> Record:
        """Raises RecordUnreadable."""
        if not isinstance(document, dict) or document.keys() != {"drained_at", "paused"}:
            raise RecordUnreadable(VARIABLE)
        at, paused = document["drained_at"], document["paused"]
        if not (isinstance(at, str) and isinstance(paused, list) and all(isinstance(name, str) for name in paused)):
            raise RecordUnreadable(VARIABLE)
        return cls(at, paused)


@dataclass(frozen=True)
class Drained:
    """paused: how many DAGs come back with an undrain; executing: [dag_id, run_id, task_id, map_index, state] of what
    still executed when the time was over."""

    paused: int
    executing: list[Instance] = field(default_factory=list)


@dataclass(frozen=True)
class Undrained:
    """unpaused: how many DAGs are as they were; missing_dags: recorded ones that are not there any more."""

    unpaused: int
    missing_dags: list[str]


class Place(Protocol):
    """The environment that is drained; looks: how often in a row nothing executes until that is believed."""

    @property
    def looks(self) -> int: ...

    def pause(self) -> Record: ...
    def executing(self) -> list[Instance]: ...
    def put_back(self) -> Undrained: ...


def drain(place: Place, conf: DrainConf, poll_seconds: float = POLL_SECONDS) -> Drained:
    """Pause and record, again at every look, until nothing executes or the time is over.

    Raises StillExecuting where it is then to be called off: every flag is back.
    """
    deadline = time.monotonic() + 60 * conf.minutes
    quiet = 0
    while True:
        record = place.pause()
        executing = place.executing()
        quiet = 0 if executing else quiet + 1
        if quiet >= place.looks:
            return Drained(len(record.paused))
        left = deadline - time.monotonic()
        if executing and left <= 0:
            break
        log.info("%d task instances execute, %.0f s left: %s", len(executing), max(left, 0), executing[:NAMED])
        time.sleep(poll_seconds if quiet or left <= 0 else min(poll_seconds, left))
    if conf.when_late == CANCEL:
        back = place.put_back()
        raise StillExecuting(
            f"after {conf.minutes} minutes {len(executing)} task instances executed, so {back.unpaused} DAGs were "
            f"unpaused again: {told(executing)}"
        )
    log.warning("going on with %d task instances that execute: %s", len(executing), told(executing))
    return Drained(len(record.paused), executing[:NAMED])


def told(executing: list[Instance]) -> str:
    """Task instances by name, at most so many."""
    names = [
        f"{dag_id} {run_id} {task_id}{'' if map_index < 0 else f'[{map_index}]'} ({state})"
        for dag_id, run_id, task_id, map_index, state in executing[:NAMED]
    ]
    more = len(executing) - len(names)
    return ", ".join(names) + (f", and {more} more" if more else "")


def merged(earlier: Record | None, paused: Iterable[str], now: datetime | None = None) -> Record:
    """The record after these DAGs were paused: what an earlier attempt paused stays in it."""
    if earlier is None:
        return Record((now or datetime.now(UTC)).isoformat(), sorted(paused))
    return Record(earlier.drained_at, sorted({*earlier.paused, *paused}))


class Recorded(Protocol):
    """What names DAGs that this project paused and will bring back."""

    @property
    def paused(self) -> list[str]: ...


def flags_before(flags: Mapping[str, bool], *records: Recorded | None) -> dict[str, bool]:
    """Paused flags as they were before what is recorded was paused."""
    ours = {dag_id for record in records if record for dag_id in record.paused}
    return {dag_id: paused and dag_id not in ours for dag_id, paused in flags.items()}


def recorded(cursor: Any, lock: bool = False) -> Record | None:
    """The record, None where nothing is drained. Raises RecordUnreadable: nobody may go on as if there were none."""
    try:
        document = variables.read(cursor, VARIABLE, lock=lock)
    except (ValueError, UnreadableSecret):
        raise RecordUnreadable(VARIABLE) from None
    return None if document is None else Record.parse(document)


def remembered(memory: Memory) -> Record | None:
    """The same without the database."""
    found = memory.find_variable(VARIABLE)
    if found is None:
        return None
    try:
        return Record.parse(json.loads(found))
    except ValueError:
        raise RecordUnreadable(VARIABLE) from None


@dataclass(frozen=True)
class InDatabase:
    """By a psycopg2 connection of our own."""

    connection: Any
    looks: int = 1

    def pause(self) -> Record:
        return self._patiently(self._pause)

    def executing(self) -> list[Instance]:
        self._patiently(self._let_scheduler_end)
        return self._patiently(lambda cursor: in_flight(cursor, HANDED_OVER))

    def put_back(self) -> Undrained:
        """Every recorded flag, and forget the record, in one transaction. No record: nothing to do."""
        return self._patiently(self._put_back)

    def _pause(self, cursor: Any) -> Record:
        earlier = recorded(cursor, lock=True)
        paused = pausing.pause_all(cursor)
        record = merged(earlier, paused)
        if record != earlier:
            variables.write(cursor, VARIABLE, asdict(record), DESCRIPTION)
        if paused:
            log.info("paused: %s", paused)
        return record

    def _let_scheduler_end(self, cursor: Any) -> None:
        """Wait for whoever queues task instances: it may have looked at the flags before they changed.

        Schedulers queue while they hold the rows of all pools; the next one to get them sees the flags.
        """
        cursor.execute("SELECT 1 FROM slot_pool ORDER BY id FOR UPDATE")

    def _put_back(self, cursor: Any) -> Undrained:
        record = recorded(cursor, lock=True)
        if record is None:
            return Undrained(0, [])
        there = pausing.unpause(cursor, record.paused)
        variables.forget(cursor, VARIABLE)
        return Undrained(len(there), sorted(set(record.paused).difference(there)))

    def _patiently(self, act: Callable[[Any], T]) -> T:
        """What it returns, in a transaction of its own; begun anew where that one had to give way."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._once(act)
            except PASSING as error:
                log.warning("trying again: %s", str(error).partition("\n")[0])
        return self._once(act)

    def _once(self, act: Callable[[Any], T]) -> T:
        with pausing.turn(self.connection) as cursor:
            return act(cursor)


@dataclass(frozen=True)
class ByRest:
    """Without the database, DAG by DAG; each is recorded before it is paused. What the scheduler was about to queue
    cannot be waited for, so it gets the time between two looks."""

    api: RestApi
    memory: Memory
    looks: int = 2

    def pause(self) -> Record:
        paused = pausing.unpaused_by_rest(self.api)
        earlier = remembered(self.memory)
        record = merged(earlier, paused)
        if record != earlier:
            self.memory.remember(VARIABLE, asdict(record), DESCRIPTION)
        pausing.set_paused_by_rest(self.api, paused, True)
        return record

    def executing(self) -> list[Instance]:
        return in_flight_by_rest(self.api, HANDED_OVER)

    def put_back(self) -> Undrained:
        """Every recorded flag, then forget the record; cut short, it is done again."""
        record = remembered(self.memory)
        if record is None:
            return Undrained(0, [])
        there = pausing.known_by_rest(self.api, record.paused)
        pausing.set_paused_by_rest(self.api, there, False)
        self.memory.forget(VARIABLE)
        return Undrained(len(there), sorted(set(record.paused).difference(there)))
