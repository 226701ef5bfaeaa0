"""The lease as this Region's table holds it: which Region is active, and how long ago that was confirmed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeGuard

from botocore.exceptions import BotoCoreError, ClientError

from continuity.errors import BadInput, HeldElsewhere, LeaseUnreadable, RestoreRefused
from continuity.settings import PAUSE, REGION, Settings

KEY = {"pk": {"S": "lease"}, "sk": {"S": "lease"}}
MARK = {"pk": {"S": "lease"}, "sk": {"S": "mark"}}


@dataclass(frozen=True)
class Lease:
    """What a Region needs of the lease.

    holder: the Region that is active, or becomes so; token: the fencing token; live: whether the holder went live;
    committed: the token under which a Region last began to go live, 0 where none is known; marked_at: epoch seconds of
    the newest mark that reached this Region's table, None where none did, or where it is not asked for.
    """

    holder: str
    token: int
    live: bool = False
    committed: int = 0
    marked_at: int | None = None


#: The lease as it is at the time of the call. Raises what `read_lease` does.
ReadLease = Callable[[], Lease | None]


def lease_of(item: Mapping[str, Any]) -> Lease:
    """The lease from its item in DynamoDB's notation. Raises BadInput naming the attribute."""
    holder = _attribute(item, "holder", "S")
    if not REGION.fullmatch(holder):
        raise BadInput("lease.holder", f"{holder!r} is no Region", "a Region, as in us-east-1")
    live = item.get("live", {}).get("BOOL") is True
    committed = _whole(item, "committed", "fencing token") if "committed" in item else 0
    return Lease(holder, _whole(item, "token", "fencing token"), live, committed)


def read_lease(dynamodb: Any, settings: Settings) -> Lease | None:
    """The lease as this Region's table holds it now, None where nobody ever wrote it.

    Raises LeaseUnreadable, or BadInput naming a malformed attribute.
    """
    item = _item(dynamodb, settings, KEY)
    if item is None:
        return None
    lease = lease_of(item)
    if settings.on_lease_unreachable != PAUSE:
        return lease
    mark = _item(dynamodb, settings, MARK)
    return replace(lease, marked_at=_whole(mark, "marked_at", "time") if mark else None)


def held_elsewhere(lease: Lease | None, settings: Settings) -> TypeGuard[Lease]:
    """Whether another Region is active. Without an item no failover ever happened."""
    return lease is not None and lease.holder != settings.region


def is_stale(lease: Lease | None, settings: Settings, now: float | None = None) -> TypeGuard[Lease]:
    """Whether nobody confirmed the lease for so long that this Region is to stop: another may have taken it. Where no
    mark ever came, nobody is there to make one, and nothing follows from its absence."""
    if settings.on_lease_unreachable != PAUSE or lease is None or lease.marked_at is None:
        return False
    return (time.time() if now is None else now) - lease.marked_at > 60 * settings.lease_stale_minutes


def may_not_act(lease: Lease | None, settings: Settings) -> TypeGuard[Lease]:
    """Whether the DAGs of this Region are to be paused."""
    return held_elsewhere(lease, settings) or is_stale(lease, settings)


def told(lease: Lease, settings: Settings) -> str:
    """Why this Region may not act, in words."""
    if held_elsewhere(lease, settings) or lease.marked_at is None:
        return f"{lease.holder} holds the lease (token {lease.token})"
    marked = datetime.fromtimestamp(lease.marked_at, UTC).isoformat()
    return (
        f"nobody has confirmed the lease of {lease.holder} (token {lease.token}) since {marked}, for more than "
        f"{settings.lease_stale_minutes} minutes, so that another Region may have taken it"
    )


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


def _item(dynamodb: Any, settings: Settings, key: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        item = dynamodb.get_item(TableName=settings.lease_table, Key=key, ConsistentRead=True).get("Item")
    except (BotoCoreError, ClientError) as error:
        raise LeaseUnreadable(settings.lease_table, settings.region, str(error)) from error
    return item or None


def _whole(item: Mapping[str, Any], name: str, what: str) -> int:
    value = _attribute(item, name, "N")
    if not value.isdecimal():
        raise BadInput(f"lease.{name}", f"{value!r} is no {what}", "a whole number from 0")
    return int(value)


def _attribute(item: Mapping[str, Any], name: str, kind: str) -> str:
    accepted = {"S": "a text", "N": "a number"}[kind]
    value = item.get(name)
    if value is None:
        raise BadInput(f"lease.{name}", "missing", accepted)
    if kind not in value:
        raise BadInput(f"lease.{name}", f"it is of type {', '.join(value)}", f"{accepted} (type {kind})")
    return str(value[kind])
