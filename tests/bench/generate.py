"""Fill a database of Airflow 2 with as much history as asked for, inside PostgreSQL.

The newest runs of every DAG are the same whatever the size, so that what scheduling looks at (the state) is as large
over a short history as over a long one. Values are unpleasant now and then, as in real environments: backslashes, line
ends, tabs, quotes, characters beyond ASCII, long JSON, NULLs, dates that are infinite.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet

NASTY = [
    "",
    "\\.",
    "\\N",
    "line one\nline two",
    "carriage\r\nreturn\r",
    "tab\there",
    'quote " and \'single\' and "",""',
    "back\\slash\\n not a newline\\",
    "snowman \u2603 and rocket \U0001f680 and e\u0301",
    "\x01\x02\x1f\x7f\u2028\ufeff",
    "%s %(x)s %% {{ macros.ds_add(ds, 1) }}",
    "x" * 900,
]
TASKS_PER_RUN = 10
#: One row in so many has something unpleasant in it.
RARELY = 97
CONNECTIONS, VARIABLES = 50, 200
#: The tables that have rows, so that each comes after those it points to.
FILLED = (
    "log_template",
    "slot_pool",
    "dag",
    "dag_run",
    "trigger",
    "task_instance",
    "job",
    "log",
    "xcom",
    "dag_run_note",
    "task_fail",
    "connection",
    "variable",
)


@dataclass(frozen=True)
class Size:
    """How much there is of everything: 10 task instances a run, 0.3 log rows, 0.2 XComs and 0.1 jobs a task
    instance."""

    task_instances: int
    dags: int = 200

    @property
    def runs(self) -> int:
        return self.task_instances // TASKS_PER_RUN

    @property
    def runs_per_dag(self) -> int:
        return self.runs // self.dags


# r counts the runs of a DAG from its newest on; ids follow the dates, as in a database that grew.
RUNS = """
INSERT INTO dag_run (id, dag_id, queued_at, execution_date, start_date, end_date, state, run_id, external_trigger,
  run_type, conf, data_interval_start, data_interval_end, last_scheduling_decision, dag_hash, log_template_id,
  updated_at, clear_number)
