"""What of a schedule is not made up for after a sleep, with schedules that ask for runs as timetables do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from continuity import catchup
from continuity.catchup import MOST, NAMED, Choice, Skipped, missed
from continuity.schedules import Due, NoSchedule

DRAINED = datetime(2026, 11, 20, 20, 0, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 7, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Every:
    """Runs every so often from an instant on until another; without `catchup`, none but the latest that is due."""

    def __init__(
        self, step: timedelta, first: datetime, *, catchup: bool = True, until: datetime | None = None
    ) -> None:
        self.step, self.first, self.catchup, self.until = step, first, catchup, until

    def after(self, last: Due | None) -> Due | None:
        start = last.end if last else self.first
        if not self.catchup:
            start = max(start, self.first + (NOW - self.first) // self.step * self.step - self.step)
        end = start + self.step
        return None if self.until and end > self.until else Due(start, end, end)


def choice(wanted: str) -> Choice:
    return Choice(wanted, DRAINED, lambda document: pytest.fail(f"{document} is not asked"))


def run(schedule: Every, ends: datetime) -> Due:
    return Due(ends - schedule.step, ends, ends)


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_none_skips_all_that_fell_due_and_goes_on_with_the_next() -> None:
    hourly = Every(HOUR, at(1, 0))
    found = missed(hourly, run(hourly, at(20, 20)), choice("none"), NOW)
    assert found
    assert [due.run_after for due in found.skipped] == [at(20, 20) + n * HOUR for n in range(1, 12)]
    assert found.following.run_after == at(21, 8)


def test_latest_skips_all_but_the_last_one() -> None:
    hourly = Every(HOUR, at(1, 0))
    found = missed(hourly, run(hourly, at(20, 20)), choice("latest"), NOW)
    assert found
    assert len(found.skipped) == 10
    assert found.following.run_after == at(21, 7)


@pytest.mark.parametrize(("wanted", "skipped"), [("none", 1), ("latest", 0)])
def test_a_dag_that_does_not_catch_up_misses_one_run(wanted: str, skipped: int) -> None:
    hourly = Every(HOUR, at(1, 0), catchup=False)
    found = missed(hourly, run(hourly, at(20, 20)), choice(wanted), NOW)
    assert (len(found.skipped) if found else 0) == skipped
    assert not found or found.following.run_after == at(21, 8)


@pytest.mark.parametrize("wanted", ["none", "latest"])
@pytest.mark.parametrize("schedule", [Every(timedelta(days=7), at(1, 0)), Every(HOUR, at(25, 0))])
def test_nothing_fell_due(wanted: str, schedule: Every) -> None:
    last = run(schedule, at(15, 0)) if schedule.first < NOW else None
    assert missed(schedule, last, choice(wanted), NOW) is None


@pytest.mark.parametrize(
    ("schedule", "last", "why"),
    [
        (Every(HOUR, at(1, 0)), at(20, 19), "behind before the sleep"),
        (Every(HOUR, at(1, 0)), None, "behind before the sleep"),
        (Every(HOUR, at(1, 0), until=at(21, 3)), at(20, 20), "no run to go on with"),
        (Every(timedelta(), at(20, 21)), at(20, 21), "does not go forward"),
        (Every(timedelta(milliseconds=1), at(1, 0)), DRAINED, f"more than {MOST}"),
    ],
)
def test_what_cannot_be_left_out_is_made_up_for(schedule: Every, last: datetime | None, why: str) -> None:
    """Failures covered: work of before the sleep is lost with it; a schedule that never ends hangs going live."""
    with pytest.raises(NoSchedule, match=why):
        missed(schedule, run(schedule, last) if last else None, choice("none"), NOW)


@given(
    minutes=st.integers(1, 5000),
    wanted=st.sampled_from(["none", "latest"]),
    catchup=st.booleans(),
)
def test_nothing_is_lost_unsaid(minutes: int, wanted: str, catchup: bool) -> None:
    """What is skipped and what is still to come are, together, what the schedule asks for."""
    schedule = Every(timedelta(minutes=minutes), at(1, 0), catchup=catchup)
    last = schedule.after(None) if catchup else run(schedule, at(1, 0) + schedule.step)
    while catchup and last and last.run_after + schedule.step <= DRAINED:
        last = schedule.after(last)
    first = schedule.after(last)
    assert first
    assume(first.run_after > DRAINED)
    found = missed(schedule, last, choice(wanted), NOW)
    if not found:
        return
    whole = [*found.skipped, found.following]
    assert whole[0] == first
    assert all(schedule.after(one) == other for one, other in pairwise(whole))
    assert (found.following.run_after > NOW) == (wanted == "none")


def test_what_is_told_is_bounded() -> None:
    told = Skipped({f"dag_{n:03}": 3 for n in range(200)}, {"other": "it was behind before the sleep"}).told()
    assert told["skipped_runs"] == 600
    assert (len(told["skipped"]), told["skipped"][0], told["skipped"][-1]) == (NAMED + 1, "dag_000: 3", "and 150 more")
    assert told["not_skipped"] == ["other: it was behind before the sleep"]


@pytest.mark.parametrize("count", [0, 1, NAMED])
def test_few_are_told_by_name(count: int) -> None:
    named: Callable[..., list[str]] = catchup._named
    assert len(named(str(n) for n in range(count))) == count
