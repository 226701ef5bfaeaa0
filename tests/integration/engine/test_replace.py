"""A restore that replaces: afterwards the database holds what a restore into a new environment gives."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from continuity import replace
from continuity.errors import ContinuityError, RestoreRefused
from continuity.policy import OWN_PREFIX
from tests.integration.engine import compare
from tests.integration.engine.compare import Row
from tests.integration.engine.dag_runs import Environment
from tests.integration.engine.history import KINDS, History
from tests.integration.engine.oracle import (
    add,
    ask,
    assert_equal,
    assert_sequences_are_beyond,
    everything,
    pretend_parsed,
    read,
    restored,
    times,
    waiting_for,
)
from tests.integration.engine.rows import EPOCH
from tests.integration.engine.worker import Side
from tests.waiting import until

FIRST = "20260401T000000Z-000000a1"
LATER = "20260402T000000Z-000000a2"
#: Of these, rows that the snapshot lacks stay.
STAY = ("dag", "dag_bundle", "log_template")
NEVER = "20260403T000000Z-000000a3"
#: What the engine remembers: of these the first two are forgotten when the state is replaced, the third is the ledger.
REMEMBERED = ("continuity_drain", "continuity_guard", "continuity_restore")
STUMBLE = """CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stumbled'; END $$;
CREATE TRIGGER stumble BEFORE INSERT OR UPDATE ON slot_pool EXECUTE FUNCTION stumble()"""
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
    places = [(table, "dag_id") for (table,) in ask(side, having, "dag_id")]
    found = {}
    for table, column in [*places, ("variable", "key"), ("connection", "conn_id")]:
        query = sql.SQL(
            """SELECT t::text FROM {} t WHERE (starts_with({column}, %s) AND {column} <> ALL (%s))
            OR (%s AND starts_with({column}, 'region_')) ORDER BY 1"""
        ).format(sql.Identifier(table), column=sql.Identifier(column))
        rows = ask(side, query, OWN_PREFIX, list(REMEMBERED), column != "dag_id")
        found[table] = [row for (row,) in rows]
    return found


def is_local(side: Side, table: str, row: Row) -> bool:
    name = {"variable": row.get("key"), "connection": row.get("conn_id")}.get(table)
    return name is not None and any(fnmatchcase(name, p) for p in side.parsed().local_patterns(table))


def what_stays(side: Side) -> dict[str, list[Row]]:
    """Rows that a snapshot would select and that a restore leaves, though another one comes."""
    rows = compare.canonical(read(side))
    kept = {
        table: found
        if table in STAY or table.startswith("ab_")
        else [row for row in found if is_local(side, table, row)]
        for table, found in rows.items()
    }
    kept["dag"] = [row for row in kept["dag"] if row["last_parsed_time"] is not None]
    kept["slot_pool"] = [row for row in rows["slot_pool"] if row["pool"] == "default_pool"]
    return kept


def assert_replaced(source: Side, target: Side, snapshot_id: str, *, replace: bool = False) -> None:
    """Restoring the snapshot, its history and going live leaves nothing of what was there but what stays."""
    before, own = what_stays(target), own_rows(target)
    ledger, already = target.restore_state(snapshot_id, replace=replace)
    assert (ledger.replaced, already) == (True, False)
    target.restore_history(snapshot_id)
    assert_holds(source, target, snapshot_id, before)
    assert own_rows(target) == own


def assert_holds(source: Side, target: Side, snapshot_id: str, before: dict[str, list[Row]]) -> None:
    """Live, the target holds what the source does, and what it held before that was to stay."""
    pretend_parsed(target, read(source))
    assert target.go_live(snapshot_id).missing_dags == []
    abroad = source.region != target.region
    coming = {
        table: [row for row in rows if not (abroad and is_local(target, table, row))]
        for table, rows in compare.canonical(read(source)).items()
    }
    expected = compare.merged(before, coming, restored(times(source, target, live=True)))
    assert_equal(expected, compare.counted(compare.canonical(read(target))))
    assert_sequences_are_beyond(target)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions, and all that many rows bring, with the few rows there are."""
    monkeypatch.setattr(replace, "PAGES", 1)
    monkeypatch.setattr(replace, "MANY_ROWS", 1)


@pytest.mark.usually_once
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


