"""What `airflow db clean` deletes, table by table, over all Airflow versions: by which date, and what it keeps.

A rule for a table or column that an Airflow version lacks has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Clean:
    """How old rows of one table are told.

    dates: columns that say how old a row is, the first that the table has; latest_of: the latest row for each value of
    this column is kept, whatever its age; among: which rows count for that, by a column that the table has; only: rows
    that may go at all.
    """

    dates: tuple[str, ...]
    latest_of: str | None = None
    among: Mapping[str, str] | None = None
    only: str = "true"


#: By the name of the table.
RULES: Mapping[str, Clean] = {
    "_xcom_archive": Clean(("timestamp",)),
    "asset_event": Clean(("timestamp",)),
    "callback_request": Clean(("created_at",)),
    "celery_taskmeta": Clean(("date_done",)),
    "celery_tasksetmeta": Clean(("date_done",)),
    "connection_test_request": Clean(("updated_at",), only="t.state IN ('success', 'failed')"),
    "dag": Clean(("last_parsed_time",)),
    "dag_run": Clean(
        ("start_date",),
        latest_of="dag_id",
        among={"external_trigger": "NOT external_trigger", "run_type": "run_type <> 'manual'"},
    ),
    "dag_version": Clean(("created_at",), latest_of="dag_id"),
    "dataset_event": Clean(("timestamp",)),
    "deadline": Clean(("deadline_time", "deadline")),
    "import_error": Clean(("timestamp",)),
    "job": Clean(("latest_heartbeat",)),
    "log": Clean(("dttm",)),
    "revoked_token": Clean(("exp",)),
    "session": Clean(("expiry",)),
    "sla_miss": Clean(("timestamp",)),
    "task_fail": Clean(("start_date",)),
    "task_instance": Clean(("start_date",)),
    "task_instance_history": Clean(("start_date",)),
    "task_reschedule": Clean(("start_date",)),
    "task_state_store": Clean(("expires_at",)),
    "trigger": Clean(("created_date",)),
    "xcom": Clean(("timestamp",)),
}
