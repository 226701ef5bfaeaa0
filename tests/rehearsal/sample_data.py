"""A small metadata database with nasty values, and a right restore of it, for the tests of the comparator."""

# ruff: noqa: S608 - the statements are made of constants of this file
from __future__ import annotations

from cryptography.fernet import Fernet

NASTY = "line 1\r\nline 2\t'quotes' \"double\" \\. \\N \\\\ naïve 東京 🛰"
SECRETS = {"plain_secret": "hunter2", "nasty": NASTY}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _token(key: str, text: str) -> str:
    return _literal(Fernet(key).encrypt(text.encode()).decode())


def _run(number: int, dag_id: str, run_id: str, state: str) -> str:
    return f"""INSERT INTO dag_run (id, dag_id, execution_date, state, run_id, run_type, creating_job_id,
            log_template_id, conf)
        VALUES ({number}, '{dag_id}', timestamptz '2026-01-0{number} 00:00:00+00', '{state}', '{run_id}', 'scheduled',
            3, (SELECT max(id) FROM log_template), '\\x8005004e2e')"""


def _instance(dag_id: str, run_id: str, task_id: str, state: str, *, index: int = -1, trigger: str = "NULL") -> str:
    process = "4242" if state == "running" else "NULL"
    return f"""INSERT INTO task_instance (dag_id, run_id, task_id, map_index, state, try_number, max_tries, hostname,
            pool, pool_slots, job_id, pid, trigger_id, trigger_timeout, start_date, executor_config)
        VALUES ('{dag_id}', '{run_id}', '{task_id}', {index}, '{state}', 1, 2, 'worker-1',
            'default_pool', 1, 4, {process}, {trigger}, '2026-01-04', '2026-01-03 00:00:01.25+00', '\\x80057d942e')"""


def source_statements(key: str) -> list[str]:
    """SQL that fills a freshly migrated database."""
    dags = [
        f"INSERT INTO dag (dag_id, is_paused, is_active, max_active_tasks, has_task_concurrency_limits, "
        f"max_consecutive_failed_dag_runs) VALUES ('{dag_id}', {paused}, true, 16, false, 0)"
        for dag_id, paused in (("reports", False), ("dormant", True), ("continuity_snapshot", False))
    ]
    variables = [
        f"INSERT INTO variable (key, val, description, is_encrypted) VALUES ('{name}', {_token(key, text)}, "
        f"{_literal(NASTY)}, true)"
        for name, text in SECRETS.items()
    ]
    return [
        *dags,
        *variables,
        "INSERT INTO variable (key, val, is_encrypted) VALUES ('continuity_own', 'x', false)",
        "INSERT INTO connection (conn_id, conn_type, host, schema, password, extra, is_encrypted, is_extra_encrypted) "
        f"VALUES ('warehouse', 'postgres', '', NULL, {_token(key, 'p@ss')}, {_token(key, '{}')}, true, true)",
        "INSERT INTO slot_pool (pool, slots, description, include_deferred) VALUES ('narrow', 1, NULL, false)",
        "INSERT INTO job (id, dag_id, state, job_type, start_date) VALUES (3, NULL, 'running', 'SchedulerJob', "
        "'2026-01-01 00:00:00+00'), (4, 'reports', 'success', 'LocalTaskJob', '2026-01-02 00:00:00+00')",
        _run(1, "reports", "scheduled__1", "success"),
        _run(2, "reports", "scheduled__2", "success"),
        _run(3, "reports", "scheduled__3", "running"),
        _run(4, "continuity_snapshot", "continuity__1", "running"),
        f"INSERT INTO trigger (id, classpath, kwargs, created_date, triggerer_id) VALUES (8, 'some.Trigger', "
        f"{_token(key, '{}')}, '2026-01-03 00:00:02+00', 3)",
        _instance("reports", "scheduled__1", "fast", "success"),
        _instance("reports", "scheduled__2", "fast", "success"),
        *(_instance("reports", "scheduled__3", "mapped", "success", index=index) for index in range(3)),
        _instance("reports", "scheduled__3", "slow", "running"),
        _instance("reports", "scheduled__3", "waiting", "deferred", trigger="8"),
        _instance("continuity_snapshot", "continuity__1", "snapshot", "running"),
        "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp) VALUES "
        "(1, 'reports', 'scheduled__1', 'fast', -1, 'return_value', '\\x00ff5c2e0a', '2026-01-03 00:00:02+00'),"
        "(3, 'reports', 'scheduled__3', 'mapped', 0, 'other', '\\x7b7d', '2026-01-03 00:00:02+00')",
        "INSERT INTO dag_run_note (dag_run_id, content, created_at, updated_at) VALUES (1, 'noted', now(), now())",
        f"INSERT INTO log (id, dttm, event, dag_id, extra) VALUES (1, '2026-01-01 00:00:00+00', 'nasty', NULL, "
        f"{_literal(NASTY)}), (2, '2026-01-01 00:00:01+00', 'x', 'reports', ''), "
        "(3, '2026-01-01 00:00:02+00', 'x', 'continuity_snapshot', NULL)",
        "INSERT INTO dataset (id, uri, extra, created_at, updated_at) "
        "VALUES (5, 's3://a/b', '{}', '2026-01-01', '2026-01-01')",
        "INSERT INTO dataset_event (id, dataset_id, extra, source_dag_id, source_task_id, source_run_id, timestamp) "
        "VALUES (6, 5, '{}', 'reports', 'fast', 'scheduled__2', '2026-01-02')",
        "INSERT INTO dataset_dag_run_queue (dataset_id, target_dag_id, created_at) VALUES (5, 'dormant', '2026-01-02')",
    ]


