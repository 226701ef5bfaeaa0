"""What only Airflow 3 has, for a world of unpleasant rows: versions, deadlines, human input, backfills, asset state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg2.extras import Json

from tests.integration.engine.rows import EPOCH, Rows


def add_versions(world: Rows, dag_id: str, count: int) -> list[str]:
    """Versions of a DAG, each with what was parsed into it; the ids, oldest first."""
    found = []
    for number in range(1, count + 1):
        version = world.insert(
            "dag_version",
            dag_id=dag_id,
            version_number=number,
            bundle_name="dags-folder",
            bundle_version=world.maybe("v"),
        )
        serialized = world.insert("serialized_dag", dag_id=dag_id, dag_version_id=version, dag_hash="0" * 32)
        world.insert("dag_code", dag_id=dag_id, dag_version_id=version)
        world.insert("deadline_alert", serialized_dag_id=serialized)
        found.append(str(version))
    return found


def fill_runs(world: Any, dag_id: str, number: int) -> None:
    """Runs as Airflow 2 has none: without a logical date, of several deadlines and partitions."""
    for nth in range(4):
        date = EPOCH + timedelta(days=nth, hours=7, microseconds=number)
        finished = nth < 3
        dag_run = world.add_run(
            dag_id,
            date,
            f"{'manual' if nth % 2 else 'asset_triggered'}__{date.isoformat()}_\u2603",
            run_type="manual" if nth % 2 else "asset_triggered",
            logical_date=None,
            state="success" if finished else "queued",
            end_date=date if finished else None,
            partition_date=world.maybe(date),
            clear_number=0,
        )
        _deadlines(world, dag_run, missed=(finished, False))
        partition = world.insert(
            "asset_partition_dag_run",
            target_dag_id=dag_id,
            partition_key=f"key {nth}",
            created_dag_run_id=dag_run if finished else None,
        )
        event = world.insert("asset_event", asset_id=world.assets[nth], extra=Json({}), source_dag_id=dag_id)
        world.insert(
            "partitioned_asset_key_log",
            asset_id=world.assets[nth],
            asset_event_id=event,
            asset_partition_dag_run_id=partition,
            target_dag_id=dag_id,
        )
    world.insert("dag_favorite", dag_id=dag_id, user_id=world.users[number % len(world.users)])
    world.insert("dag_favorite", dag_id=dag_id, user_id="somebody whose id is no number")


def _deadlines(world: Any, dag_run: int, missed: tuple[bool, ...]) -> None:
    """One deadline each: missed and told, or still to come."""
    for was_missed in missed:
        if not world.has("callback"):
            world.insert("deadline", dagrun_id=dag_run, deadline=world.moment().replace(tzinfo=None), callback="x.y")
            continue
        kind = world.random.choice(["triggerer", "executor"])
        state = world.random.choice(
            ["success", "failed"] if was_missed else ["scheduled", "pending", "queued", "running"]
        )
        trigger = None
        if kind == "triggerer" and state in ("queued", "running"):
            trigger = world.insert(
                "trigger",
                classpath="airflow.triggers.callback.CallbackTrigger",
                kwargs=world.secret("{}"),
                triggerer_id=None,
            )
        data = {"path": "x.y", "kwargs": {"text": world.text()}, "dag_run_id": str(dag_run)}
        callback = world.insert(
            "callback",
            type=kind,
            fetch_method="import_path",
            data=Json(data if kind == "executor" else {"path": world.text()}),
            state=state,
            trigger_id=trigger,
            priority_weight=1,
        )
        world.cursor.execute("SELECT id FROM deadline_alert ORDER BY id LIMIT 1")
        world.insert(
            "deadline",
            dagrun_id=dag_run,
            deadline_time=world.moment(),
            missed=was_missed or state in ("queued", "running"),
            callback_id=callback,
            deadline_alert_id=world.maybe(world.cursor.fetchone()[0]),
        )


def fill_task_instance(world: Any, dag_run: int, key: dict[str, Any], ti: str, earlier: str) -> None:
    """What hangs on a task instance and on an earlier attempt of it."""
    people = [{"id": str(world.users[0]), "name": world.text()}, {"id": "no number", "name": "x"}]
    asked = {
        "options": Json(["Yes", world.text()]),
        "assignees": world.maybe(Json(people)),
        "responded_by": world.maybe(Json(people[0])),
        "chosen_options": world.maybe(Json(["Yes"])),
        "responded_at": world.maybe(world.moment()),
        "params": Json({"text": world.text()}),
    }
    world.insert("hitl_detail", ti_id=ti, **asked)
    world.insert("hitl_detail_history", ti_history_id=earlier, **asked)
    world.insert("task_state_store", dag_run_id=dag_run, **{name: key[name] for name in key}, key="position \u2603")


def fill_assets(world: Any) -> None:
    """What the parser, watchers and people keep of assets, and what belongs to the installation alone."""
    dag_id = f"{world.prefix}dag_1"
    world.cursor.execute(
        "INSERT INTO asset_active (name, uri) SELECT name, uri FROM asset WHERE id = ANY (%s)", (world.assets[:3],)
    )
    world.counts["asset_active"] = 3
    world.insert("dag_schedule_asset_alias_reference", alias_id=world.aliases[0], dag_id=dag_id)
    world.insert("dag_schedule_asset_name_reference", name="a name", dag_id=dag_id)
    world.insert("dag_schedule_asset_uri_reference", uri="s3://a/uri", dag_id=dag_id)
    world.insert("task_outlet_asset_reference", asset_id=world.assets[1], dag_id=dag_id, task_id="task_0")
    world.insert("task_inlet_asset_reference", asset_id=world.assets[2], dag_id=dag_id, task_id="task_1")
    world.insert("asset_state_store", asset_id=world.assets[0], key="offset")
    world.insert("team", name=f"{world.prefix}team")
    world.insert("dag_bundle", name=f"{world.prefix}bundle", active=True)
    world.insert("dag_bundle_team", dag_bundle_name=f"{world.prefix}bundle", team_name=f"{world.prefix}team")
    if world.has("ab_group"):
        group = world.insert("ab_group", name=f"{world.prefix}group")
        world.insert("ab_group_role", group_id=group, role_id=world.roles[0])
        world.insert("ab_user_group", group_id=group, user_id=world.users[0])
    watching = world.insert("trigger", classpath="a.Watcher", kwargs=world.secret("{}"), triggerer_id=None)
    world.insert("asset_trigger", asset_id=world.assets[0], trigger_id=watching)
    world.insert("asset_watcher", name="w", asset_id=world.assets[0], trigger_id=watching)
    world.insert(
        "callback", type="dag_processor", fetch_method="dag_attribute", data=Json({}), state=None, trigger_id=None
    )
    world.insert("connection_test_request", token=f"{world.prefix}token", conn_type="x", state="pending")
