"""What a restore refuses, leaves alone and does a second time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import boto3
import pytest

from continuity.errors import ContinuityError, RestoreRefused, SnapshotDamaged
from tests.integration.engine.oracle import add, ask, dated, everything, is_airflow_2, pretend_parsed, read, times
from tests.integration.engine.worker import Side

SNAPSHOT = "20260401T000000Z-0000000b"
LATER = "20260402T000000Z-0000000c"


@pytest.fixture
def pair(sides: Callable[..., Side]) -> tuple[Side, Side]:
    """A source whose snapshot is taken, and a target with rows of its own."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    return source, sides("target", environment=source.environment)


@pytest.mark.usually_once
def test_a_second_restore_changes_nothing(pair: tuple[Side, Side]) -> None:
    """Failure covered: not idempotent: a second restore doubles `log`; "skip the batch on conflict" loses rows
    silently."""
    source, target = pair
    first, already = target.restore_state(SNAPSHOT)
    assert not already
    target.restore_history(SNAPSHOT)
    pretend_parsed(target, read(source))
    outcome = target.go_live(SNAPSHOT)
    after = everything(target)

    second, already = target.restore_state(SNAPSHOT)
    assert already
    assert second.rows == first.rows
    assert target.restore_history(SNAPSHOT) == 0
    assert target.go_live(SNAPSHOT) == outcome
    assert everything(target) == after


@pytest.mark.any_airflow
def test_another_snapshot_is_refused_once_one_went_live(pair: tuple[Side, Side]) -> None:
    source, target = pair
    source.snapshot(LATER)
    target.restore_state(SNAPSHOT)
    pretend_parsed(target, read(source))
    target.go_live(SNAPSHOT)
    after = everything(target)
    with pytest.raises(
        RestoreRefused, match=f"{SNAPSHOT} was restored into this environment already, so {LATER} cannot be"
    ):
        target.restore_state(LATER)
    assert everything(target) == after


@pytest.mark.any_airflow
def test_a_snapshot_is_never_overwritten(pair: tuple[Side, Side]) -> None:
    source, _ = pair
    with pytest.raises(ContinuityError, match="already there"):
        source.snapshot(SNAPSHOT)


@pytest.mark.any_airflow
def test_history_and_go_live_come_after_the_state(pair: tuple[Side, Side]) -> None:
    _, target = pair
    with pytest.raises(RestoreRefused, match=r"the state of snapshot .* has not been restored"):
        target.restore_history(SNAPSHOT)
    with pytest.raises(ContinuityError, match="going live comes after"):
        target.go_live(SNAPSHOT)


def flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


@pytest.mark.any_airflow
def test_a_damaged_object_is_refused_by_name(pair: tuple[Side, Side]) -> None:
    """Failure covered: an upload that fails half-way still completes the object: a truncated backup replaces the good
    one."""
    _, target = pair
    before = everything(target)
    harms = [
        (name, damage)
        for name in ("task_instance.state.copy.gz", "variable.sealed", "trigger.sealed", "xcom.history.copy.gz")
        for damage in ("altered", "truncated", "missing")
        if (name, damage) != ("xcom.history.copy.gz", "altered")  # same size: found when its turn comes, see below
    ]
    for name, damage in harms:
        undo = harm(target, name, damage)
        with pytest.raises(SnapshotDamaged, match=re.escape(name)):
            target.restore_state(SNAPSHOT)
        assert everything(target) == before
        undo()
    target.restore_state(SNAPSHOT)


@pytest.mark.any_airflow
def test_an_altered_history_object_leaves_nothing_of_itself(pair: tuple[Side, Side]) -> None:
    """Failure covered: physical-line batching leaves earlier batches committed."""
    _, target = pair
    target.restore_state(SNAPSHOT)
    undo = harm(target, "xcom.history.copy.gz", "altered")
    rows = ask(target, "SELECT count(*) FROM xcom")
    with pytest.raises(SnapshotDamaged, match=r"xcom\.history"):
        target.restore_history(SNAPSHOT)
    assert ask(target, "SELECT count(*) FROM xcom") == rows
    undo()
    assert target.restore_history(SNAPSHOT) > 0
    assert ask(target, "SELECT count(*) FROM xcom") > rows


