"""A restore of the last days of history carries them as a whole restore does, and leaves the rest in the snapshot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg2 import sql

from continuity.catalog import read_catalog
from tests.integration.engine.oracle import add, ask, cursor_on, everything, pretend_parsed, read
from tests.integration.engine.worker import Side

SNAPSHOT = "20260401T000000Z-00000d0d"
OF_RUN = ("task_instance", "xcom", "task_reschedule", "rendered_task_instance_fields", "task_instance_history")
DATES = ("execution_date", "logical_date", "run_after", "start_date", "end_date")


def runs(side: Side, since: datetime | None = None) -> set[tuple[str, str]]:
    """Runs that are not ours, of since then by their latest date."""
    with cursor_on(side) as cursor:
        table = read_catalog(cursor)["dag_run"]
    dates = sql.SQL(", ").join(sql.Identifier(name) for name in DATES if table.has(name))
    recent = sql.SQL("greatest({}) >= {}").format(dates, sql.Literal(since)) if since else sql.SQL("true")
    query = sql.SQL("SELECT dag_id, run_id FROM dag_run WHERE dag_id NOT LIKE 'continuity%%' AND {}").format(recent)
    return set(ask(side, query))


def of_runs(side: Side, table: str) -> dict[tuple[str, str], list[str]]:
    """Rows of a table as text, by the run that they belong to."""
    with cursor_on(side) as cursor:
        catalog = read_catalog(cursor)
    if table not in catalog:
        return {}
    by_id = sql.SQL("JOIN task_instance i ON i.id = t.ti_id") if not catalog[table].has("run_id") else sql.SQL("")
    owner = sql.SQL("i" if not catalog[table].has("run_id") else "t")
    query = sql.SQL(
        "SELECT {0}.dag_id, {0}.run_id, t::text FROM {1} t {2} WHERE {0}.dag_id NOT LIKE 'continuity%%' ORDER BY 3"
    ).format(owner, sql.Identifier(table), by_id)
    found: dict[tuple[str, str], list[str]] = {}
    for dag_id, run_id, row in ask(side, query):
        found.setdefault((dag_id, run_id), []).append(row)
    return found


@pytest.mark.parametrize("kind", ["empty", "target"])
def test_the_last_days_are_whole_and_the_others_stay(sides: Callable[..., Side], kind: str) -> None:
    source = sides("source")
    ((now,),) = ask(source, "SELECT now()")
    add(source, "log", {"event": "of late", "dttm": now, "owner": "somebody"})
    manifest = source.snapshot(SNAPSHOT)
    cut_at = datetime.fromisoformat(manifest.cut_at)
    whole, partly = (sides(kind, environment=source.environment) for _ in range(2))
    ((middle,),) = ask(source, "SELECT percentile_disc(0.6) WITHIN GROUP (ORDER BY start_date) FROM dag_run")
    days = (cut_at - middle.astimezone(UTC)).days
    since = cut_at - timedelta(days=days)
    partly.settings["history_days"] = days
    own, own_log = runs(partly), logged(partly)
    for target in (whole, partly):
        target.restore_state(SNAPSHOT)
    state = runs(partly)
    rows = [target.restore_history(SNAPSHOT) for target in (whole, partly)]
    assert rows[1] < rows[0]
    kept = own | state | runs(whole, since)
    assert runs(partly) == kept < runs(whole), "what is left out is older than that, and not needed"
    for table in OF_RUN:
        expected, found = of_runs(whole, table), of_runs(partly, table)
        assert set(found) - own == {run for run in expected if run in kept} - own, table
        # What was in flight is given as much time as it had left, which depends on when it is restored.
        assert {run: rows for run, rows in found.items() if run not in state} == {
            run: rows for run, rows in expected.items() if run in kept - state
        }, table
    assert logged(partly) == sorted([*own_log, (now, "of late")])
    assert len(logged(whole)) > len(logged(partly))
    assert partly.restore_history(SNAPSHOT) == 0, "it is done, and no second call brings the rest"
    pretend_parsed(partly, read(source))
    assert partly.go_live(SNAPSHOT).missing_dags == []
    partly.settings.clear()
    before = everything(partly)
    assert partly.restore_state(SNAPSHOT)[1] is True
    assert partly.restore_history(SNAPSHOT) == 0
    assert everything(partly) == before, "another number of days asks for nothing more"


def logged(side: Side) -> list[tuple[Any, ...]]:
    return ask(side, "SELECT dttm, event FROM log ORDER BY 1, 2")
