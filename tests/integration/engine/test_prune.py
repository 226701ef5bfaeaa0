"""Pruning deletes what Airflow's own `db clean` deletes, and nothing that a verified base does not hold as it is."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from continuity import delta, prune
from continuity.catalog import read_catalog
from continuity.errors import NoBase, SnapshotDamaged
from continuity.manifest import read_manifest
from continuity.policy import make_plan
from continuity.prune import Outcome
from continuity.prune_rules import RULES
from tests.integration.engine.conftest import airflow_bin
from tests.integration.engine.dag_runs import Environment
from tests.integration.engine.oracle import add, ask, cursor_on, dated, everything, is_airflow_2
from tests.integration.engine.worker import Side
from tests.postgres import FAB_AUTH_MANAGER, Cluster

Make = Callable[..., Side]


def recent(number: int = 0) -> str:
    """The id of a snapshot of now: a base is looked for among those of late."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{number:08x}"


def pruned(side: Side, before: datetime, *, dry_run: bool = False, now: datetime | None = None) -> Outcome:
    """What the task does, without its Airflow."""
    with side.connection() as connection:
        with connection, connection.cursor() as cursor:
            base = prune.find_base(cursor, side.store, side.parsed(), now or datetime.now(UTC), side.airflow_version)
            plan = make_plan(read_catalog(cursor), side.parsed().tables)
        return prune.prune(connection, plan, base, before, dry_run=dry_run)


def cleaned(side: Side, before: datetime, home: Path) -> None:
    """What Airflow's own command does."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": side.dsn.replace("postgresql://", "postgresql+psycopg2://"),
        **({} if is_airflow_2(side) else {"AIRFLOW__CORE__AUTH_MANAGER": FAB_AUTH_MANAGER}),
        "AIRFLOW__WEBSERVER__SESSION_BACKEND": "database",
    }
    command = [str(airflow_bin(side.airflow_version)), "db", "clean", "--skip-archive", "--yes"]
    done = subprocess.run(
        [*command, "--clean-before-timestamp", before.isoformat()],
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(autouse=True)
def finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for a million rows is done for a hundred."""
    monkeypatch.setattr(prune, "PAGES", 1)


@pytest.fixture
def twin(cluster: Cluster) -> Iterator[Callable[[Side], Side]]:
    """Copies the database of a side."""
    made = []

    def copy(side: Side) -> Side:
        dbname = f"twin_{uuid.uuid4().hex[:12]}"
        cluster.create(dbname, template=side.dsn.rsplit("/", 1)[1])
        made.append(dbname)
        return Side(**{**side.__dict__, "dsn": cluster.dsn(dbname)})

    yield copy
    for dbname in made:
        cluster.drop(dbname)


def halfway(side: Side) -> datetime:
    """A moment that divides the runs."""
    ((moment,),) = ask(
        side, "SELECT percentile_disc(0.7) WITHIN GROUP (ORDER BY start_date) FROM dag_run WHERE start_date IS NOT NULL"
    )
    return moment + timedelta(microseconds=1)


