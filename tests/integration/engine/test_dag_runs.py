"""The metadata DAGs run by the real Airflow: its engine, its Fernet key, its own rows in the same database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from psycopg2 import sql

from tests.integration.engine import compare
from tests.integration.engine.dag_runs import REGION, Environment
from tests.integration.engine.oracle import add, ask, assert_equal, dated, pretend_parsed, read, restored, times
from tests.integration.engine.worker import Side

SNAPSHOT = "20260401T000000Z-00000010"


def test_the_dags_do_under_airflow_what_the_engine_does(
    sides: Callable[..., Side], tmp_path: Path, lease_table: str
) -> None:
    """Failure covered: the backup's own run is exported too; clean-up deletes its own DAG run."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    secondary = Environment(target, tmp_path / "target")
    secondary.run()
    before = compare.canonical(read(target))
    (taken,) = Environment(source, tmp_path / "source").run(("continuity_snapshot", {"snapshot_id": SNAPSHOT}))
    assert taken["state"] == "success"
    assert taken["returned"]["snapshot"]["manifest_key"] == source.store.key(SNAPSHOT, "manifest.json")
    assert taken["returned"]["verify"] == taken["returned"]["snapshot"]
    assert source.store.read_json(SNAPSHOT, "verification.json")["faults"] == []
    manifest = source.store.read_json(SNAPSHOT, "manifest.json")
    assert manifest["airflow_version"] == source.airflow_version
    assert not [row for row in manifest["in_flight"] if row[0].startswith("continuity_")]

    (state,) = secondary.run(("continuity_restore", {"snapshot_id": SNAPSHOT}))
    assert state["state"] == "success"
    assert state["returned"]["state"]["already"] is False
    pretend_parsed(target, read(source))
    live, beat = secondary.run(
        ("continuity_go_live", {"snapshot_id": SNAPSHOT, "parse_deadline_seconds": 0}), ("continuity_beat", {})
    )
    nothing_skipped: dict[str, Any] = {"skipped_runs": 0, "skipped": [], "not_skipped": []}
    gone_live = {"snapshot_id": SNAPSHOT, "unpaused": 4, "missing_dags": [], **nothing_skipped}
    assert live["returned"]["go_live"] == gone_live
    assert beat["state"] == "success"
    items = boto3.client("dynamodb", region_name=REGION).scan(TableName=lease_table)["Items"]
    assert [item["pk"]["S"] for item in items] == [f"beat#{REGION}"]

    expected = compare.merged(before, compare.canonical(read(source)), restored(times(source, target, live=True)))
    assert_equal(expected, compare.counted(compare.canonical(read(target))))
    own = (
        "SELECT dag_id, state FROM dag_run WHERE starts_with(dag_id, 'continuity_') AND run_type = 'manual' ORDER BY 1"
    )
    assert ask(target, own) == [
        ("continuity_beat", "success"),
        ("continuity_go_live", "success"),
        ("continuity_restore", "success"),
        ("continuity_snapshot", "running"),
    ]


@pytest.fixture
def step_functions(aws: str) -> Iterator[None]:
    """Step Functions that knows which tokens it gave out, of which there are none here."""
    for knows in (True, False):
        config = {"stepfunctions": {"execute_state_machine": knows}}
        requests.post(f"{aws}/moto-api/config", json=config, timeout=5).raise_for_status()
        if knows:
            yield


