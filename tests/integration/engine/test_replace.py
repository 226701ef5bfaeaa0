"""A restore that replaces: afterwards the database holds what a restore into a new environment gives."""

from __future__ import annotations

import random
from collections.abc import Callable

from continuity.policy import OWN_PREFIX
from tests.integration.engine import compare
from tests.integration.engine.compare import Row
from tests.integration.engine.history import KINDS, History
from tests.integration.engine.oracle import (
    ask,
    assert_equal,
    assert_sequences_are_beyond,
    pretend_parsed,
    read,
    restored,
    times,
)
from tests.integration.engine.worker import Side

FIRST = "20260401T000000Z-000000a1"
LATER = "20260402T000000Z-000000a2"
#: Of these, rows that the snapshot lacks stay.
STAY = ("dag", "dag_bundle", "log_template")
LOCAL = {"local_variables": ["region_*", "var 1 *"], "local_connections": ["region_*"]}


def life_goes_on(side: Side, seed: int, changes: int = 60) -> None:
    """Rows come, change and go, but for the settings of people, which the comparison knows from the source."""
    lots = random.Random(seed)  # noqa: S311  (no secret: the same seed gives the same life)
    history = History(side)
    for _ in range(changes):
        history.happen(lots.choice(KINDS), lots.randrange(10**6))
    history.give_up()


def let_rest(side: Side) -> None:
    """What a fenced or drained environment is like: all paused, nothing at work."""
    ask(side, "UPDATE dag SET is_paused = true WHERE NOT starts_with(dag_id, %s)", OWN_PREFIX)
    ask(
        side,
        """UPDATE task_instance SET state = 'failed' WHERE state IN ('running', 'queued', 'restarting')
        AND NOT starts_with(dag_id, %s)""",
        OWN_PREFIX,
    )


def own_rows(side: Side) -> dict[str, list[str]]:
    """Every row of metadata DAGs, and what this project and this Region keep for themselves, as text."""
    having = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = %s"
    found = {}
    for column in ("dag_id", "key", "conn_id"):
        for (table,) in ask(side, having, column):
            if (column == "key") != (table == "variable"):
                continue
            rows = ask(
                side,
                f"""SELECT t::text FROM {table} t WHERE starts_with({column}, %s)
                OR (%s AND {column} LIKE 'region%%') ORDER BY 1""",  # noqa: S608  (names of the catalog)
                OWN_PREFIX,
                column != "dag_id",
            )
            found[f"{table}.{column}"] = [
                row for (row,) in rows if "(continuity_restore," not in row and ",continuity_restore," not in row
            ]
    return found


def what_stays(side: Side) -> dict[str, list[Row]]:
    """Rows that a snapshot would select and that a restore leaves, though another one comes."""
    rows = compare.canonical(read(side))
    kept = {table: found if table in STAY or table.startswith("ab_") else [] for table, found in rows.items()}
    kept["dag"] = [row for row in kept["dag"] if row["last_parsed_time"] is not None]
    kept["slot_pool"] = [row for row in rows["slot_pool"] if row["pool"] == "default_pool"]
    return kept


def assert_replaced(source: Side, target: Side, snapshot_id: str, *, replace: bool = False) -> None:
    """Restoring the snapshot, its history and going live leaves nothing of what was there but what stays."""
    before, own = what_stays(target), own_rows(target)
    ledger, already = target.restore_state(snapshot_id, replace=replace)
    assert (ledger.replaced, already) == (True, False)
    target.restore_history(snapshot_id)
    pretend_parsed(target, read(source))
    assert target.go_live(snapshot_id).missing_dags == []
    expected = compare.merged(before, compare.canonical(read(source)), restored(times(source, target, live=True)))
    assert_equal(expected, compare.counted(compare.canonical(read(target))))
    assert own_rows(target) == own
    assert_sequences_are_beyond(target)


def test_what_never_went_live_gives_way(sides: Callable[..., Side]) -> None:
    """Failure covered: a standby holds an older snapshot, so the failover is refused, or rows of both are mixed."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    let_rest(target)
    source.snapshot(FIRST)
    target.restore_state(FIRST)
    target.restore_history(FIRST)
    life_goes_on(source, seed=1)
    source.snapshot(LATER)
    assert_replaced(source, target, LATER)
