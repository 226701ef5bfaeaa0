"""What is changed in staged rows before they are carried over: the declared transformations, and no others."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql

from continuity import policy
from continuity.catalog import Catalog
from continuity.chosen import run_date
from continuity.errors import RestoreRefused
from continuity.manifest import Manifest, TableEntry
from continuity.selection import NAMED
from continuity.settings import InFlight, Settings, matches
from continuity.staging import stage_of

#: A task instance that starts again knows nothing of the process that ran it.
FORGOTTEN = {
    "job_id": "NULL",
    "queued_by_job_id": "NULL",
    "pid": "NULL",
    "external_executor_id": "NULL",
    "queued_dttm": "NULL",
    "hostname": "''",
    "last_heartbeat_at": "NULL",
    "scheduled_dttm": "NULL",
}
#: Of one that goes on after a deferral Airflow keeps the start, and counts its execution_timeout from it.
START_AGAIN = "CASE WHEN next_method IS NULL THEN NULL ELSE now() END"
RERUN = {"state": "NULL", **FORGOTTEN, "start_date": START_AGAIN, "end_date": "NULL", "duration": "NULL"}
FAIL = {"state": "'failed'", **FORGOTTEN, "end_date": "now()", "duration": "extract(epoch FROM now() - start_date)"}
#: The scheduler looks for the one that began an active span and stops where there is none; this is what that one writes
#: when it ends.
CONTINUED = {"span_status": "'needs_continuance'"}
#: States of a task instance that waits for an event until its `trigger_timeout`.
WAITING = ("deferred", "awaiting_input")
#: A DAG's row tells the scheduler nothing before the DAG is parsed here and the environment goes live.
UNPARSED = {
    "is_paused": "true",
    "is_active": "false",
    "is_stale": "true",
    "last_parsed_time": "NULL",
    "scheduler_lock": "NULL",
    "pickle_id": "NULL",
}


def stage_state(cursor: Any, entry: TableEntry, manifest: Manifest, settings: Settings, in_flight: InFlight) -> None:
    """Transform the staged rows of a state object."""
    if entry.name in NAMED:
        _leave_local(cursor, entry.name, manifest.region == settings.region, settings.local_patterns(entry.name))
    elif entry.name == "dag":
        _set(cursor, entry, UNPARSED, sql.SQL("TRUE"))
    elif entry.name == "dag_bundle":  # signed with the source's Fernet key; the target signs its own
        _set(cursor, entry, {"signed_url_template": "NULL"}, sql.SQL("TRUE"))
    elif entry.name == "dag_run":
        if policy.driven_from_outside(manifest.airflow_version):
            _set(cursor, entry, {"state": "'failed'", "end_date": "now()"}, _unfinished_backfill())
        if entry.has("span_status"):
            _set(cursor, entry, CONTINUED, sql.SQL("span_status = 'active' AND ({})").format(_unfinished()))
    elif entry.name == "task_instance":
        if policy.driven_from_outside(manifest.airflow_version):
            _set(cursor, entry, FAIL, _held_by_backfill())
        _reset_in_flight(cursor, entry, manifest.airflow_version, in_flight)
        _set(cursor, entry, {"trigger_id": "NULL"}, sql.SQL("trigger_id IS NOT NULL"))
        # The scheduler fails what waits too long whatever is paused: the time-out comes back, moved, with the trigger.
        waiting = sql.SQL("state = ANY ({})").format(sql.Literal(list(WAITING)))
        _set(cursor, entry, {"trigger_timeout": "NULL"}, waiting)
        if entry.has("span_status"):
            unfinished = _unfinished(policy.FINISHED_TASK)
            _set(cursor, entry, CONTINUED, sql.SQL("span_status = 'active' AND ({})").format(unfinished))


def fail_unfinished(cursor: Any, entry: TableEntry) -> None:
    """Transform staged task instances whose run has failed with what they were at."""
    _set(cursor, entry, FAIL, _unfinished(policy.FINISHED_TASK))


def stage_at_go_live(cursor: Any, entry: TableEntry) -> None:
    """Transform what is inserted when the environment goes live."""
    if entry.name == "callback":  # an executor that had it is gone; the scheduler hands it to one again
        lost = sql.SQL("type = 'executor' AND state IN ('queued', 'running')")
        _set(cursor, entry, {"state": "'pending'"}, lost)


def stage_history(cursor: Any, entry: TableEntry) -> None:
    """Transform the staged rows of a history object."""
    if entry.name == "job":
        closed = {"state": "'failed'", "end_date": "COALESCE(end_date, latest_heartbeat)"}
        _set(cursor, entry, closed, sql.SQL("state IN ('running', 'restarting')"))
    elif entry.name == "task_instance":
        # Deferred ones are state; on any other a trigger is a left-over that the triggerer would clear.
        _set(cursor, entry, {"trigger_id": "NULL"}, sql.SQL("trigger_id IS NOT NULL"))


def inactive_dags(cursor: Any, entry: TableEntry) -> list[str]:
    """Staged DAGs that were not active at the cut: their files were gone already, nobody waits for them."""
    column = next((c.name for c in entry.columns if c.name in ("is_active", "is_stale")), None)
    if column is None:
        return []
    gone = sql.SQL("is_active IS NOT TRUE" if column == "is_active" else "is_stale IS TRUE")
    cursor.execute(sql.SQL("SELECT dag_id FROM {} WHERE {} ORDER BY 1").format(stage_of(entry.name), gone))
    return [row[0] for row in cursor.fetchall()]


def refuse_collisions(cursor: Any, entry: TableEntry, catalog: Catalog) -> None:
    """Raises RestoreRefused where the target has runs of its own in the place of restored ones."""
    if entry.name != "dag_run":
        return
    date = sql.Identifier(run_date(catalog))
    cursor.execute(
        sql.SQL(
            """SELECT t.dag_id, t.run_id FROM dag_run t JOIN {stage} s ON t.dag_id = s.dag_id
            AND (t.run_id = s.run_id OR t.{date} = s.{date}) ORDER BY 1, 2 LIMIT 5"""
        ).format(stage=stage_of(entry.name), date=date)
    )
    present = [f"{dag_id} {run_id}" for dag_id, run_id in cursor.fetchall()]
    if present:
        raise RestoreRefused(
            f"this environment has DAG runs of its own where the snapshot has some too ({', '.join(present)}): "
            "restore into an environment in which these DAGs have not run"
        )


def make_room_for_versions(cursor: Any, entry: TableEntry) -> None:
    """Let the restored versions of a DAG come before those the target made of it: history shows what ran under each.

    A version that nothing ran under goes, with what was parsed into it: the parser compares the DAG with the latest
    version that is there, and adds one only if they differ. One that something ran under is numbered past the restored
    ones, and stays the latest.
    """
    if entry.name != "dag_version":
        return
    stage = stage_of(entry.name)
    cursor.execute(
        sql.SQL(
            """DELETE FROM dag_version v WHERE dag_id IN (SELECT dag_id FROM {}) AND NOT EXISTS (
            SELECT 1 FROM task_instance i WHERE i.dag_id = v.dag_id AND i.dag_version_id = v.id) AND NOT EXISTS (
            SELECT 1 FROM dag_run r WHERE r.dag_id = v.dag_id AND r.created_dag_version_id = v.id)"""
        ).format(stage)
    )
    cursor.execute(
        sql.SQL(
            """UPDATE dag_version v SET version_number = v.version_number + m.highest FROM (
            SELECT dag_id, max(version_number) AS highest FROM (
            SELECT dag_id, version_number FROM {} UNION ALL SELECT dag_id, version_number FROM dag_version) b
            GROUP BY dag_id) m WHERE m.dag_id = v.dag_id AND v.dag_id IN (SELECT dag_id FROM {})"""
        ).format(stage, stage)
    )


def current_log_template(cursor: Any) -> int | None:
    """Id of the template that new runs get: the highest."""
    cursor.execute("SELECT max(id) FROM log_template")
    highest: int | None = cursor.fetchone()[0]
    return highest


def keep_log_template_current(cursor: Any, current: int) -> None:
    """Runs that start here write their logs as this installation says, whatever older templates were brought along."""
    cursor.execute(
        """INSERT INTO log_template (filename, elasticsearch_id, created_at)
        SELECT filename, elasticsearch_id, created_at FROM log_template
        WHERE id = %(current)s AND (SELECT max(id) FROM log_template) <> %(current)s""",
        {"current": current},
    )


def _leave_local(cursor: Any, table: str, same_region: bool, patterns: tuple[str, ...]) -> None:
    """Take out what belongs to one Region: it never crosses over, and never overwrites the target's own value."""
    if not patterns:
        return
    key, stage = sql.Identifier(NAMED[table]), stage_of(table)
    cursor.execute(sql.SQL("SELECT {} FROM {}").format(key, stage))
    local = [name for (name,) in cursor.fetchall() if name is not None and matches(name, patterns)]
    condition = (
        sql.SQL("AND {0} IN (SELECT {0} FROM {1})").format(key, sql.Identifier(table)) if same_region else sql.SQL("")
    )
    cursor.execute(sql.SQL("DELETE FROM {} WHERE {} = ANY (%s) {}").format(stage, key, condition), (local,))