@pytest.mark.usefixtures("small_steps")
def test_what_ran_gives_way_where_that_is_said(sides: Callable[..., Side]) -> None:
    """Failure covered: what ran is lost because somebody restored; rows of before stay behind; what executes is cut
    off."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    source.snapshot(FIRST)
    target.restore_state(FIRST)
    pretend_parsed(target, read(source))
    target.go_live(FIRST)
    target.restore_history(FIRST)
    life_goes_on(target, seed=2)
    life_goes_on(source, seed=3)
    source.snapshot(LATER)

    before = everything(target)
    with pytest.raises(RestoreRefused, match=f'{LATER} cannot be: .* restore with "replace": true'):
        target.restore_state(LATER)
    with pytest.raises(RestoreRefused, match=r"while DAGs are not paused: .*dag_"):
        target.restore_state(LATER, replace=True)
    ask(target, "UPDATE dag SET is_paused = true WHERE NOT starts_with(dag_id, %s)", OWN_PREFIX)
    paused = everything(target)
    with pytest.raises(RestoreRefused, match=r"while task instances execute: .*dag_.* \((running|queued|restarting)\)"):
        target.restore_state(LATER, replace=True)
    assert everything(target) == paused
    assert before["task_instance"] == paused["task_instance"]

    let_rest(target)
    assert_replaced(source, target, LATER, replace=True)
    after = everything(target)
    ledger, already = target.restore_state(LATER, replace=True)
    assert (ledger.replaced, already) == (True, True)
    assert everything(target) == after, "what is there is not replaced by itself"


@pytest.mark.usually_once
def test_jobs_of_a_life_that_was_cut_off_give_way(sides: Callable[..., Side]) -> None:
    """Failure covered: tasks that were killed with their Region left jobs that seem to run, which stay for ever; or the
    scheduler that runs now loses its own."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    source.snapshot(FIRST)
    let_rest(target)
    for host, kind, dag_id in (("killed", "LocalTaskJob", "dag_1"), ("at-work", "SchedulerJob", None)):
        ask(
            target,
            """INSERT INTO job (dag_id, state, job_type, start_date, latest_heartbeat, hostname)
            VALUES (%s, 'running', %s, now(), now(), %s)""",
            dag_id,
            kind,
            host,
        )
    target.restore_state(FIRST, replace=True)
    left = ask(target, "SELECT hostname FROM job WHERE hostname IN ('killed', 'at-work')")
    assert [host for (host,) in left] == ["at-work"]


@pytest.mark.usefixtures("small_steps")
def test_a_fenced_primary_takes_up_what_ran_elsewhere(sides: Callable[..., Side]) -> None:
    """Failure covered: the primary has the ids, and the uuids, of the snapshot that comes back to it; a secondary's
    variables cross over; flags of guard and drain of another life are put back later."""
    primary = sides("source", **LOCAL)
    elsewhere = sides("source", environment=primary.environment, **LOCAL)
    secondary = Side(**{**elsewhere.__dict__, "region": "us-west-2"})
    for side, seed in ((primary, 4), (secondary, 5)):
        life_goes_on(side, seed)
    ask(secondary, "UPDATE variable SET val = 'elsewhere', is_encrypted = false WHERE key LIKE 'region%%'")
    ask(secondary, "DELETE FROM slot_pool WHERE pool <> 'default_pool'")
    ask(secondary, "DELETE FROM connection WHERE conn_id NOT LIKE 'region%%'")
    secondary.snapshot(LATER)
    let_rest(primary)
    # A row of a DAG stays as it is until it is parsed again: dag_4, whose file is gone, never is.
    ask(primary, "UPDATE dag SET last_parsed_time = NULL WHERE dag_id = 'dag_4'")
    for key in REMEMBERED[:2]:
        ask(primary, "INSERT INTO variable (key, val, is_encrypted) VALUES (%s, '{}', false)", key)
    assert_replaced(secondary, primary, LATER, replace=True)
    kept = [(key,) for key in REMEMBERED[2:]]
    assert ask(primary, "SELECT key FROM variable WHERE key = ANY (%s)", list(REMEMBERED)) == kept


