"""What is timed: an outage or a sleep must not count, for none of the clocks that Airflow keeps."""

from __future__ import annotations

from pathlib import Path

from tests.rehearsal.clocks import DEFERRED, RUN, SENSOR, Clocks, did_not_run, in_dump
from tests.rehearsal.comparator import Dump

AT_CUT: Clocks = {
    (RUN, "a", "r", "", -1): 1000.0,
    (DEFERRED, "b", "r", "wait", -1): 5000.0,
    (SENSOR, "c", "r", "poke", 0): 900.0,
}
DUMP = """\
COPY public.dag_run (dag_id, run_id, state, start_date) FROM stdin;
a\tr\trunning\t1970-01-01 00:16:40+00
a\told\tsuccess\t1970-01-01 00:10:00+00
a\tnext\tqueued\t\\N
continuity_snapshot\tr\trunning\t1970-01-01 00:16:40+00
\\.

COPY public.task_instance (dag_id, run_id, task_id, map_index, state, trigger_timeout) FROM stdin;
b\tr\twait\t-1\tdeferred\t1970-01-01 01:23:20
b\tr\tdone\t-1\tsuccess\t1970-01-01 01:23:20
c\tr\tpoke\t0\tup_for_reschedule\t\\N
c\tr\tpoke\t1\tsuccess\t\\N
\\.

COPY public.task_reschedule (id, dag_id, run_id, task_id, map_index, start_date) FROM stdin;
2\tc\tr\tpoke\t0\t1970-01-01 00:15:30+00
1\tc\tr\tpoke\t0\t1970-01-01 00:15:00+00
3\tc\tr\tpoke\t1\t1970-01-01 00:01:00+00
\\.

--
-- PostgreSQL database dump complete
--
"""


def moved(seconds: float, **other: float) -> Clocks:
    return {clock: at + other.get(clock[1], seconds) for clock, at in AT_CUT.items()}


def test_clocks_are_read_from_a_dump(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_text(DUMP)
    assert in_dump(Dump(path)) == AT_CUT


def test_clocks_that_stood_still_pass() -> None:
    assert did_not_run(AT_CUT, moved(100), 90, 110).passed


def test_a_clock_that_ran_is_named() -> None:
    """Failure covered: a run past its time-out, a sensor that gives up, because the night counted."""
    for dag, kind in (("a", RUN), ("b", DEFERRED), ("c", SENSOR)):
        check = did_not_run(AT_CUT, moved(100, **{dag: 0.0}), 90, 110)
        assert not check.passed
        assert f"{kind} of {dag} r" in check.detail


def test_clocks_that_were_moved_unlike_or_are_not_there_fail() -> None:
    assert not did_not_run(AT_CUT, moved(100, a=101.0), 90, 110).passed
    assert not did_not_run(AT_CUT, {}, 90, 110).passed