def harm(side: Side, name: str, damage: str) -> Callable[[], object]:
    """Damage an object; returns what repairs it."""
    s3 = boto3.client("s3")
    key = side.store.key(SNAPSHOT, name)
    body = s3.get_object(Bucket=side.bucket, Key=key)["Body"].read()
    if damage == "missing":
        s3.delete_object(Bucket=side.bucket, Key=key)
    else:
        s3.put_object(Bucket=side.bucket, Key=key, Body=flip(body) if damage == "altered" else body[:-1])
    return lambda: s3.put_object(Bucket=side.bucket, Key=key, Body=body)


@pytest.mark.usually_once
def test_runs_of_its_own_in_the_way_are_not_overwritten(pair: tuple[Side, Side]) -> None:
    """Failure covered: the restore meets `dag_run_pkey` and the (dag_id, execution_date) key half-way."""
    _, target = pair
    run = {"dag_id": "dag_3", "run_id": "own", "run_type": "manual", "state": "success"}
    add(target, "dag_run", run | dated(datetime(2026, 3, 12, 0, 0, 0, 11, tzinfo=UTC)))
    before = everything(target)
    with pytest.raises(RestoreRefused, match=r"DAG runs of its own .*dag_3 own"):
        target.restore_state(SNAPSHOT)
    assert everything(target) == before


def test_another_schema_is_refused_with_what_would_be_lost(pair: tuple[Side, Side]) -> None:
    """Failure covered: a new Airflow version drops columns."""
    _, target = pair
    ask(target, "ALTER TABLE xcom DROP COLUMN value")
    ask(target, "ALTER TABLE dag_run ALTER COLUMN conf TYPE text USING NULL")
    ask(target, "ALTER TABLE task_map ADD COLUMN reason text NOT NULL DEFAULT 'x'")
    ask(target, "ALTER TABLE task_map ALTER COLUMN reason DROP DEFAULT")
    ask(target, "UPDATE alembic_version SET version_num = 'other'")
    before = everything(target)
    with pytest.raises(RestoreRefused) as refused:
        target.restore_state(SNAPSHOT)
    for lost in (
        "column xcom.value: there is no such column here",
        f"column dag_run.conf: it is {'bytea' if is_airflow_2(target) else 'jsonb'} there and text here",
        "column task_map.reason: it must have a value here",
    ):
        assert lost in str(refused.value)
    assert everything(target) == before


def test_another_schema_that_loses_nothing_is_mapped_by_name(pair: tuple[Side, Side]) -> None:
    """Failure covered: only a version-specific, hand-written column list is supported."""
    source, target = pair
    ask(target, "ALTER TABLE task_instance ADD COLUMN later text DEFAULT 'new here'")
    ask(target, "ALTER TABLE task_reschedule ALTER COLUMN duration TYPE bigint")
    ask(target, "UPDATE alembic_version SET version_num = 'other'")
    target.restore_state(SNAPSHOT)
    target.restore_history(SNAPSHOT)
    count = "SELECT count(*) FROM task_instance WHERE dag_id LIKE 'dag_%%'"
    assert ask(target, count + " AND later = 'new here'") == ask(source, count)


