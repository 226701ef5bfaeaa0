"""What the comparison knows about Airflow's tables: what identifies a row, what refers to what, what holds secrets.

Written from Airflow's schema, not from the snapshot engine's policy: where the two disagree, the comparison fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Ids of the metadata DAGs, and names of variables and connections that belong to this project, start so.
OWN_PREFIX = "continuity_"

IN_FLIGHT = frozenset({"running", "queued", "scheduled", "restarting"})
FINISHED_RUN = frozenset({"success", "failed"})

#: Tables whose rows Airflow makes anew from the DAG files, or that mean nothing in another environment.
NOT_CARRIED: Mapping[str, str] = {
    "alembic_version": "the target has migrated its own schema",
    "alembic_version_fab": "the target has migrated its own schema",
    "ab_register_user": "half-finished self-registrations",
    "callback_request": "calls back into a DAG processor that is gone",
    "dag_code": "made anew by parsing",
    "dag_owner_attributes": "made anew by parsing",
    "dag_pickle": "made anew by parsing",
    "dag_priority_parsing_request": "a request to a DAG processor that is gone",
    "dag_schedule_dataset_alias_reference": "made anew by parsing",
    "dag_schedule_dataset_reference": "made anew by parsing",
    "dag_tag": "made anew by parsing",
    "dag_warning": "made anew by parsing",
    "import_error": "made anew by parsing",
    "celery_taskmeta": "results of an executor that is gone",
    "celery_tasksetmeta": "results of an executor that is gone",
    "revoked_token": "tokens of another web server",
    "serialized_dag": "made anew by parsing",
    "session": "browser sessions, signed with another key",
    "task_outlet_dataset_reference": "made anew by parsing",
}


@dataclass(frozen=True)
class Table:
    """How rows of one table are told apart and compared."""

    #: Columns that identify a row, references among them by what they refer to. Empty: the id, less the shift.
    key: tuple[str, ...] = ()
    #: Surrogate id column. Its value is compared only where `shifted`.
    serial: str | None = None
    #: Every id must differ from the source's by one constant.
    shifted: bool = False
    #: References that are not declared as foreign keys: column -> table (by its surrogate id).
    references: Mapping[str, str] = field(default_factory=dict)
    #: Columns with Fernet tokens -> the column that says whether the value is one ("" = unless it starts with "{").
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: Columns not compared at all.
    ignored: tuple[str, ...] = ()
    #: Column with the DAG's id.
    dag: str | None = None
    #: Column with the run's id, where rows belong to one run.
    run: str | None = None
    #: Column with the time the row was made: a row that is not the source's must be younger than the target itself.
    made_at: str | None = None
    #: Every row must be there before going live.
    all_state: bool = False
    #: Of unfinished runs and of the latest run of each DAG, every row must be there before going live.
    run_state: bool = False


_TI_KEY = ("dag_id", "task_id", "run_id", "map_index")
_JOBS = {"job_id": "job", "queued_by_job_id": "job"}

TABLES: Mapping[str, Table] = {
    "ab_permission": Table(key=("name",), serial="id", all_state=True),
    "ab_permission_view": Table(key=("permission_id", "view_menu_id"), serial="id", all_state=True),
    "ab_permission_view_role": Table(key=("permission_view_id", "role_id"), serial="id", all_state=True),
    "ab_role": Table(key=("name",), serial="id", all_state=True),
    "ab_user": Table(key=("username",), serial="id", all_state=True),
    "ab_user_role": Table(key=("user_id", "role_id"), serial="id", all_state=True),
    "ab_view_menu": Table(key=("name",), serial="id", all_state=True),
    "connection": Table(
        key=("conn_id",),
        serial="id",
        secrets={"password": "is_encrypted", "extra": "is_extra_encrypted"},
        all_state=True,
    ),
    "dag": Table(key=("dag_id",), dag="dag_id", all_state=True),
    "dag_run": Table(
        key=("dag_id", "run_id"),
        serial="id",
        shifted=True,
        references={"creating_job_id": "job"},
        dag="dag_id",
        run="run_id",
        run_state=True,
    ),
    "dag_run_note": Table(key=("dag_run_id",)),
    "dagrun_dataset_event": Table(key=("dag_run_id", "event_id")),
    "dataset": Table(key=("uri",), serial="id", all_state=True),
    "dataset_alias": Table(key=("name",), serial="id", all_state=True),
    "dataset_alias_dataset": Table(key=("alias_id", "dataset_id"), all_state=True),
    "dataset_alias_dataset_event": Table(key=("alias_id", "event_id")),
    "dataset_dag_run_queue": Table(
        key=("dataset_id", "target_dag_id"), dag="target_dag_id", made_at="created_at", all_state=True
    ),
    "dataset_event": Table(
        serial="id", shifted=True, references={"dataset_id": "dataset"}, dag="source_dag_id", made_at="timestamp"
    ),
    "job": Table(serial="id", shifted=True, dag="dag_id", made_at="start_date"),
    "log": Table(serial="id", shifted=True, dag="dag_id", made_at="dttm"),
    "log_template": Table(key=("filename", "elasticsearch_id"), serial="id", ignored=("created_at",), all_state=True),
    "rendered_task_instance_fields": Table(key=_TI_KEY, dag="dag_id", run="run_id"),
    "sla_miss": Table(key=("dag_id", "task_id", "execution_date"), dag="dag_id", made_at="timestamp"),
    "slot_pool": Table(key=("pool",), serial="id", all_state=True),
    "task_fail": Table(serial="id", shifted=True, dag="dag_id", run="run_id"),
    "task_instance": Table(
        key=_TI_KEY,
        references={**_JOBS, "trigger_id": "trigger"},
        dag="dag_id",
        run="run_id",
        run_state=True,
    ),
    "task_instance_history": Table(
        key=(*_TI_KEY, "try_number"),
        serial="id",
        shifted=True,
        references={**_JOBS, "trigger_id": "trigger"},
        dag="dag_id",
        run="run_id",
    ),
    "task_instance_note": Table(key=_TI_KEY, dag="dag_id", run="run_id"),
    "task_map": Table(key=_TI_KEY, dag="dag_id", run="run_id", run_state=True),
    "task_reschedule": Table(serial="id", shifted=True, dag="dag_id", run="run_id", run_state=True),
    "trigger": Table(
        serial="id",
        shifted=True,
        references={"triggerer_id": "job"},
        secrets={"kwargs": ""},
        made_at="created_date",
    ),
    "variable": Table(key=("key",), serial="id", secrets={"val": "is_encrypted"}, all_state=True),
    "xcom": Table(
        key=(*_TI_KEY, "key"), references={"dag_run_id": "dag_run"}, dag="dag_id", run="run_id", run_state=True
    ),
}