def restored_statements(target_key: str) -> list[str]:
    """SQL that turns a copy of the source into what a right restore leaves, and adds what a target makes itself."""
    encrypted = [
        f"UPDATE variable SET val = {_token(target_key, text)} WHERE key = '{name}'" for name, text in SECRETS.items()
    ]
    return [
        *encrypted,
        f"UPDATE connection SET password = {_token(target_key, 'p@ss')}, extra = {_token(target_key, '{}')}",
        f"UPDATE trigger SET id = id + 40, kwargs = {_token(target_key, '{}')}, triggerer_id = NULL",
        "DELETE FROM task_instance WHERE dag_id LIKE 'continuity%'",
        "DELETE FROM dag_run WHERE dag_id LIKE 'continuity%'",
        "DELETE FROM log WHERE dag_id LIKE 'continuity%'",
        "UPDATE dag_run SET id = id + 1000, creating_job_id = creating_job_id + 500",
        "UPDATE xcom SET dag_run_id = dag_run_id + 1000",
        "UPDATE dag_run_note SET dag_run_id = dag_run_id + 1000",
        "UPDATE job SET id = id + 500",
        "UPDATE job SET state = 'failed', end_date = start_date WHERE state = 'running'",
        "UPDATE task_instance SET job_id = job_id + 500, trigger_id = trigger_id + 40",
        "UPDATE task_instance SET state = NULL, job_id = NULL, pid = NULL, hostname = '', start_date = NULL, "
        "try_number = try_number - 1 "
        "WHERE state = 'running'",
        "UPDATE log SET id = id + 70",
        "UPDATE dataset_event SET id = id + 9, dataset_id = 25",
        "UPDATE dataset SET id = 25",
        "UPDATE dataset_dag_run_queue SET dataset_id = 25",
        "INSERT INTO variable (key, val, is_encrypted) VALUES ('continuity_restore', '{}', false)",
        "INSERT INTO job (id, state, job_type, start_date) "
        "VALUES (1, 'running', 'SchedulerJob', '2026-06-01 00:00:01+00')",
        "INSERT INTO log (id, dttm, event) VALUES (1, '2026-06-01 00:00:01+00', 'cli_scheduler')",
    ]


def restored_before_live() -> list[str]:
    """SQL that takes a restored database back to before it went live."""
    return [
        "DELETE FROM trigger",
        "UPDATE task_instance SET trigger_id = NULL",
        "UPDATE task_instance SET trigger_timeout = NULL WHERE state = 'deferred'",
        "UPDATE dag SET is_paused = true",
    ]