@pytest.mark.usually_once
def test_what_belongs_to_a_region_stays_there(sides: Callable[..., Side]) -> None:
    """Failure covered: restore overwrites Region-specific variables (the backup bucket's name), so later backups go
    to the dead Region."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    local = {"local_variables": ["region_*", "var 1 *"], "local_connections": ["region_*"]}
    abroad = sides("empty", environment=source.environment, **local)
    abroad = Side(**{**abroad.__dict__, "region": "us-west-2"})
    ask(
        abroad,
        "INSERT INTO variable (key, val, is_encrypted) VALUES ('region_bucket', 'bucket of the secondary', false)",
    )
    abroad.restore_state(SNAPSHOT)
    assert ask(abroad, "SELECT key, val FROM variable WHERE key LIKE 'region%%'") == [
        ("region_bucket", "bucket of the secondary")
    ]
    assert ask(abroad, "SELECT key FROM variable WHERE key LIKE 'var 1 %%'") == []
    assert ask(abroad, "SELECT conn_id FROM connection WHERE conn_id LIKE 'region%%'") == []
    assert len(ask(abroad, "SELECT key FROM variable WHERE key LIKE 'var %%'")) == 17

    home = sides("empty", environment=source.environment, **local)
    home.restore_state(SNAPSHOT)
    assert ask(home, "SELECT val FROM variable WHERE key = 'region_bucket'") == [("bucket of 1",)]


@pytest.mark.usually_once
def test_variables_deleted_at_the_source_do_not_return(sides: Callable[..., Side]) -> None:
    """Failure covered: no variables left -> the previous file stays -> deleted variables return."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    ask(source, "DELETE FROM variable")
    manifest = source.snapshot(LATER)
    entry = manifest.table("variable")
    assert entry is not None
    assert entry.rows == 0
    target = sides("empty", environment=source.environment)
    target.restore_state(LATER)
    assert ask(target, "SELECT key FROM variable WHERE key <> 'continuity_restore'") == []


def test_in_flight_work_fails_where_the_policy_says_so(pair: tuple[Side, Side]) -> None:
    """Failure covered: filters drop a parent and keep its child (up_for_retry, running)."""
    _, target = pair
    target.restore_state(SNAPSHOT, in_flight={"default": "fail", "dags": {"dag_0": "rerun"}})
    states = dict(
        ask(
            target,
            "SELECT dag_id, array_agg(DISTINCT state) FROM task_instance WHERE dag_id IN ('dag_0', 'dag_3') GROUP BY 1",
        )
    )
    assert "failed" in states["dag_3"]
    assert not {"running", "queued", "scheduled", "restarting"} & {*states["dag_3"], *states["dag_0"]}
    assert None in states["dag_0"]


def test_new_runs_keep_this_installations_log_template(pair: tuple[Side, Side]) -> None:
    source, target = pair
    current = "SELECT filename FROM log_template ORDER BY id DESC LIMIT 1"
    before = ask(target, current)
    assert ask(source, "UPDATE log_template SET filename = 'x' || filename WHERE false RETURNING 1") == []
    target.restore_state(SNAPSHOT)
    assert ask(target, current) == before