@pytest.mark.usefixtures("step_functions")
def test_a_restore_nobody_waits_for_is_skipped(sides: Callable[..., Side], tmp_path: Path) -> None:
    """Failure covered: a run that queued past its heartbeat restores beside the one that was started in its place."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    target = sides("empty", environment=source.environment)
    order = {"snapshot_id": SNAPSHOT, "request_id": "given-up"}
    body = b'{"task_token": "AAAAgone"}'
    boto3.client("s3").put_object(Bucket=target.bucket, Key=f"work/{target.environment}/given-up.json", Body=body)
    Environment(target, tmp_path).run(("continuity_restore", order))
    states = "SELECT task_id, state FROM task_instance WHERE dag_id = 'continuity_restore' ORDER BY 1"
    assert ask(target, states) == [("history", "skipped"), ("state", "skipped")]
    assert ask(target, "SELECT count(*) FROM dag_run WHERE dag_id <> 'continuity_restore'") == [(0,)]


def test_bad_input_fails_the_run_and_names_the_field(sides: Callable[..., Side], tmp_path: Path) -> None:
    source = sides("source")
    environment = Environment(source, tmp_path)
    (failed,) = environment.run(("continuity_snapshot", {"snapshot_id": "latest"}))
    assert failed["state"] == "failed"
    assert "conf.snapshot_id: 'latest' is no snapshot id; accepted: YYYYMMDDTHHMMSSZ" in environment.log


@pytest.mark.parametrize(
    ("dag_id", "conf", "kept"),
    [
        ("continuity_beat", {}, timedelta(minutes=59)),
        ("continuity_guard", {}, timedelta(minutes=59)),
        ("continuity_snapshot", {"snapshot_id": SNAPSHOT}, timedelta(hours=23, minutes=59)),
    ],
)
def test_what_runs_every_minute_forgets_its_own_old_runs_only(
    sides: Callable[..., Side], tmp_path: Path, *, lease_table: str, dag_id: str, conf: dict[str, Any], kept: timedelta
) -> None:
    """Failure covered: clean-up deletes its own DAG run: a canary of 1440 runs a day must not fill the database
    either, nor a snapshot every minute."""
    side = sides("source")
    others = """SELECT (SELECT count(*) FROM dag_run WHERE dag_id <> %s), (SELECT count(*) FROM log WHERE dag_id <> %s),
        (SELECT count(*) FROM job WHERE dag_id <> %s), (SELECT count(*) FROM xcom WHERE dag_id <> %s)"""
    before = ask(side, others, *[dag_id] * 4)
    ((now,),) = ask(side, "SELECT now()")
    ago = [kept - timedelta(minutes=n) for n in range(60)] + [kept + timedelta(minutes=n) for n in range(2, 142)]
    runs: list[dict[str, Any]] = [
        {"dag_id": dag_id, "run_id": f"scheduled__{n}", "run_type": "scheduled", "start_date": now - age}
        | dated(now - age)
        | ({"state": "running", "end_date": None} if n == 199 else {"state": "success", "end_date": now - age})
        for n, age in enumerate(ago)
    ]
    run_ids = dict(zip([run["run_id"] for run in runs], add(side, "dag_run", *runs), strict=True))
    once = {"dag_id": dag_id, "task_id": "once", "pool": "p", "pool_slots": 1, "state": "success", "map_index": -1}
    add(side, "task_instance", *({**once, "run_id": run["run_id"]} for run in runs))
    hanging = ["rendered_task_instance_fields", "xcom"]
    for table in hanging:
        row = {"dag_id": dag_id, "task_id": "once", "map_index": -1, "key": "return_value", "rendered_fields": "{}"}
        ids = [{**row, "run_id": run_id, "dag_run_id": number} for run_id, number in run_ids.items()]
        add(side, table, *ids)
    lines = [{"dag_id": dag_id, "event": "running", "dttm": now - age, "latest_heartbeat": now - age} for age in ago]
    add(side, "log", *lines)
    add(side, "job", *lines)
    ((newest,),) = ask(side, "SELECT max(id) FROM log")
    (run,) = Environment(side, tmp_path).run((dag_id, conf))
    assert run["state"] == "success"
    count = sql.SQL(r"SELECT count(*) FROM {} WHERE dag_id = %s AND run_id ~ '^scheduled__\d+$'")
    for table in ["dag_run", "task_instance", *hanging]:
        assert ask(side, count.format(sql.Identifier(table)), dag_id) == [(61,)], table
    running = "SELECT run_id FROM dag_run WHERE dag_id = %s AND state = 'running' AND run_id LIKE 'scheduled%%'"
    assert ask(side, running, dag_id) == [("scheduled__199",)]
    assert ask(side, "SELECT count(*) FROM log WHERE dag_id = %s AND id <= %s", dag_id, newest) == [(60,)]
    assert ask(side, "SELECT count(*) FROM job WHERE dag_id = %s AND latest_heartbeat <= %s", dag_id, now) == [(60,)]
    assert ask(side, others, *[dag_id] * 4) == before