def with_old_rows(side: Side) -> None:
    """Rows that the source lacks, in every table that is cleaned; everything that ran has finished."""
    ((oldest,),) = ask(side, "SELECT min(start_date) FROM dag_run")
    rows: dict[str, dict[str, Any]] = {
        "log": {"event": "old", "dttm": oldest, "dag_id": "dag_0"},
        "import_error": {"timestamp": oldest, "filename": "x.py"},
        "job": {"latest_heartbeat": oldest, "job_type": "SchedulerJob", "state": "success"},
        "celery_taskmeta": {"date_done": oldest, "task_id": "c1"},
        "callback_request": {"created_at": oldest, "callback_type": "x", "priority_weight": 1},
        "trigger": {"created_date": oldest, "classpath": "a.B", "kwargs": "{}"},
        "session": {"expiry": oldest, "session_id": "s1"},
        "sla_miss": {"timestamp": oldest, "task_id": "t", "dag_id": "dag_0", **dated(oldest)},
        "revoked_token": {"exp": oldest, "jti": "j1"},
        "connection_test_request": {"updated_at": oldest, "state": "success", "connection_id": "c"},
    }
    there = {name for (name,) in ask(side, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    for table, row in rows.items():
        if table in there:
            add(side, table, row)
    if "dag_version" in there:  # of versions that task instances have, too
        ask(
            side,
            """UPDATE dag SET last_parsed_time = now() WHERE dag_id IN
            (SELECT v.dag_id FROM dag_version v JOIN task_instance i ON i.dag_version_id = v.id)""",
        )
    if "callback" in there:
        ask(
            side, "UPDATE callback SET trigger_id = NULL"
        )  # where one points to a trigger, the command ends with an error
    ask(side, "UPDATE dag_run SET state = 'success' WHERE COALESCE(state, '') NOT IN ('success', 'failed')")


def test_it_deletes_what_airflows_own_command_would(sides: Make, twin: Callable[[Side], Side], tmp_path: Path) -> None:
    source = sides("source")
    with_old_rows(source)
    before = halfway(source)
    copy = twin(source)
    source.proven_snapshot(recent())
    untouched = everything(source)
    counted = pruned(source, before, dry_run=True)
    assert everything(source) == untouched, "a dry run changes nothing"
    cleaned(copy, before, tmp_path)
    done = pruned(source, before)
    ask(copy, "DELETE FROM log WHERE event LIKE 'cli%%'")  # the command notes itself
    expected, found = everything(copy), everything(source)
    assert {name: found[name] for name in found if found[name] != expected[name]} == {}
    gone = {name for name in untouched if len(found[name]) < len(untouched[name])}
    assert {"dag_run", "task_instance", "log", "job", "xcom"} <= gone
    assert {name for name, rows in done.rows.items() if rows} <= gone
    assert counted.rows["dag_run"] == done.rows["dag_run"] > 0
    assert counted.rows["log"] == done.rows["log"] > 0
    assert (done.postponed, done.finished) == (0, True)
    assert not any(pruned(source, before).rows.values()), "a second run finds nothing more"


def test_the_rules_are_those_of_every_airflow(sides: Make) -> None:
    """Failure covered: another Airflow cleans another table, or keeps other rows, and ours does not know."""
    side = sides("empty")
    script = (
        "import json; from airflow.utils import db_cleanup as c;"
        "print('\\n' + json.dumps([[n, t.recency_column_name, t.keep_last,"
        " [' '.join((f.left.name, f.operator.__name__, str(getattr(f.right, 'value', f.right))))"
        " for f in t.keep_last_filters or []], list(t.keep_last_group_by or [])] for n, t in c.config_dict.items()]))"
    )
    meaning = {"external_trigger eq false": "NOT external_trigger", "run_type ne manual": "run_type <> 'manual'"}
    python = str(airflow_bin(side.airflow_version).with_name("python"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    done = subprocess.run([python, "-c", script], env=environment, text=True, capture_output=True, check=True)
    with cursor_on(side) as cursor:
        catalog = read_catalog(cursor)
    theirs = [found for found in json.loads(done.stdout.splitlines()[-1]) if found[0] in catalog]
    assert len(theirs) > 10
    for name, date, keep_last, filters, group_by in theirs:
        ours = RULES[name]
        assert next(column for column in ours.dates if catalog[name].has(column)) == date, name
        assert (ours.latest_of is not None) == keep_last or name == "dag_version", name
        assert group_by in ([], [ours.latest_of]), name
        among = [which for column, which in (ours.among or {}).items() if catalog[name].has(column)][:1]
        assert [meaning[found] for found in filters] in ([], among), name
    unknown = {name for name in RULES if name in catalog} - {found[0] for found in theirs}
    assert unknown <= {"session"}, "its cleaning hangs on another setting"


class Old:
    """Finished runs of long ago, each with a task instance and an XCom."""

    def __init__(self, side: Side, *names: str, date: datetime = datetime(2020, 1, 1, tzinfo=UTC)) -> None:
        self.side, self.date = side, date
        shared = [{"dag_id": "old", "run_id": name, "state": "success", "start_date": self.date} for name in names]
        days = [dated(date + timedelta(minutes=number)) for number in range(len(names))]
        more = {"run_type": "manual", "external_trigger": True, "end_date": self.date}
        ids = add(side, "dag_run", *({**run, **day, **more} for run, day in zip(shared, days, strict=True)))
        instance = {"task_id": "t", "map_index": -1, "pool": "p", "pool_slots": 1, "try_number": 1}
        add(side, "task_instance", *({**run, **instance, "id": str(uuid.uuid4())} for run in shared))
        xcom = {"task_id": "t", "map_index": -1, "key": "k", "timestamp": self.date}
        add(side, "xcom", *({**run, **xcom, "dag_run_id": number} for run, number in zip(shared, ids, strict=True)))

    def left(self, table: str = "dag_run") -> set[str]:
        query = sql.SQL("SELECT run_id FROM {} WHERE dag_id = 'old'").format(sql.Identifier(table))
        return {run_id for (run_id,) in ask(self.side, query)}


BEFORE = datetime(2020, 6, 1, tzinfo=UTC)


def test_nothing_goes_that_the_base_does_not_hold_as_it_is(sides: Make) -> None:
    """Failure covered: what was cleared, changed, or committed after the cut is deleted, and no snapshot has it."""
    source = sides("source")
    names = ("quiet", "cleared", "child_changed", "run_changed", "xcom_added", "quiet_too")
    old = Old(source, *names)
    add(source, "log", {"event": "quiet", "dttm": old.date, "dag_id": "old"})
    late = psycopg2.connect(source.dsn)
    with late.cursor() as cursor:
        cursor.execute("INSERT INTO log (event, dttm, dag_id) VALUES ('late', %s, 'old')", (old.date,))
        source.proven_snapshot(recent())
        late.commit()
    late.close()
    ask(source, "UPDATE task_instance SET state = NULL WHERE dag_id = 'old' AND run_id = 'cleared'")
    ask(source, "UPDATE xcom SET timestamp = timestamp WHERE dag_id = 'old' AND run_id = 'child_changed'")
    ask(source, "UPDATE dag_run SET state = 'failed' WHERE dag_id = 'old' AND run_id = 'run_changed'")
    more = {
        "dag_id": "old",
        "run_id": "xcom_added",
        "task_id": "t",
        "map_index": -1,
        "key": "more",
        "timestamp": old.date,
    }
    ((dag_run_id,),) = ask(source, "SELECT id FROM dag_run WHERE dag_id = 'old' AND run_id = 'xcom_added'")
    add(source, "xcom", {**more, "dag_run_id": dag_run_id})
    add(source, "log", {"event": "backdated", "dttm": old.date, "dag_id": "old"})
    done = pruned(source, BEFORE)
    kept = {"cleared", "child_changed", "run_changed", "xcom_added"}
    assert old.left() == kept
    assert old.left("task_instance") == kept - {"run_changed"}, "a task instance of its own date, as db clean does"
    assert ask(source, "SELECT event FROM log WHERE dag_id = 'old' ORDER BY 1") == [("backdated",), ("late",)]
    assert done.rows["dag_run"] == 2
    source.proven_snapshot(recent(1))
    ask(source, "UPDATE dag_run SET state = 'success' WHERE dag_id = 'old'")
    assert old.left() == kept, "and stays until a base holds it"


@pytest.mark.usually_once
def test_what_has_not_finished_stays(sides: Make) -> None:
    """A difference to `db clean`: it would delete a run that has been waiting for long, with its trigger."""
    source = sides("source")
    old = Old(source, "waiting", "done")
    ask(source, "UPDATE dag_run SET state = 'running' WHERE dag_id = 'old' AND run_id = 'waiting'")
    (trigger,) = add(source, "trigger", {"created_date": old.date, "classpath": "a.B", "kwargs": "{}"})
    ask(
        source,
        "UPDATE task_instance SET state = 'deferred', trigger_id = %s WHERE dag_id = 'old' AND run_id = 'waiting'",
        trigger,
    )
    (idle,) = add(source, "trigger", {"created_date": old.date, "classpath": "a.B", "kwargs": "{}"})
    source.proven_snapshot(recent())
    pruned(source, BEFORE)
    assert old.left() == old.left("task_instance") == old.left("xcom") == {"waiting"}
    assert ask(source, "SELECT id FROM trigger WHERE id IN (%s, %s)", trigger, idle) == [(trigger,)]


@pytest.mark.any_airflow
def test_it_waits_for_nobody_and_the_next_run_goes_on(sides: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sides("source")
    old = Old(source, "held", "held_below", "free")
    source.proven_snapshot(recent())
    other = psycopg2.connect(source.dsn)
    with other.cursor() as cursor:
        cursor.execute("SELECT FROM dag_run WHERE dag_id = 'old' AND run_id = 'held' FOR UPDATE")
        cursor.execute("SELECT FROM task_instance WHERE dag_id = 'old' AND run_id = 'held_below' FOR UPDATE")
        done = pruned(source, BEFORE)
        assert old.left() == {"held", "held_below", "free"}, (
            "of a range of pages that others are at work in, nothing goes"
        )
        assert old.left("task_instance") == {"held_below"}
        assert done.finished
        assert done.postponed == 1, "the held run is passed over, the other would wait for its task instance"
    other.rollback()
    other.close()
    monkeypatch.setattr(prune, "LONGEST_SECONDS", -1.0)
    assert pruned(source, BEFORE).finished is False
    assert "held" in old.left()
    monkeypatch.undo()
    assert pruned(source, BEFORE).finished
    assert old.left() == set()


@pytest.mark.any_airflow
def test_without_a_verified_base_nothing_goes(sides: Make) -> None:
    source = sides("source")
    Old(source, "one")
    with pytest.raises(NoBase, match="there is no recent one"):
        pruned(source, BEFORE)
    source.snapshot(recent())
    with pytest.raises(NoBase, match="was not read back"):
        pruned(source, BEFORE)
    taken = source.proven_snapshot(recent(1))
    assert pruned(source, BEFORE, dry_run=True).base == taken.snapshot_id
    table = next(table for table in taken.tables if table.name == "log")
    source.client("s3").delete_object(
        Bucket=source.bucket, Key=source.store.key(taken.snapshot_id, table.objects[0].name)
    )
    with pytest.raises(SnapshotDamaged, match=r"log\.history\.copy\.gz"):
        pruned(source, BEFORE)


@pytest.mark.any_airflow
def test_the_base_of_another_database_says_nothing(sides: Make, twin: Callable[[Side], Side]) -> None:
    source = sides("source")
    source.proven_snapshot(recent())
    with pytest.raises(NoBase, match="is of another database"):
        pruned(twin(source), BEFORE)


def held_runs(side: Side, snapshot_id: str) -> set[str]:
    """Runs of `old` that a base holds, read from its objects."""
    manifest = read_manifest(side.store, snapshot_id)
    assert manifest.base is None
    table = manifest.table("dag_run")
    assert table is not None
    names = [column.name for column in table.columns]
    found = set()
    for entry in table.objects:
        lines = gzip.decompress(b"".join(side.store.open(snapshot_id, entry).chunks())).decode().split("\n")[:-1]
        rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines]
        found |= {row["run_id"] for row in rows if row["dag_id"] == "old"}
    return found


@pytest.mark.any_airflow
def test_a_year_stays_as_small_as_three_months(sides: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes that no snapshot holds, what is there is bounded, and 400 days without a snapshot change nothing."""
    source = sides("source", base_interval_hours=1)
    monkeypatch.setattr(
        delta, "WORTHWHILE", -1.0
    )  # every snapshot is a base: what it holds is read from its own objects
    ever: dict[str, datetime] = {}
    held: set[str] = set()
    month = timedelta(days=30)
    for number in range(14):
        today = datetime(2020, 1, 1, tzinfo=UTC) + number * month
        names = [f"{number}-{nth}" for nth in range(10)]
        Old(source, *names, date=today)
        ever |= dict.fromkeys(names, today)
        if number % 5 == 4:  # a month without a snapshot: what is new in it is in none
            before = left_of(source)
            pruned(source, today - 3 * month)
            assert before - left_of(source) <= held
            continue
        taken = source.proven_snapshot(recent(number)).snapshot_id
        held |= held_runs(source, taken)
        pruned(source, today - 3 * month)
        left = left_of(source)
        assert set(ever) - left <= held, "whatever is gone is in a snapshot"
        assert {run for run, date in ever.items() if date >= today - 3 * month} <= left
        assert len(left) <= 50, "four months, and one that waited for a base"
    before = left_of(source)
    with pytest.raises(NoBase, match="there is no recent one"):
        pruned(source, datetime(2022, 1, 1, tzinfo=UTC), now=datetime.now(UTC) + timedelta(days=400))
    assert left_of(source) == before


def left_of(side: Side) -> set[str]:
    return {run_id for (run_id,) in ask(side, "SELECT run_id FROM dag_run WHERE dag_id = 'old'")}


def test_the_dag(sides: Make, tmp_path: Path, lease_table: str) -> None:
    """Its conf, what it refuses, and what it answers, under the real Airflow."""
    source = sides("source")
    old = Old(source, "one", "two")
    environment = Environment(source, tmp_path)
    (refused,) = environment.run(("continuity_prune", {}))
    assert refused["state"] == "failed"
    assert "nothing was deleted: there is no recent one" in environment.log
    (wrong,) = environment.run(("continuity_prune", {"history_days": 0}))
    assert wrong["state"] == "failed"
    assert "conf.history_days: 0 is no number of days; accepted: a whole number from 1" in environment.log
    source.proven_snapshot(recent())
    dry, done = environment.run(
        ("continuity_prune", {"dry_run": True, "history_days": 36_500}), ("continuity_prune", {"history_days": 1000})
    )
    assert dry["returned"]["prune"]["rows"]["dag_run"] == 0
    assert done["returned"]["prune"]["rows"]["dag_run"] == 2
    assert old.left() == set()
    lease = {"holder": {"S": "eu-west-1"}, "token": {"N": "2"}}
    source.client("dynamodb").put_item(
        TableName=lease_table, Item={"pk": {"S": "lease"}, "sk": {"S": "lease"}, **lease}
    )
    environment.run(("continuity_prune", {}))
    assert "nothing was deleted: eu-west-1 holds the lease" in environment.log


@pytest.mark.usually_once
def test_a_restore_that_is_not_done_stands_in_the_way(sides: Make, tmp_path: Path, lease_table: str) -> None:
    assert lease_table
    source = sides("source")
    source.proven_snapshot(recent())
    target = sides("empty", environment=source.environment)
    target.restore_state(recent_of(source))
    environment = Environment(target, tmp_path)
    (refused,) = environment.run(("continuity_prune", {}))
    assert refused["state"] == "failed"
    assert "nothing was deleted: snapshot" in environment.log


def recent_of(side: Side) -> str:
    return side.store.snapshot_ids()[0]