def _unfinished(finished: tuple[str, ...] = policy.FINISHED_RUN) -> sql.Composed:
    """Condition on staged runs, or other rows with a state."""
    return sql.SQL("state IS NULL OR state <> ALL ({})").format(sql.Literal(list(finished)))


def _unfinished_backfill() -> sql.Composed:
    """Condition on staged runs: the process that drove the run is gone, and no scheduler ever looks at it."""
    return sql.SQL("run_type = 'backfill' AND ({})").format(_unfinished())


def _held_by_backfill() -> sql.Composed:
    """Condition on staged task instances: nobody would take up what such a run was at, or was to do again."""
    return sql.SQL(
        "state = ANY ({}) AND (dag_id, run_id) IN (SELECT dag_id, run_id FROM {} WHERE run_type = 'backfill')"
    ).format(sql.Literal(list(policy.HOLDING)), stage_of("dag_run"))


def _reset_in_flight(cursor: Any, entry: TableEntry, airflow_version: str, in_flight: InFlight) -> None:
    executing = sql.SQL("state = ANY ({})").format(sql.Literal(list(policy.EXECUTING)))
    failing = [dag for dag, what in in_flight.dags.items() if what == "fail"]
    rerunning = [dag for dag, what in in_flight.dags.items() if what == "rerun"]
    by_name = sql.SQL("dag_id = ANY ({}::text[])").format(sql.Literal(failing))
    if in_flight.default == "fail":
        by_name = sql.SQL("dag_id <> ALL ({}::text[])").format(sql.Literal(rerunning))
    _set(cursor, entry, FAIL, sql.SQL("{} AND {}").format(executing, by_name))
    # The attempt that was cut off does not count: scheduling it again counts it again.
    counted = sql.SQL("state = ANY ({})").format(sql.Literal(list(policy.counted_attempts(airflow_version))))
    _set(cursor, entry, {"try_number": "GREATEST(try_number - 1, 0)"}, counted)
    _set(cursor, entry, RERUN, executing)


def _set(cursor: Any, entry: TableEntry, values: dict[str, str], condition: sql.Composable) -> None:
    """Update staged rows; columns this Airflow version lacks are passed over."""
    present = {column.name for column in entry.columns}
    settings = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(value))
        for name, value in values.items()
        if name in present
    ]
    if settings:
        cursor.execute(
            sql.SQL("UPDATE {} SET {} WHERE {}").format(stage_of(entry.name), sql.SQL(", ").join(settings), condition)
        )
