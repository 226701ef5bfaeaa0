"""Which snapshots are kept: a simulated year and more, against an oracle that knows everything ever taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mwaa_continuity.retention_plan import BAD, GOOD, INCOMPLETE, UNVERIFIED, Fact, Plan, Policy, plan
from mwaa_continuity.snapshots import taken_at

POLICY = Policy(all_hours=48, daily=7, weekly=5, monthly=12)
START = datetime(2026, 1, 1, tzinfo=UTC)


def name(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}-0123abcd"


class World:
    """One Region's bucket, in which what is superseded is gone at once, and everything that was ever taken."""

    def __init__(self) -> None:
        self.taken: dict[str, Fact] = {}
        self.bucket: dict[str, Fact] = {}
        self.base: str | None = None
        self.known: set[str] = set()

    def take(self, moment: datetime, state: str = GOOD, *, base: bool = False, full: bool = True) -> None:
        taken = name(moment)
        base = base or self.base is None
        self.taken[taken] = Fact(state, full, None if base or not full else self.base)
        if base and full and state == GOOD:
            self.base = taken
        self.bucket[taken] = self.taken[taken]

    def ids(self) -> list[str]:
        return sorted(self.bucket, reverse=True)

    def look(self, snapshot_id: str) -> Fact:
        self.known.add(snapshot_id)
        return self.bucket[snapshot_id]

    def tidy(self, now: datetime) -> Plan | None:
        """Keep what the plan keeps; look whether that is safe."""
        ids = self.ids()
        anchor = next((found for found in ids if self.bucket[found].state == GOOD), None)
        if anchor is None:
            return None
        found = plan(ids, self.look, anchor=anchor, now=now, policy=POLICY, shared=lambda _: True)
        assert sorted((*found.kept, *found.superseded), reverse=True) == ids
        assert set(found.chosen) <= set(found.kept)
        for gone in found.superseded:
            assert gone < anchor
            del self.bucket[gone]
        for kept in found.kept:
            assert self.bucket[kept].base is None or self.bucket[kept].base in self.bucket, "a base outlives its deltas"
        newest = max(taken for taken, fact in self.taken.items() if fact.state == GOOD)
        assert newest in self.bucket, "the newest good snapshot is always there"
        return found


def newest_of(world: World, inside: set[date], days: int) -> set[str]:
    """By the list of everything ever taken: the newest good one of each period that begins on one of these days."""
    chosen = set()
    for first in inside:
        good = [
            taken
            for taken, fact in world.taken.items()
            if fact.state == GOOD and first <= taken_at(taken).date() < first + timedelta(days=days)
        ]
        chosen |= {max(good)} if good else set()
    return chosen


def moments(days: int, dense: int) -> Iterator[datetime]:
    """Every six hours, and every minute of one day."""
    for day in range(days):
        midnight = START + timedelta(days=day)
        step = timedelta(minutes=1) if day == dense else timedelta(hours=6)
        for number in range(1440 if day == dense else 4):
            yield midnight + number * step


def test_a_year_and_more() -> None:
    world = World()
    looked = 0
    for number, moment in enumerate(moments(420, dense=200)):
        state = {5: BAD, 11: INCOMPLETE, 17: UNVERIFIED}.get(number % 23, GOOD)
        world.take(moment, state, base=moment.hour == 0 and moment.minute == 0)
        if moment.minute == 0:
            world.known.clear()
            world.tidy(moment)
            looked = max(looked, len(world.known))
    today = START + timedelta(days=419)
    days = {today.date() - timedelta(days=back) for back in range(7)}
    monday = today.date() - timedelta(days=today.weekday())
    wanted = newest_of(world, days, 1) | newest_of(world, {monday - timedelta(weeks=back) for back in range(5)}, 7)
    after, month = (today.date().replace(day=1) + timedelta(days=32)).replace(day=1), today.date().replace(day=1)
    for _ in range(12):
        wanted |= newest_of(world, {month}, (after - month).days)
        after, month = month, (month - timedelta(days=1)).replace(day=1)
    assert len(wanted) == 20
    assert wanted <= set(world.bucket), "the newest of each day, week and month came through all the year"
    bases = {fact.base for fact in world.bucket.values() if fact.base}
    recent = {found for found in world.bucket if taken_at(found) >= today - timedelta(hours=48)}
    assert set(world.bucket) <= wanted | bases | recent | {name(today)}, "and nothing else did"
    assert looked < 1440 + 48 * 60, "what a step looks at follows what is recent, not what is there"


