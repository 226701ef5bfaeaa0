"""The schemas of Airflow 2 and 3, as far as the comparison must know them: what they have beyond the common tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.rehearsal.comparator.dump import Dump
from tests.rehearsal.comparator.tables import COMMON, JOBS, TI_KEY, Schema, Table

_PARSED = "made anew by parsing"
_GONE = "a request to a DAG processor that is gone"
_EXECUTOR = "results of an executor that is gone"
_MIGRATED = "the target has migrated its own schema"
_NOT_CARRIED: Mapping[str, str] = {
    "alembic_version": _MIGRATED,
    "alembic_version_fab": _MIGRATED,
    "ab_register_user": "half-finished self-registrations",
    "callback_request": "calls back into a DAG processor that is gone",
    "dag_owner_attributes": _PARSED,
    "dag_priority_parsing_request": _GONE,
    "dag_tag": _PARSED,
    "dag_warning": _PARSED,
    "import_error": _PARSED,
    "celery_taskmeta": _EXECUTOR,
    "celery_tasksetmeta": _EXECUTOR,
    "revoked_token": "tokens of another web server",
    "session": "browser sessions, signed with another key",
}

AIRFLOW_2 = Schema(
    run_order="execution_date",
    events="dataset_event",
    run_events="dagrun_dataset_event",
    alias_events="dataset_alias_dataset_event",
    not_carried={
        **_NOT_CARRIED,
        "dag_code": _PARSED,
        "dag_pickle": _PARSED,
        "dag_schedule_dataset_alias_reference": _PARSED,
        "dag_schedule_dataset_reference": _PARSED,
        "serialized_dag": _PARSED,
        "task_outlet_dataset_reference": _PARSED,
    },
    tables={
        **COMMON,
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
        "sla_miss": Table(key=("dag_id", "task_id", "execution_date"), dag="dag_id", made_at="timestamp"),
        "task_fail": Table(serial="id", shifted=True, dag="dag_id", run="run_id"),
        "task_instance_history": Table(
            key=(*TI_KEY, "try_number"),
            serial="id",
            shifted=True,
            references={**JOBS, "trigger_id": "trigger"},
            dag="dag_id",
            run="run_id",
        ),
        "task_instance_note": Table(key=TI_KEY, dag="dag_id", run="run_id"),
        "task_reschedule": Table(serial="id", shifted=True, dag="dag_id", run="run_id", run_state=True),
    },
)


def _reference(*key: str) -> Table:
    """Which DAG takes or makes what: parsing makes it anew, but what nothing refers to is switched off before."""
    return Table(key=key, dag="dag_id", all_state=True)


_NOTED_BY = MappingProxyType({"user_id": "ab_user"})

AIRFLOW_3 = Schema(
    run_order="run_after",
    events="asset_event",
    run_events="dagrun_asset_event",
    alias_events="asset_alias_asset_event",
    not_carried={
        **_NOT_CARRIED,
        "asset_trigger": _PARSED,
        "asset_watcher": _PARSED,
        "connection_test_request": _GONE,
    },
    tables={
        **COMMON,
        "ab_group": Table(key=("name",), serial="id", all_state=True),
        "ab_group_role": Table(key=("group_id", "role_id"), serial="id", all_state=True),
        "ab_user_group": Table(key=("user_id", "group_id"), serial="id", all_state=True),
        "asset": Table(key=("name", "uri"), serial="id", all_state=True),
        "asset_active": Table(key=("name", "uri"), all_state=True),
        "asset_alias": Table(key=("name",), serial="id", all_state=True),
        "asset_alias_asset": Table(key=("alias_id", "asset_id"), all_state=True),
        "asset_alias_asset_event": Table(key=("alias_id", "event_id")),
        "asset_dag_run_queue": Table(
            key=("asset_id", "target_dag_id"), dag="target_dag_id", made_at="created_at", all_state=True
        ),
        "asset_event": Table(
            serial="id", shifted=True, references={"asset_id": "asset"}, dag="source_dag_id", made_at="timestamp"
        ),
        "asset_state_store": Table(key=("asset_id", "key"), all_state=True),
        "backfill": Table(serial="id", shifted=True, dag="dag_id", made_at="created_at", all_state=True),
        "backfill_dag_run": Table(serial="id", shifted=True, all_state=True),
        "dag_bundle": Table(key=("name",), all_state=True),
        "dag_bundle_team": Table(key=("dag_bundle_name", "team_name"), all_state=True),
        "dag_code": Table(key=("dag_version_id",), version="dag_version_id", dag="dag_id", made_at="created_at"),
        "dag_favorite": Table(key=("user_id", "dag_id"), references=_NOTED_BY, dag="dag_id", all_state=True),
        "dag_run_note": Table(key=("dag_run_id",), references=_NOTED_BY),
        "dag_schedule_asset_alias_reference": _reference("alias_id", "dag_id"),
        "dag_schedule_asset_name_reference": _reference("name", "dag_id"),
        "dag_schedule_asset_reference": _reference("asset_id", "dag_id"),
        "dag_schedule_asset_uri_reference": _reference("uri", "dag_id"),
        "dag_version": Table(key=("dag_id", "version_number"), dag="dag_id", made_at="created_at", all_state=True),
        "dagrun_asset_event": Table(key=("dag_run_id", "event_id")),
        "serialized_dag": Table(key=("dag_version_id",), version="dag_version_id", dag="dag_id", made_at="created_at"),
        "task_inlet_asset_reference": _reference("asset_id", "dag_id", "task_id"),
        "task_instance_history": Table(
            key=(*TI_KEY, "try_number"),
            references={**JOBS, "trigger_id": "trigger"},
            dag="dag_id",
            run="run_id",
        ),
        "task_instance_note": Table(key=("ti_id",), references=_NOTED_BY, instance="ti_id"),
        "task_outlet_asset_reference": _reference("asset_id", "dag_id", "task_id"),
        "task_reschedule": Table(serial="id", shifted=True, instance="ti_id", run_state=True),
        "task_state_store": Table(serial="id", shifted=True, dag="dag_id", run="run_id", run_state=True),
        "team": Table(key=("name",), all_state=True),
    },
)


def schema_of(dump: Dump) -> Schema:
    """The schema that a dump is of."""
    return AIRFLOW_3 if "dag_version" in dump.tables else AIRFLOW_2