@pytest.mark.usually_once
def test_a_failure_leaves_the_state_and_the_next_restore_goes_on(sides: Callable[..., Side]) -> None:
    """Failure covered: half of what was and half of what comes; a snapshot of that passes for good; nothing can be
    restored any more."""
    source = sides("source")
    target = sides("empty", environment=source.environment)
    source.snapshot(FIRST)
    life_goes_on(source, seed=6)
    manifest = source.snapshot(LATER)
    target.restore_state(FIRST)
    target.restore_history(FIRST)
    state = state_of(target)
    ask(target, STUMBLE)
    with pytest.raises(ContinuityError, match="table slot_pool: stumbled"):
        target.restore_state(LATER)
    assert state_of(target) == state

    with pytest.raises(RestoreRefused, match=f"{LATER} was restored"):
        target.go_live(FIRST)
    assert target.restore_history(FIRST) == 0
    for act in (target.go_live, target.restore_history):
        with pytest.raises(ContinuityError, match="has not been restored"):
            act(LATER)
    with pytest.raises(ContinuityError, match=f"snapshot {LATER} is to replace what this environment held"):
        target.snapshot(NEVER)
    ask(target, "UPDATE dag SET is_paused = false WHERE dag_id = 'dag_3'")
    with pytest.raises(RestoreRefused, match="while DAGs are not paused: dag_3"):
        target.restore_state(LATER)
    ask(target, "UPDATE dag SET is_paused = true")
    ask(target, "DROP TRIGGER stumble ON slot_pool")

    ledger, already = target.restore_state(FIRST)
    assert (ledger.replaced, already) == (True, False), "the one that was there is as good as any"
    assert state_of(target) != {}
    assert_replaced(source, target, LATER)
    assert manifest.rows > 0


@pytest.mark.usually_once
@pytest.mark.usefixtures("small_steps")
def test_one_that_is_killed_among_the_history_goes_on(sides: Callable[..., Side]) -> None:
    """Failure covered: a worker is lost in the middle, and nothing can be restored any more, or the state is lost."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    let_rest(target)
    source.snapshot(FIRST)
    target.restore_state(FIRST)
    target.restore_history(FIRST)
    life_goes_on(source, seed=10)
    source.snapshot(LATER)
    state, logged = state_of(target), ask(target, "SELECT count(*) FROM log")
    # Runs come after task instances, and the log after both: half of the history is gone by then.
    ask(target, STUMBLE.replace("INSERT OR UPDATE ON slot_pool", "DELETE ON log"))
    with pytest.raises(psycopg2.Error, match="stumbled"):
        target.restore_state(LATER)
    assert state_of(target) == state
    assert ask(target, "SELECT count(*) FROM log") == logged
    ended = "SELECT count(*) FROM dag_run WHERE state IN ('success', 'failed') AND dag_id = 'dag_1'"
    assert ask(target, ended)[0][0] < ask(source, ended)[0][0]
    ask(target, "DROP TRIGGER stumble ON log")
    assert_replaced(source, target, LATER)


def state_of(side: Side) -> dict[str, list[Row]]:
    """The rows by which scheduling goes: of unfinished runs, of people, of DAGs. Jobs are history."""
    rows = {
        table: [{column: value for column, value in row.items() if not column.endswith("job_id")} for row in found]
        for table, found in compare.canonical(read(side)).items()
    }
    open_runs = {(row["dag_id"], row["run_id"]) for row in rows["dag_run"] if row["state"] in ("queued", "running")}
    assert open_runs
    return {
        **{table: rows[table] for table in ("dag", "variable", "connection", "slot_pool")},
        **{
            table: [row for row in rows[table] if (row["dag_id"], row["run_id"]) in open_runs]
            for table in ("dag_run", "task_instance", "xcom")
        },
    }


@pytest.mark.any_airflow
def test_history_that_is_still_carried_is_called_off(sides: Callable[..., Side]) -> None:
    """Failure covered: a failover waits until the history of an older snapshot is in, or finds its rows in the way."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    let_rest(target)
    source.snapshot(FIRST)
    target.restore_state(FIRST)
    life_goes_on(source, seed=7)
    source.snapshot(LATER)
    failed: list[str] = []

    def carry_history() -> None:
        try:
            target.restore_history(FIRST)
        except (ContinuityError, psycopg2.Error) as error:
            failed.append(str(error))

    before = what_stays(target)
    replaced = threading.Thread(target=target.restore_state, args=(LATER,))
    carried = threading.Thread(target=carry_history)
    with target.connection() as holding, holding.cursor() as cursor:
        cursor.execute("LOCK TABLE log IN SHARE MODE")
        carried.start()
        until("the history waits", lambda: waiting_for(target, "log"), 120)
        replaced.start()
        until("its session is ended", lambda: failed, 120)
    carried.join()
    replaced.join()
    assert "connection" in failed[0]
    assert target.restore_history(FIRST) == 0, "tried again, it finds nothing more to do"
    target.restore_history(LATER)
    assert_holds(source, target, LATER, before)


