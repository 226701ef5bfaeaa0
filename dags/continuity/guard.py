"""The guard: while a Region may not act, none of its DAGs starts anything new; where nothing happened, they come back.

A Region that comes back, or was never gone, would otherwise run what the other Region runs already.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from continuity import drain, pausing, variables
from continuity.errors import DagsOutOfReach, LeaseUnreadable, UnreadableSecret
from continuity.lease import Lease, ReadLease, may_not_act, told
from continuity.ledger import Memory
from continuity.rest import RestApi
from continuity.settings import PAUSE, Settings

log = logging.getLogger(__name__)

DAG_ID = "continuity_guard"
VARIABLE = "continuity_guard"
DESCRIPTION = "DAGs that were paused because this Region may not act; do not change it"
#: The lease as it was read last, for when it cannot be read. Kept only where that would pause anything.
SEEN = "continuity_lease_seen"
SEEN_DESCRIPTION = "The lease as it was read last; do not change it"
NO_LEASE = "variable %s is no lease; it is replaced"
NO_RECORD = "variable %s is no record of the guard; it is replaced"

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Record:
    """What the guard did: DAGs it paused, since when (ISO 8601), and under which lease.

    holder and token: of the first lease of another Region under which it paused; of the own one where there was no
    other, because that was stale.
    """

    holder: str
    token: int
    fenced_at: str
    paused: list[str]


@dataclass(frozen=True)
class Watched:
    """What came of one look: DAGs that were paused by it, and those that were given back."""

    lease: Lease | None
    paused: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)


class Place(Protocol):
    """The environment that is guarded."""

    def record(self) -> Record | None: ...
    def fence(self, read: ReadLease) -> list[str]: ...
    def settle(self, read: ReadLease) -> list[str]: ...
    def seen(self) -> Lease | None: ...
    def remember(self, lease: Lease) -> None: ...


def watch(place: Place, read: ReadLease, settings: Settings) -> Watched:
    """Look at the lease, and pause or give back what follows from it.

    Raises what `read` does: a lease that cannot be read changes nothing, unless what was read last is stale by now; the
    error says which.
    """
    pauses = settings.on_lease_unreachable == PAUSE
    try:
        lease = read()
    except LeaseUnreadable as error:
        last = place.seen() if pauses else None
        if not may_not_act(last, settings):
            raise
        paused = place.fence(lambda: last)
        done = f"by what was read last, {told(last, settings)}: DAGs stay paused, {len(paused)} were paused by this run"
        raise LeaseUnreadable(error.table, error.region, error.why, done) from error
    fenced = may_not_act(lease, settings)
    paused = place.fence(read) if fenced else []
    if pauses and lease is not None and lease.marked_at is not None:
        place.remember(lease)
    if fenced:
        return Watched(lease, paused=paused)
    return Watched(lease, given_back=place.settle(read) if place.record() else [])


def merged(earlier: Record | None, lease: Lease, paused: list[str], settings: Settings, now: datetime) -> Record:
    """The record after these DAGs were paused. What was paused before stays in it until it is settled."""
    if earlier is None:
        return Record(lease.holder, lease.token, now.isoformat(), paused)
    first_of_another = earlier.holder == settings.region != lease.holder
    by = lease if first_of_another else earlier
    return Record(by.holder, by.token, earlier.fenced_at, sorted({*earlier.paused, *paused}))


def is_settled(lease: Lease | None, settings: Settings) -> bool:
    """Whether this Region may act, and is meant to: a Region that holds the lease and is not live is going live, and
    its flags will be those of a snapshot."""
    return lease is not None and lease.live and not may_not_act(lease, settings)


def untouched(record: Record, lease: Lease, settings: Settings) -> bool:
    """Whether no other Region began to go live since this one was fenced, so that what it has is still the truth."""
    last_of_ours = record.token if record.holder == settings.region else record.token - 1
    return lease.committed <= last_of_ours


@dataclass(frozen=True)
class InDatabase:
    """By a psycopg2 connection of our own."""

    connection: Any
    settings: Settings

    def record(self) -> Record | None:
        """What was paused and not settled yet."""
        with self.connection, self.connection.cursor() as cursor:
            return recorded(cursor)

    def fence(self, read: ReadLease) -> list[str]:
        """Pause every DAG but the metadata DAGs, and record which, in one transaction; returns those paused now.

        The lease is read when nobody else pauses or unpauses any more: this Region may have gone live meanwhile, and
        then nothing is done. Task instances that were queued or run already go on.
        """
        with pausing.turn(self.connection) as cursor:
            lease = read()
            if not may_not_act(lease, self.settings):
                return []
            earlier = recorded(cursor, lock=True)
            paused = pausing.pause_all(cursor)
            record = merged(earlier, lease, paused, self.settings, datetime.now(UTC))
            if record != earlier:
                variables.write(cursor, VARIABLE, asdict(record), DESCRIPTION)
        _tell(lease, self.settings, paused)
        return paused

    def settle(self, read: ReadLease) -> list[str]:
        """Unpause what is recorded, if this Region may act and no other did meanwhile, and forget the record; returns
        those unpaused. While a drain is recorded nothing is done: who brings that back comes first."""
        with pausing.turn(self.connection) as cursor:
            lease, record = read(), recorded(cursor, lock=True)
            if lease is None or record is None or not is_settled(lease, self.settings) or drain.recorded(cursor):
                return []
            back = untouched(record, lease, self.settings)
            given_back = pausing.unpause(cursor, record.paused) if back else []
            variables.forget(cursor, VARIABLE)
        _tell_settled(record, lease, given_back)
        return given_back

    def seen(self) -> Lease | None:
        """The lease as it was read last. One that somebody made unreadable counts for nothing, as a record does."""
        with self.connection, self.connection.cursor() as cursor:
            return understood(lambda: variables.read(cursor, SEEN), seen_of, NO_LEASE, SEEN)

    def remember(self, lease: Lease) -> None:
        """Keep it for `seen`."""
        with self.connection, self.connection.cursor() as cursor:
            variables.write(cursor, SEEN, asdict(lease), SEEN_DESCRIPTION)


@dataclass(frozen=True)
class ByRest:
    """Without the database, DAG by DAG; the lease is read right before each. What is cut short, the next run ends."""

    api: RestApi
    memory: Memory
    settings: Settings

    def record(self) -> Record | None:
        """See `InDatabase.record`."""
        return remembered(self.memory)

    def fence(self, read: ReadLease) -> list[str]:
        """See `InDatabase.fence`. Each DAG is recorded before it is paused."""
        found = pausing.unpaused_by_rest(self.api)
        lease = read()
        if not may_not_act(lease, self.settings):
            return []
        earlier = remembered(self.memory)
        record = merged(earlier, lease, found, self.settings, datetime.now(UTC))
        if record != earlier:
            self.memory.remember(VARIABLE, asdict(record), DESCRIPTION)
        paused: list[str] = []

        def as_long_as_fenced() -> Iterator[str]:
            for dag_id in found:
                if not may_not_act(read(), self.settings):
                    return
                paused.append(dag_id)
                yield dag_id

        pausing.set_paused_by_rest(self.api, as_long_as_fenced(), True)
        _tell(lease, self.settings, paused)
        return paused

    def settle(self, read: ReadLease) -> list[str]:
        """See `InDatabase.settle`. Where the lease moves meanwhile the record stays, for the next run. Raises
        DagsOutOfReach, once: what cannot be reached stays paused, and is nobody's to give back after that."""
        record, lease = remembered(self.memory), read()
        if lease is None or record is None or not is_settled(lease, self.settings) or drain.remembered(self.memory):
            return []
        given_back: list[str] = []
        wanted = pausing.known_by_rest(self.api, record.paused) if untouched(record, lease, self.settings) else []

        def as_long_as_settled() -> Iterator[str]:
            for dag_id in wanted:
                if not is_settled(read(), self.settings):
                    return
                given_back.append(dag_id)
                yield dag_id

        out_of_reach: DagsOutOfReach | None = None
        try:
            pausing.set_paused_by_rest(self.api, as_long_as_settled(), False)
        except DagsOutOfReach as error:
            out_of_reach = error
        if given_back == wanted:
            self.memory.forget(VARIABLE)
        if out_of_reach:
            given_back = [dag_id for dag_id in given_back if dag_id not in out_of_reach.dag_ids]
        _tell_settled(record, lease, given_back)
        if out_of_reach:
            raise out_of_reach
        return given_back

    def seen(self) -> Lease | None:
        """See `InDatabase.seen`."""
        found = self.memory.find_variable(SEEN)
        return understood(lambda: json.loads(found or "null"), seen_of, NO_LEASE, SEEN)

    def remember(self, lease: Lease) -> None:
        """Keep it for `seen`."""
        self.memory.remember(SEEN, asdict(lease), SEEN_DESCRIPTION)


