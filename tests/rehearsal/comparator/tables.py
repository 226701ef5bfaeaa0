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
FINISHED_TASK = FINISHED_RUN | {"skipped", "upstream_failed", "removed"}


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
    #: Column with the UUID of a task instance that rows belong to.
    instance: str | None = None
    #: Column with the UUID of a DAG version that rows belong to. Of the version that unfinished or new runs take, every
    #: row must be there before going live.
    version: str | None = None
    #: Column with the time the row was made: a row that is not the source's must be younger than the target itself.
    made_at: str | None = None
    #: Every row must be there before going live.
    all_state: bool = False
    #: Of unfinished runs and of the latest run of each DAG, every row must be there before going live.
    run_state: bool = False


#: What identifies a task instance.
TI_KEY = ("dag_id", "task_id", "run_id", "map_index")
JOBS = {"job_id": "job", "queued_by_job_id": "job"}

#: Tables that are alike in Airflow 2 and 3.
COMMON: Mapping[str, Table] = {
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
        references={"creating_job_id": "job", "scheduled_by_job_id": "job"},
        dag="dag_id",
        run="run_id",
        run_state=True,
    ),
    "job": Table(serial="id", shifted=True, dag="dag_id", made_at="start_date"),
    "log": Table(serial="id", shifted=True, dag="dag_id", made_at="dttm"),
    "log_template": Table(key=("filename", "elasticsearch_id"), serial="id", ignored=("created_at",), all_state=True),
    "rendered_task_instance_fields": Table(key=TI_KEY, dag="dag_id", run="run_id"),
    "slot_pool": Table(key=("pool",), serial="id", all_state=True),
    "task_instance": Table(
        key=TI_KEY,
        references={**JOBS, "trigger_id": "trigger"},
        dag="dag_id",
        run="run_id",
        run_state=True,
    ),
    "task_map": Table(key=TI_KEY, dag="dag_id", run="run_id", run_state=True),
    "trigger": Table(
        serial="id",
        shifted=True,
        references={"triggerer_id": "job"},
        secrets={"kwargs": ""},
        made_at="created_date",
    ),
    "variable": Table(key=("key",), serial="id", secrets={"val": "is_encrypted"}, all_state=True),
    "xcom": Table(
        key=(*TI_KEY, "key"), references={"dag_run_id": "dag_run"}, dag="dag_id", run="run_id", run_state=True
    ),
}


@dataclass(frozen=True)
class Schema:
    """What is known about the tables of one major version of Airflow."""

    tables: Mapping[str, Table]
    #: Tables whose rows Airflow makes anew from the DAG files, or that mean nothing in another environment, and why.
    not_carried: Mapping[str, str]
    #: Column of `dag_run` by whose time runs follow each other.
    run_order: str
    #: Table of what data-aware scheduling was told, and the tables that link its rows to runs and to aliases.
    events: str
    run_events: str
    alias_events: str
