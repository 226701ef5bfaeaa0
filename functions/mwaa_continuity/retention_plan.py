"""Which snapshots a Region keeps, as a pure function of what is known of them. docs/architecture.md, "Retention".

Everything is counted from the newest snapshot that is good in both Regions (the *anchor*), not from today: while no
new one is taken, nothing changes, however long that lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from mwaa_continuity.snapshots import taken_at

GOOD: Final = "good"  #: complete, every object there in its size, read back without faults, and so is its base
UNVERIFIED: Final = "unverified"  #: the same, but nobody has read it or its base back yet
BAD: Final = "bad"  #: read back with faults, or a manifest that cannot be read
INCOMPLETE: Final = "incomplete"  #: no manifest, or an object of its own or of its base is missing


@dataclass(frozen=True)
class Policy:
    """What is kept, counted back from the anchor."""

    all_hours: int
    daily: int
    weekly: int
    monthly: int


@dataclass(frozen=True)
class Fact:
    """What is known of one snapshot."""

    state: str
    full: bool = False
    base: str | None = None  #: the snapshot it builds on
    size: int = 0  #: bytes of its own objects

    @property
    def restorable(self) -> bool:
        """Whether a restore may take it."""
        return self.state in {GOOD, UNVERIFIED}


Look = Callable[[str], Fact]


@dataclass(frozen=True)
class Plan:
    """Ids, newest first."""

    kept: tuple[str, ...]
    chosen: tuple[str, ...]  #: those of the kept that are older than `all_hours`
    superseded: tuple[str, ...]


def plan(
    ids: Sequence[str], look: Look, *, anchor: str, now: datetime, policy: Policy, shared: Callable[[str], bool]
) -> Plan:
    """What to keep of the snapshots `ids` of a Region, newest first. `shared` says whether the other Region has one.

    Only what is older than the anchor is ever superseded. A delta that is kept keeps its base. The newest full
    snapshot is kept even where newer ones are portable. `look` is asked for each that is kept.
    """
    counted_from = min(now, taken_at(anchor))
    horizon = counted_from - timedelta(hours=policy.all_hours)
    kept = {found for found in ids if found >= anchor or taken_at(found) >= horizon}
    recent = frozenset(kept)
    older = [found for found in ids if found not in recent]
    for slot in slots(ids, counted_from, policy):
        kept |= {found for found in [best_of(slot, look, shared)] if found}
    kept |= {found for found in [newest_full(ids, look)] if found}
    kept |= {fact.base for fact in [look(found) for found in kept] if fact.base} & set(ids)
    return Plan(
        kept=tuple(found for found in ids if found in kept),
        chosen=tuple(found for found in older if found in kept),
        superseded=tuple(found for found in older if found not in kept),
    )


def slots(ids: Sequence[str], counted_from: datetime, policy: Policy) -> Iterator[list[str]]:
    """The snapshots of each day, week and month that one is kept of, newest first."""
    today = counted_from.date()
    months = [months_before(today, back) for back in range(policy.monthly)]
    wanted = {("day", today - timedelta(days=back)) for back in range(policy.daily)}
    wanted |= {("week", week_of(today - timedelta(weeks=back))) for back in range(policy.weekly)}
    wanted |= {("month", month) for month in months}
    filled: dict[tuple[str, date], list[str]] = {}
    for found in ids:
        day = taken_at(found).date()
        for slot in (("day", day), ("week", week_of(day)), ("month", day.replace(day=1))):
            if slot in wanted:
                filled.setdefault(slot, []).append(found)
    yield from filled.values()


def week_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def months_before(day: date, back: int) -> date:
    """The first day of the month that is so many months before a day's month."""
    number = day.year * 12 + day.month - 1 - back
    return date(number // 12, number % 12 + 1, 1)


def best_of(slot: Sequence[str], look: Look, shared: Callable[[str], bool]) -> str | None:
    """The newest of the best kind: good before unverified, full before portable, in both Regions before in this one.

    In both Regions, because tags are replicated: the Regions are to choose the same.
    """
    best: str | None = None
    best_rank: tuple[bool, bool, bool] | None = None
    for found in slot:
        fact = look(found)
        rank = (fact.state == GOOD, fact.full, shared(found))
        if fact.restorable and (best_rank is None or rank > best_rank):
            best, best_rank = found, rank
        if best_rank == (True, True, True):
            break
    return best


def newest_full(ids: Sequence[str], look: Look) -> str | None:
    """The newest good snapshot that holds history and work in flight."""
    return next((found for found in ids if look(found).state == GOOD and look(found).full), None)
