"""The guard: once another Region holds the lease, no DAG of this Region starts anything new.

A Region that comes back, or was never gone, would otherwise run what the other Region runs already.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from botocore.exceptions import BotoCoreError, ClientError

from continuity import pausing, variables
from continuity.errors import BadInput, HeldElsewhere, LeaseUnreadable, RestoreRefused, UnreadableSecret
from continuity.ledger import Memory
from continuity.rest import RestApi
from continuity.settings import REGION, Settings

log = logging.getLogger(__name__)

DAG_ID = "continuity_guard"
VARIABLE = "continuity_guard"
DESCRIPTION = "DAGs that were paused because another Region holds the lease; do not change it"
KEY = {"pk": {"S": "lease"}, "sk": {"S": "lease"}}


@dataclass(frozen=True)
class Lease:
    """What the guard needs of the lease item: the Region that is active, and the fencing token."""

    holder: str
    token: int


@dataclass(frozen=True)
class Record:
    """What the guard did: for whom (Region and fencing token), since when (ISO 8601), and the DAGs it paused."""

    holder: str
    token: int
    fenced_at: str
    paused: list[str]


#: The lease as it is at the time of the call. Raises what `read_lease` does.
ReadLease = Callable[[], Lease | None]


def lease_of(item: Mapping[str, Any]) -> Lease:
    """The lease from its item in DynamoDB's notation. Raises BadInput naming the attribute."""
    holder, token = _attribute(item, "holder", "S"), _attribute(item, "token", "N")
    if not REGION.fullmatch(holder):
        raise BadInput("lease.holder", f"{holder!r} is no Region", "a Region, as in us-east-1")
    if not token.isdecimal():
        raise BadInput("lease.token", f"{token!r} is no fencing token", "a whole number from 0")
    return Lease(holder, int(token))


def read_lease(dynamodb: Any, settings: Settings) -> Lease | None:
    """The lease as this Region's table holds it now, None where nobody ever wrote it.

    Raises LeaseUnreadable, or BadInput naming a malformed attribute.
    """
    try:
        item = dynamodb.get_item(TableName=settings.lease_table, Key=KEY, ConsistentRead=True).get("Item")
    except (BotoCoreError, ClientError) as error:
        raise LeaseUnreadable(settings.lease_table, settings.region, str(error)) from error
    return lease_of(item) if item else None


def held_elsewhere(lease: Lease | None, settings: Settings) -> TypeGuard[Lease]:
    """Whether another Region is active. Without an item no failover ever happened."""
    return lease is not None and lease.holder != settings.region


def refuse_if_held_elsewhere(lease: Lease | None, settings: Settings) -> None:
    """Raises HeldElsewhere. For what must not be done in a Region that is fenced, or about to be."""
    if held_elsewhere(lease, settings):
        raise HeldElsewhere(
            f"{lease.holder} holds the lease (token {lease.token}), not {settings.region}: the paused flags of this "
            "Region are the guard's, and its work is replayed elsewhere"
        )


def refuse_if_held_here(lease: Lease | None, settings: Settings) -> None:
    """Raises RestoreRefused. For what must not be done in a Region that is active, or is becoming it."""
    if lease is not None and not held_elsewhere(lease, settings):
        raise RestoreRefused(
            f"{settings.region} holds the lease (token {lease.token}): what this environment holds is no standby's any "
            "more, and a refresh leaves it alone"
        )


def fence(connection: Any, read: ReadLease, settings: Settings, now: datetime | None = None) -> list[str]:
    """Pause every DAG but the metadata DAGs, and record which, in one transaction; returns those paused by this call.

    The lease is read when nobody else pauses or unpauses any more: this Region may have gone live meanwhile, and then
    nothing is done. Task instances that were queued or run already go on.
    """
    with pausing.turn(connection) as cursor:
        lease = read()
        if not held_elsewhere(lease, settings):
            return []
        earlier = _record(cursor)
        paused = pausing.pause_all(cursor)
        record = merged(earlier, lease, paused, now or datetime.now(UTC))
        if record != earlier:
            variables.write(cursor, VARIABLE, asdict(record), DESCRIPTION)
    log.warning("%s holds the lease (token %d); paused by this run: %s", lease.holder, lease.token, paused)
    return paused


def fence_by_rest(
    api: RestApi, memory: Memory, read: ReadLease, settings: Settings, now: datetime | None = None
) -> list[str]:
    """The same without the database, DAG by DAG: each is recorded before it is paused, and the lease is read right
    before each. A run that is cut short has paused the first of them; the next one goes on.
    """
    found = pausing.unpaused_by_rest(api)
    lease = read()
    if not held_elsewhere(lease, settings):
        return []
    earlier = _remembered(memory)
    record = merged(earlier, lease, found, now or datetime.now(UTC))
    if record != earlier:
        memory.remember(VARIABLE, asdict(record), DESCRIPTION)
    paused: list[str] = []

    def as_long_as_fenced() -> Iterator[str]:
        for dag_id in found:
            if not held_elsewhere(read(), settings):
                return
            paused.append(dag_id)
            yield dag_id

    pausing.set_paused_by_rest(api, as_long_as_fenced(), True)
    log.warning("%s holds the lease (token %d); paused by this run: %s", lease.holder, lease.token, paused)
    return paused


def _remembered(memory: Memory) -> Record | None:
    """See `_record`."""
    found = memory.find_variable(VARIABLE)
    try:
        return Record(**json.loads(found)) if found else None
    except (ValueError, TypeError):
        log.exception("variable %s is no record of the guard; it is replaced", VARIABLE)
        return None


def merged(earlier: Record | None, lease: Lease, paused: list[str], now: datetime) -> Record:
    """The record after these DAGs were paused: under the same token what was paused before stays in it."""
    if earlier is None or earlier.token != lease.token:
        return Record(lease.holder, lease.token, now.isoformat(), paused)
    return Record(lease.holder, lease.token, earlier.fenced_at, sorted({*earlier.paused, *paused}))


def _record(cursor: Any) -> Record | None:
    """The earlier record. One that somebody made unreadable must not keep this Region running: it is replaced."""
    try:
        document = variables.read(cursor, VARIABLE, lock=True)
        return Record(**document) if document else None
    except (ValueError, TypeError, UnreadableSecret):
        log.exception("variable %s is no record of the guard; it is replaced", VARIABLE)
        return None


def _attribute(item: Mapping[str, Any], name: str, kind: str) -> str:
    accepted = {"S": "a text", "N": "a number"}[kind]
    value = item.get(name)
    if value is None:
        raise BadInput(f"lease.{name}", "missing", accepted)
    if kind not in value:
        raise BadInput(f"lease.{name}", f"it is of type {', '.join(value)}", f"{accepted} (type {kind})")
    return str(value[kind])