@pytest.mark.usually_once
def test_permissions_taken_away_at_the_source_stay_away(sides: Callable[..., Side]) -> None:
    """Failure covered: never carried: roles and users."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    target = sides("empty", environment=source.environment)
    roles = add(target, "ab_role", {"name": "role 0"}, {"name": "only here"})
    (permission,) = add(target, "ab_permission", {"name": "can_0"})
    (view,) = add(target, "ab_view_menu", {"name": "View of the target"})
    (pair,) = add(target, "ab_permission_view", {"permission_id": permission, "view_menu_id": view})
    add(target, "ab_permission_view_role", *({"permission_view_id": pair, "role_id": role} for role in roles))
    target.restore_state(SNAPSHOT)
    granted = """SELECT r.name, p.name, v.name FROM ab_permission_view_role x JOIN ab_role r ON r.id = x.role_id
        JOIN ab_permission_view pv ON pv.id = x.permission_view_id JOIN ab_permission p ON p.id = pv.permission_id
        JOIN ab_view_menu v ON v.id = pv.view_menu_id ORDER BY 1, 2, 3"""
    assert ask(target, granted) == [("only here", "can_0", "View of the target"), *ask(source, granted)]


@pytest.mark.usually_once
def test_going_live_names_missing_dags_and_takes_them_up_later(pair: tuple[Side, Side]) -> None:
    """Failure covered: restoring before DAGs are parsed "succeeds", everything stays paused; a DAG paused in the
    primary is unpaused by
    the next drill; the first active DAG stays paused after every resume."""
    source, target = pair
    target.restore_state(SNAPSHOT)
    flags = "SELECT dag_id, is_paused FROM dag WHERE dag_id LIKE 'dag_%%' ORDER BY 1"
    assert all(paused for _, paused in ask(target, flags))
    assert ask(target, "SELECT count(*) FROM task_instance WHERE dag_id LIKE 'dag_%%' AND trigger_id IS NOT NULL") == [
        (0,)
    ]

    pretend_parsed(target, read(source), but=("dag_0", "dag_1"))
    outcome = target.go_live(SNAPSHOT)
    wanted = dict(ask(source, flags))
    assert outcome.missing_dags == ["dag_0", "dag_1"]
    assert dict(ask(target, flags)) == {**wanted, "dag_0": True, "dag_1": True}
    assert outcome.unpaused == sum(not wanted[dag] for dag in ("dag_2", "dag_3", "dag_4", "dag_5"))

    ask(target, "UPDATE dag SET is_paused = true WHERE dag_id = 'dag_5'")  # by hand, meanwhile
    pretend_parsed(target, read(source))
    again = target.go_live(SNAPSHOT)
    assert again.missing_dags == []
    assert dict(ask(target, flags)) == {**wanted, "dag_5": True}


@pytest.mark.usually_once
def test_a_dag_parsed_before_its_runs_were_there_is_not_unpaused(pair: tuple[Side, Side]) -> None:
    """Failure covered: DAGs unpaused at their first parse run old intervals again."""
    source, target = pair
    target.restore_state(SNAPSHOT)
    pretend_parsed(target, read(source))
    ask(
        target,
        "UPDATE dag SET next_dagrun = '2026-03-02', next_dagrun_create_after = '2026-03-03' WHERE dag_id = 'dag_3'",
    )
    ask(target, "UPDATE dag SET last_parsed_time = '2026-03-02' WHERE dag_id = 'dag_5'")
    assert target.go_live(SNAPSHOT).missing_dags == ["dag_3", "dag_5"]


#: What Airflow's scheduler does to deferred task instances every few seconds, whatever is paused.
CHECK_TRIGGER_TIMEOUTS = """UPDATE task_instance SET state = 'scheduled', next_method = '__fail__', trigger_id = NULL
WHERE state = 'deferred' AND trigger_timeout < now() AND starts_with(dag_id, 'dag_') RETURNING dag_id"""


def test_the_outage_is_not_taken_off_what_is_timed(sides: Callable[..., Side]) -> None:
    """Failure covered: after an outage longer than their time-outs, deferred task instances and running runs fail."""
    source = sides("source")
    # Each has an hour left at the cut.
    ask(source, "UPDATE task_instance SET trigger_timeout = now() + interval '1 hour' WHERE state = 'deferred'")
    ask(source, "UPDATE dag_run SET start_date = now() - interval '1 hour' WHERE state = 'running'")
    manifest = source.snapshot(SNAPSHOT)
    target = sides("target", environment=source.environment)
    store, key = boto3.client("s3"), target.store.key(SNAPSHOT, "manifest.json")
    body = store.get_object(Bucket=target.bucket, Key=key)["Body"].read()
    long_ago = "2026-04-01T00:00:00+00:00"
    store.put_object(Bucket=target.bucket, Key=key, Body=body.replace(manifest.cut_at.encode(), long_ago.encode()))

    target.restore_state(SNAPSHOT)
    assert ask(target, CHECK_TRIGGER_TIMEOUTS) == []
    timed = "SELECT count(*) FROM task_instance WHERE starts_with(dag_id, 'dag_') AND state = 'deferred'"
    assert ask(target, timed + " AND trigger_timeout IS NOT NULL") == [(0,)]

    pretend_parsed(target, read(source))
    started = datetime.now(UTC)
    target.go_live(SNAPSHOT)
    moved = times(source, target, live=True).moved
    assert moved is not None
    cut_at = datetime.fromisoformat(long_ago)
    assert started - cut_at <= moved <= datetime.now(UTC) - cut_at
    driven = " AND run_id NOT LIKE 'backfill%%'" if is_airflow_2(source) else ""
    waiting = ask(source, timed + " AND trigger_timeout IS NOT NULL" + driven)
    assert waiting[0][0] > 0
    assert ask(target, timed + " AND trigger_timeout > now() + interval '1 hour'") == waiting


def test_what_goes_on_after_a_deferral_has_a_start(pair: tuple[Side, Side]) -> None:
    """Failure covered: a rerun task instance without a start defers again and `None + execution_timeout` fails it."""
    _, target = pair
    target.restore_state(SNAPSHOT)
    again = """SELECT next_method IS NOT NULL, array_agg(DISTINCT start_date IS NOT NULL) FROM task_instance t
        WHERE state IS NULL AND hostname = '' AND queued_dttm IS NULL AND starts_with(dag_id, 'dag_')
        AND EXISTS (SELECT 1 FROM dag_run r WHERE r.dag_id = t.dag_id AND r.run_id = t.run_id AND r.end_date IS NULL)
        AND end_date IS NULL AND duration IS NULL AND pid IS NULL GROUP BY 1 ORDER BY 1"""
    found = dict(ask(target, again))
    assert found[True] == [True]
    assert False in found


def test_a_backfill_goes_on_where_the_scheduler_drives_it(pair: tuple[Side, Side]) -> None:
    """Failure covered: Airflow 2's scheduler never looks at a backfill's runs: one cut off stays `running` for ever."""
    source, target = pair
    held = """SELECT count(*) FROM task_instance WHERE starts_with(run_id, 'backfill__') AND dag_id = 'dag_5' AND state
        IN ('running', 'queued', 'scheduled', 'restarting', 'deferred', 'up_for_retry', 'up_for_reschedule')"""
    runs = "SELECT state IN ('running', 'queued'), end_date IS NULL FROM dag_run WHERE run_type = 'backfill'"
    assert ask(source, held)[0][0] > 0
    assert ask(source, runs) == [(True, True)]
    target.restore_state(SNAPSHOT)
    if is_airflow_2(target):
        assert ask(target, held) == [(0,)]
        assert ask(target, runs + " AND dag_id = 'dag_5'") == [(False, False)]
    else:
        assert ask(target, held)[0][0] > 0, "what waited goes on waiting"
        assert ask(target, runs + " AND dag_id = 'dag_5' AND backfill_id IS NOT NULL") == [(True, True)]


@pytest.mark.any_airflow
def test_going_live_twice_at_the_same_time_is_going_live_once(pair: tuple[Side, Side]) -> None:
    """Failure covered: a retried go live, beside the one that still waits, undoes what was paused by hand meanwhile."""
    source, target = pair
    target.restore_state(SNAPSHOT)
    pretend_parsed(target, read(source), but=("dag_0",))
    outcomes = []
    waiting = threading.Thread(target=lambda: outcomes.append(target.go_live(SNAPSHOT, deadline=60)))
    waiting.start()
    first = target.go_live(SNAPSHOT)
    assert first.missing_dags == ["dag_0"]
    ask(target, "UPDATE dag SET is_paused = true WHERE dag_id = 'dag_5'")  # by hand, meanwhile
    pretend_parsed(target, read(source))
    waiting.join(60)
    (second,) = outcomes
    assert second.missing_dags == []
    assert second.unpaused == first.unpaused + 1
    assert ask(target, "SELECT is_paused FROM dag WHERE dag_id IN ('dag_0', 'dag_5') ORDER BY dag_id") == [
        (False,),
        (True,),
    ]