@pytest.mark.any_airflow
@pytest.mark.usefixtures("small_steps")
def test_two_at_the_same_time_replace_once(sides: Callable[..., Side]) -> None:
    """Failure covered: a retry deletes what the attempt before it has restored."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    let_rest(target)
    source.snapshot(FIRST)
    target.restore_state(FIRST)
    target.restore_history(FIRST)
    before = what_stays(target)
    life_goes_on(source, seed=8)
    source.snapshot(LATER)
    outcomes: list[str] = []

    def restore() -> None:
        try:
            outcomes.append(f"already: {target.restore_state(LATER)[1]}")
        except RestoreRefused as refused:
            outcomes.append(str(refused).partition(" meanwhile")[0])
        target.restore_history(LATER)

    attempts = [threading.Thread(target=restore) for _ in range(3)]
    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join()
    assert len(outcomes) == len(attempts)
    assert outcomes.count("already: False") == 1
    assert set(outcomes) <= {"already: False", "already: True", "another restore was begun or has ended"}
    assert_holds(source, target, LATER, before)


@pytest.mark.any_airflow
def test_replacing_again_and_again_does_not_use_up_the_ids(sides: Callable[..., Side]) -> None:
    """Failure covered: every replacement moves all ids up by as many as there are, and some night there are no more."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    let_rest(target)
    own = {"dag_id": "continuity_restore", "dttm": EPOCH, "event": "own"}
    offsets = []
    for nth in range(5):
        snapshot_id = f"2026040{nth + 1}T000000Z-000000b{nth}"
        source.snapshot(snapshot_id)
        ledger, _ = target.restore_state(snapshot_id)
        target.restore_history(snapshot_id)
        offsets.append(ledger.offsets)
        (newest,) = add(target, "log", own)
        assert newest > ask(target, "SELECT max(id) FROM log WHERE id <> %s", newest)[0][0]
        add(source, "log", {**own, "dag_id": "dag_1"})
        for side, name in ((target, "here"), (source, "there")):  # such rows stay, and may have the same ids
            add(side, "ab_role", {"name": f"{name} {nth}"})
    assert offsets[1]["log"] > offsets[0]["log"]
    assert [found["log"] for found in offsets[1:]] == [offsets[1]["log"]] * 4
    assert_sequences_are_beyond(target)
    roles = "SELECT name FROM ab_role WHERE name LIKE '%% _' AND name NOT LIKE '%%role%%' ORDER BY 1"
    assert ask(target, roles) == [*[(f"here {nth}",) for nth in range(5)], *[(f"there {nth}",) for nth in range(4)]]


@pytest.mark.usefixtures("lease_table")
def test_the_dag_that_replaces_outlives_it(sides: Callable[..., Side], tmp_path: Path) -> None:
    """Failure covered: clean-up deletes its own DAG run."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    let_rest(target)
    life_goes_on(source, seed=9)
    source.snapshot(LATER)
    airflow = Environment(target, tmp_path)
    airflow.run()
    before = what_stays(target)
    (unsaid,) = airflow.run(("continuity_restore", {"snapshot_id": LATER, "replace": "yes"}))
    assert unsaid["state"] == "failed"
    assert "conf.replace: 'yes' is neither; accepted: true or false" in airflow.log
    (done,) = airflow.run(("continuity_restore", {"snapshot_id": LATER, "replace": True}))
    assert done["state"] == "success"
    assert done["returned"]["state"]["replaced"] is True
    assert_holds(source, target, LATER, before)
    own = "SELECT state FROM dag_run WHERE dag_id = 'continuity_restore' ORDER BY id"
    assert ask(target, own) == [("failed",), ("success",)]