SELECT %(before)s + id, %(prefix)s || 'dag_' || d, date, date, date + interval '1 s',
  CASE WHEN running THEN NULL ELSE date + interval '7 min' END,
  CASE WHEN running THEN 'running' WHEN id %% 11 = 0 THEN 'failed' ELSE 'success' END,
  type || '__' || to_char(date, 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00', type = 'manual', type,
  CASE WHEN type = 'manual' THEN '\\x80059514000000000000007d94288c0162948c0463c3a9095c94752e'::bytea
       ELSE '\\x80057d942e' END,
  date - interval '1 h', date, date + interval '7 min', md5(d::text), (SELECT max(id) FROM log_template),
  date + interval '7 min', id %% 3
FROM (
  SELECT row_number() OVER (ORDER BY n DESC, d) AS id, d, n, n = 0 AND d %% 4 = 0 AND NOT %(gone)s AS running,
    CASE WHEN n IN (1, 3) OR n > 4 AND n %% 10 = 1 THEN 'manual' ELSE 'scheduled' END AS type,
    timestamptz '2026-06-01 00:00Z' - n * interval '1 hour' - d * interval '1 s' AS date
  FROM generate_series(0, %(runs_per_dag)s - 1) n, generate_series(0, %(dags)s - 1) d) runs
ORDER BY id"""

TASK_INSTANCES = """
INSERT INTO task_instance (task_id, dag_id, run_id, map_index, start_date, end_date, duration, state, try_number,
  max_tries, hostname, unixname, job_id, pool, pool_slots, queue, priority_weight, operator, queued_dttm,
  queued_by_job_id, pid, executor_config, updated_at, rendered_map_index, external_executor_id, trigger_id,
  trigger_timeout, next_method, next_kwargs, task_display_name)
SELECT 'task_' || k, r.dag_id, r.run_id, CASE WHEN k = 9 THEN r.id %% 3 ELSE -1 END,
  r.start_date + k * interval '40 s', CASE WHEN open THEN NULL ELSE r.start_date + k * interval '41 s' END,
  k * 1.37 + r.id %% 1000 / 7.0::float8,
  CASE WHEN open THEN (ARRAY['running', 'queued', 'scheduled', NULL, 'deferred'])[k - 4]
       WHEN r.id %% 13 = k THEN 'failed' WHEN r.id %% 17 = k THEN 'skipped' ELSE 'success' END,
  1, 2, 'ip-10-0-' || r.id %% 256 || '-' || k * 20 || '.ec2.internal', 'airflow',
  CASE WHEN k = 0 THEN r.id END, 'default_pool', 1, 'default', 10 - k,
  (ARRAY['PythonOperator', 'BashOperator', 'S3KeySensor', '_PythonDecoratedOperator'])[1 + k %% 4],
  CASE WHEN r.id %% 997 = 0 THEN '-infinity' ELSE r.start_date + k * interval '39 s' END, 1, 100 + r.id %% 30000,
  CASE WHEN (r.id + k) %% 50 = 0 THEN '\\x80059514000000000000007d94288c0162948c0463c3a9095c94752e'::bytea
       ELSE '\\x80057d942e' END,
  r.start_date + k * interval '41 s',
  CASE WHEN (r.id * 10 + k) %% %(rarely)s = 0 THEN left((%(nasty)s)[1 + (r.id + k) %% 12], 250) END,
  md5(r.id || '/' || k)::uuid::text, CASE WHEN open AND k = 9 THEN (r.id - first.id) / 4 + 1 END,
  CASE WHEN open AND k = 9 THEN timestamp '2026-06-02 00:00' END,
  CASE WHEN open AND k = 9 THEN 'execute_complete' END,
  CASE WHEN open AND k = 9 THEN '{"__type": "dict", "__var": {"event": "\\u2603"}}'::json END, 'task_' || k
FROM dag_run r
CROSS JOIN (SELECT min(id) AS id FROM dag_run WHERE state = 'running' AND starts_with(dag_id, %(prefix)s)) first
CROSS JOIN generate_series(0, 9) k
CROSS JOIN LATERAL (SELECT r.state = 'running' AND k > 4 AS open) o
WHERE starts_with(r.dag_id, %(prefix)s) AND r.id > %(after)s
ORDER BY r.id, k"""

DAGS = """
INSERT INTO dag (dag_id, is_paused, is_subdag, is_active, last_parsed_time, fileloc, owners, dag_display_name,
  default_view, schedule_interval, max_active_tasks, max_active_runs, max_consecutive_failed_dag_runs,
  has_task_concurrency_limits, has_import_errors, next_dagrun, next_dagrun_create_after)
SELECT %(prefix)s || 'dag_' || d, %(gone)s OR d %% 5 = 0, false, NOT %(gone)s, now(),
  '/usr/local/airflow/dags/' || d || '.py', 'airflow', 'D\u00e4g ' || d, 'grid', '"@hourly"', 16, 16, 0, false, false,
  timestamptz '2026-06-01 00:00Z' + interval '1 h', timestamptz '2026-06-01 00:00Z' + interval '2 h'
FROM generate_series(0, %(dags)s - 1) d"""

TRIGGERS = """
INSERT INTO trigger (id, classpath, kwargs, created_date)
SELECT d / 4 + 1, 'airflow.providers.standard.triggers.temporal.DateTimeTrigger',
  '{"__var": {"moment": 1780272000.0, "end_from_trigger": false}, "__type": "dict"}', timestamptz '2026-06-01 00:00Z'
FROM generate_series(0, %(dags)s - 1) d WHERE d %% 4 = 0"""

#: Rows of the runs whose ids are higher than `after`.
OF_RUNS = (
    TASK_INSTANCES,
    """
INSERT INTO job (dag_id, state, job_type, start_date, end_date, latest_heartbeat, executor_class, hostname,
  unixname)
SELECT r.dag_id, CASE WHEN r.state = 'running' THEN 'running' ELSE 'success' END, 'LocalTaskJob', r.start_date,
  r.end_date, CASE WHEN r.id %% 997 = 0 THEN 'infinity' ELSE r.end_date END, 'CeleryExecutor',
  'ip-10-0-1-' || r.id %% 256 || '.ec2.internal', 'airflow'
FROM dag_run r WHERE starts_with(r.dag_id, %(prefix)s) AND r.id > %(after)s ORDER BY r.id""",
    """
INSERT INTO log (dttm, dag_id, task_id, map_index, event, execution_date, run_id, owner, owner_display_name, extra,
  try_number)
SELECT CASE WHEN r.id %% 991 = 0 THEN '-infinity'
  ELSE r.start_date + k * interval '1 min' END, r.dag_id, 'task_' || k, -1,
  (ARRAY['running', 'success', 'cli_task_run'])[1 + k], r.execution_date, r.run_id, 'airflow', NULL,
  CASE k WHEN 2 THEN json_build_object('host_name', 'ip-10-0-' || r.id %% 256, 'full_command',
    '[''airflow'', ''tasks'', ''run'', ''' || r.dag_id || ''', ''' || r.run_id
    || ''', ''--local'', ''--subdir'', ''DAGS_FOLDER/dag.py'']')::text
  WHEN 1 THEN CASE WHEN r.id %% %(rarely)s = 0 THEN (%(nasty)s)[1 + r.id %% 12] END END, 1
FROM dag_run r CROSS JOIN generate_series(0, 2) k
WHERE starts_with(r.dag_id, %(prefix)s) AND r.id > %(after)s ORDER BY r.id, k""",
    """
INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)
SELECT r.id, 'task_' || k, -1, 'return_value', r.dag_id, r.run_id, convert_to(CASE
  WHEN (r.id * 2 + k) %% 499 = 0
    THEN (SELECT json_agg(md5((r.id * 1000 + i)::text))::text FROM generate_series(1, 500) i)
  WHEN (r.id + k) %% %(rarely)s = 0 THEN to_json((%(nasty)s)[1 + r.id %% 12])::text
  ELSE '{"rows": ' || r.id * 37 || ', "path": "s3://bucket/' || r.dag_id || '/' || md5(r.id::text) || '.parquet"}' END,
  'UTF8'), r.start_date + k * interval '1 min'
FROM dag_run r CROSS JOIN generate_series(0, 1) k
WHERE starts_with(r.dag_id, %(prefix)s) AND r.id > %(after)s ORDER BY r.id, k""",
)

NOTES = """
INSERT INTO dag_run_note (dag_run_id, content, created_at, updated_at)
SELECT r.id, (%(nasty)s)[1 + r.id %% 12], r.start_date, r.start_date
FROM dag_run r WHERE starts_with(r.dag_id, %(prefix)s) AND r.id %% 50 = 0"""

FAILURES = """
INSERT INTO task_fail (task_id, dag_id, run_id, map_index, start_date, end_date, duration)
SELECT i.task_id, i.dag_id, i.run_id, i.map_index, i.start_date, i.end_date, i.duration::int
FROM task_instance i WHERE starts_with(i.dag_id, %(prefix)s) AND i.state = 'failed' AND i.try_number = 1
AND i.priority_weight = 7"""

#: What happens between two snapshots: 50 runs of as many DAGs end, and 50 others get to know something new.
NEW_RUNS = """
INSERT INTO dag_run (dag_id, queued_at, execution_date, start_date, end_date, state, run_id, external_trigger, run_type,
  conf, data_interval_start, data_interval_end, dag_hash, log_template_id, updated_at, clear_number)
SELECT dag_id, date, date, date, date, 'success',
  'scheduled__after_' || to_char(date, 'YYYY-MM-DD"T"HH24:MI:SS'), false,
  'scheduled', '\\x80057d942e', date, date, md5(dag_id), (SELECT max(id) FROM log_template), date, 0
FROM (SELECT dag_id, max(execution_date) + interval '1 hour' AS date FROM dag_run GROUP BY dag_id) latest
ORDER BY dag_id LIMIT 50"""
CHANGED = (
    """
UPDATE dag_run SET updated_at = now(), last_scheduling_decision = now() WHERE id > %(after)s - 50""",
    """
UPDATE task_instance i SET updated_at = now() FROM dag_run r
WHERE r.id > %(after)s - 50 AND (r.dag_id, r.run_id) = (i.dag_id, i.run_id)""",
)

#: What follows an insert with ids of our own.
SEQUENCES = ("dag_run", "trigger", "connection", "variable")
#: Ids that are left to whoever makes runs while the first id of a history is chosen.
ROOM = 1000


def fill(cursor: Any, size: Size, fernet: Fernet, prefix: str = "") -> None:
    """Fill an empty schema of Airflow 2.10; names begin with `prefix`. The cursor is a superuser's: checks of foreign
    keys, which hold, are left out for speed."""
    values = {**_values(prefix, after=0), "dags": size.dags, "runs_per_dag": size.runs_per_dag}
    _insert(cursor, values, DAGS, RUNS, TRIGGERS, *OF_RUNS, NOTES, FAILURES)
    _add_secrets(cursor, fernet, prefix)
    for table in SEQUENCES:
        cursor.execute(f"SELECT setval('{table}_id_seq', max(id)) FROM {table}")  # noqa: S608  (names of our own)


def add_history(cursor: Any, size: Size, prefix: str) -> None:
    """Add what DAGs whose files are gone leave to a database that is in use: runs that ended, with task instances,
    jobs, log rows and XComs. The DAGs are paused and inactive; names begin with `prefix`. A superuser's cursor."""
    cursor.execute("SELECT nextval('dag_run_id_seq')")
    before = cursor.fetchone()[0] + ROOM
    cursor.execute("SELECT setval('dag_run_id_seq', %s)", (before + size.runs,))  # from here on nobody draws ours
    values = {**_values(prefix, after=before), "before": before, "gone": True}
    _insert(cursor, {**values, "dags": size.dags, "runs_per_dag": size.runs_per_dag}, DAGS, RUNS, *OF_RUNS)


def _insert(cursor: Any, values: dict[str, Any], *statements: str) -> None:
    cursor.execute("SET session_replication_role = replica")
    for statement in statements:
        cursor.execute(statement, values)
    cursor.execute("SET session_replication_role = origin")


def change(cursor: Any) -> None:
    """Let happen what happens between two snapshots; as much every time, whatever history there is."""
    cursor.execute("SELECT max(id) FROM dag_run")
    values = _values("", after=cursor.fetchone()[0])
    for statement in (*CHANGED, NEW_RUNS, *OF_RUNS):
        cursor.execute(statement, values)


def _values(prefix: str, after: int) -> dict[str, Any]:
    return {"prefix": prefix, "after": after, "before": 0, "gone": False, "nasty": NASTY, "rarely": RARELY}


def _add_secrets(cursor: Any, fernet: Fernet, prefix: str) -> None:
    """Connections and variables, encrypted as Airflow does."""
    for number in range(CONNECTIONS):
        password, extra = (
            fernet.encrypt(text.encode()).decode()
            for text in (NASTY[number % len(NASTY)], json.dumps({"n": number, "text": NASTY[number % len(NASTY)]}))
        )
        cursor.execute(
            "INSERT INTO connection (id, conn_id, conn_type, host, login, password, port, is_encrypted,"
            " is_extra_encrypted, extra) VALUES (%s, %s, 'postgres', 'db.internal', 'me', %s, 5432, true, true, %s)",
            (number + 1, f"{prefix}conn_{number}", password, extra),
        )
    for number in range(VARIABLES):
        cursor.execute(
            "INSERT INTO variable (id, key, val, is_encrypted) VALUES (%s, %s, %s, true)",
            (
                number + 1,
                f"{prefix}var_{number}",
                fernet.encrypt(NASTY[number % len(NASTY)].encode()).decode(),
            ),
        )