def test_a_year_asleep_loses_nothing() -> None:
    """Failure covered: the windows go by today's date, so that all but one snapshot expire while nothing runs."""
    world = World()
    for moment in moments(30, dense=-1):
        world.take(moment, base=moment.hour == 0)
    awake = START + timedelta(days=30)
    world.tidy(awake)
    before = world.ids()
    for day in range(400):
        found = world.tidy(awake + timedelta(days=day))
        assert found is not None
        assert not found.superseded
    assert world.ids() == before


def test_nothing_goes_while_nothing_newer_is_good() -> None:
    world = World()
    world.take(START, base=True)
    for moment in moments(30, dense=-1):
        world.take(moment + timedelta(hours=1), BAD)
        world.tidy(moment)
    assert len(world.bucket) == 121
    world.take(START + timedelta(days=31), base=True)
    world.tidy(START + timedelta(days=31))
    recent = [found for found in world.bucket if taken_at(found) >= START + timedelta(days=29)]
    assert set(world.bucket) == {name(START), *recent}, "the bad ones go, after a time, and the good one stays"


def test_a_clock_that_once_ran_ahead_supersedes_nothing_more() -> None:
    world = World()
    for moment in moments(5, dense=-1):
        world.take(moment, base=True)
    world.take(START + timedelta(days=9999), base=True)
    world.tidy(START + timedelta(days=2))
    assert len(world.bucket) == 21


def test_the_newest_full_one_stays_where_later_ones_are_portable() -> None:
    """Failure covered: tasks lose the database for good, and the last history is expired for snapshots without any."""
    world = World()
    world.take(START, base=True)
    world.take(START + timedelta(hours=1))
    for day in range(1, 500):
        world.take(START + timedelta(days=day), full=False)
        world.tidy(START + timedelta(days=day))
    assert {name(START), name(START + timedelta(hours=1))} <= set(world.bucket)


def test_a_full_one_and_one_in_both_regions_stand_for_a_day() -> None:
    ids = [name(START + timedelta(days=day, hours=hour)) for day in (20, 10) for hour in (3, 2, 1, 0)]
    facts = dict.fromkeys(ids, Fact(GOOD, full=True))
    facts[ids[4]] = Fact(GOOD, full=False)

    def chosen(shared: set[str]) -> tuple[str, ...]:
        now = START + timedelta(days=20, hours=3)
        policy = Policy(all_hours=24, daily=15, weekly=0, monthly=0)
        return plan(ids, facts.__getitem__, anchor=ids[0], now=now, policy=policy, shared=shared.__contains__).chosen

    assert chosen(set(ids)) == (ids[5],)
    assert chosen(set(ids) - {ids[5]}) == (ids[6],)
    assert chosen(set()) == (ids[5],)


STATES = st.sampled_from([GOOD, GOOD, GOOD, UNVERIFIED, BAD, INCOMPLETE])


@given(
    st.lists(st.tuples(st.integers(0, 900), STATES, st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.builds(Policy, st.integers(24, 200), st.integers(0, 9), st.integers(0, 6), st.integers(0, 14)),
    st.integers(0, 2000),
)
def test_what_a_plan_promises(taken: list[tuple[int, str, bool, bool]], policy: Policy, ahead: int) -> None:
    facts: dict[str, Fact] = {}
    base = None
    for half_days, state, stands_alone, full in sorted(taken):
        found = name(START + timedelta(hours=12 * half_days))
        facts[found] = Fact(state, full, None if stands_alone or not full else base)
        base = found if facts[found].base is None and full and state == GOOD else base
    ids = sorted(facts, reverse=True)
    anchor = next((found for found in ids if facts[found].state == GOOD), ids[0])
    now = taken_at(anchor) + timedelta(hours=ahead)

    def planned(of: list[str]) -> Plan:
        return plan(of, facts.__getitem__, anchor=anchor, now=now, policy=policy, shared=lambda _: True)

    found_plan = planned(ids)
    kept = set(found_plan.kept)
    assert all(found in kept for found in ids if found >= anchor)
    assert all(facts[found].base in {None, *kept} for found in kept)
    full = [found for found in ids if facts[found].state == GOOD and facts[found].full]
    assert not full or full[0] in kept
    assert planned([found for found in ids if found in kept]).superseded == (), "a second look supersedes nothing more"
