"""Snapshot of one database, restore into another that has rows of its own under another Fernet key: every row of
every table."""

from __future__ import annotations

from collections.abc import Callable

from tests.exactness import Record
from tests.integration.engine import compare
from tests.integration.engine.oracle import (
    assert_equal,
    assert_sequences_are_beyond,
    pretend_parsed,
    read,
    restored,
    times,
)
from tests.integration.engine.worker import Side

SNAPSHOT = "20260401T000000Z-0000000a"


def test_every_row_of_every_table_comes_over(sides: Callable[..., Side], exactness: Record) -> None:
    """Failure covered: never carried by others: datasets and their queues, notes, task maps, reschedules, TI history,
    rendered fields, roles and users; `dag_run.id` regenerated while `xcom.dag_run_id`, notes and dataset events keep
    the old id; `trigger.id` not exported but `task_instance.trigger_id` is; JSON written as a Python repr; NULL and ''
    swapped, CRLF turned to LF, a NULL port becomes 0, descriptions dropped; a value holding a line `\\.` breaks
    COPY."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    before = compare.canonical(read(target))
    source.snapshot(SNAPSHOT)
    target.restore_state(SNAPSHOT)
    target.restore_history(SNAPSHOT)

    waiting = compare.counted(compare.canonical(read(target)))
    expected = compare.merged(before, compare.canonical(read(source)), restored(times(source, target, live=False)))
    expected["trigger"] = compare.counted(before)["trigger"]
    for table in {"deadline", "callback"} & set(expected):  # what is over comes with the history, the others go live
        assert waiting[table] <= expected[table]
        expected[table] = waiting[table]
    assert_equal(expected, waiting)
    assert not set(open_deadlines(source)) & set(open_deadlines(target)), "nothing is told late before going live"

    pretend_parsed(target, read(source))
    target.go_live(SNAPSHOT)
    found = compare.counted(compare.canonical(read(target)))
    expected = compare.merged(before, compare.canonical(read(source)), restored(times(source, target, live=True)))
    rows = {table: len(found) for table, found in read(source).rows.items()}
    exactness(source.airflow_version, rows, expected, found)
    assert_equal(expected, found)
    empty = [table for table, count in rows.items() if not count]
    assert not empty, "a table without rows proves nothing"
    assert_sequences_are_beyond(target)


def open_deadlines(side: Side) -> list[str]:
    """Ids of deadlines that may be missed yet."""
    rows = read(side).rows.get("deadline", [])
    return [row["id"] or "" for row in rows if row.get("missed") == "false"]