def recorded(cursor: Any, lock: bool = False) -> Record | None:
    """The record. One that somebody made unreadable must not keep this Region running: it counts for nothing."""
    return understood(lambda: variables.read(cursor, VARIABLE, lock=lock), record_of, NO_RECORD, VARIABLE)


def remembered(memory: Memory) -> Record | None:
    """The same without the database."""
    found = memory.find_variable(VARIABLE)
    return understood(lambda: json.loads(found or "null"), record_of, NO_RECORD, VARIABLE)


def understood(read: Callable[[], Any], made_of: Callable[[Any], Kept], complaint: str, name: str) -> Kept | None:
    """What a variable keeps, none where there is none; one that cannot be read, or is no such thing, is told and
    counts for nothing."""
    try:
        document = read()
        return made_of(document) if document else None
    except (ValueError, TypeError, UnreadableSecret):
        log.exception(complaint, name)
        return None


def record_of(document: Any) -> Record:
    """The record that was kept. Raises TypeError where it is none."""
    return Record(**document)


def seen_of(document: Any) -> Lease:
    """The lease that was remembered. Raises TypeError where it is none."""
    lease = Lease(**document)
    if not isinstance(lease.holder, str) or type(lease.token) is not int or type(lease.marked_at) is not int:
        raise TypeError("holder, token and marked_at are to be a text and whole numbers")
    return lease


def _tell(lease: Lease, settings: Settings, paused: list[str]) -> None:
    log.warning("%s; paused by this run: %s", told(lease, settings), paused)


def _tell_settled(record: Record, lease: Lease, given_back: list[str]) -> None:
    left = sorted(set(record.paused).difference(given_back))
    log.warning("this Region may act again (token %d); unpaused: %s, not unpaused: %s", lease.token, given_back, left)
