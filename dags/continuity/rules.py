"""What each table of the metadata database means, over all Airflow versions: whether it is carried, and why.

Rules name columns only where a name is the only way to know; a rule for a table or column that an Airflow version
lacks has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rule:
    """How one table is treated.

    verdict: `carry`, `sealed` (holds secrets) or `skip`; why: the reason, for people.
    phase: `state`, `history`, or `split` (by the state runs).
    key: what makes two rows the same thing in two environments; rows the target already has are then merged, not added.
    overwrite: columns that the snapshot wins where both have the row; None means all, () none.
    kept: rows that the target has beyond the snapshot stay, also where that replaces what is there.
    owner: the restored rows are the only ones their owner (this column) has, as with the permissions of a role.
    references: columns that hold another table's id without a foreign key saying so; a text holds it as digits.
    inside: column of `references` that is JSON -> the member of its object, or of each of its objects, with the id.
    secret: encrypted column -> the flag column that says so (None: none says so, a cipher text is known by its form).
    """

    verdict: str = "carry"
    why: str = ""
    phase: str = "state"
    key: tuple[str, ...] = ()
    overwrite: tuple[str, ...] | None = None
    owner: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str | None] = field(default_factory=dict)
    kept: bool = False

    @property
    def gives_way(self) -> bool:
        """Whether, of things known by their names, those that a replacing snapshot lacks go."""
        return bool(self.key) and not self.kept


def _carry(
    why: str,
    phase: str = "state",
    *,
    references: Mapping[str, str] | None = None,
    inside: Mapping[str, str] | None = None,
) -> Rule:
    return Rule(why=why, phase=phase, references=references or {}, inside=inside or {})


def _named(
    why: str,
    *key: str,
    overwrite: tuple[str, ...] | None = None,
    owner: str | None = None,
    references: Mapping[str, str] | None = None,
    kept: bool = False,
) -> Rule:
    """A thing that both environments may have, known by a name of its own."""
    kept = kept or why == ACCESS
    return Rule(why=why, key=key, overwrite=overwrite, owner=owner, references=references or {}, kept=kept)


def _skip(why: str) -> Rule:
    return Rule("skip", why)


RUN = "what ran and what is to run: scheduling goes by it"
OF_RUN = "belongs to a run"
ACCESS = "who may do what; people set it up"
SET_UP = "people set it up"
ASSETS = "data-aware scheduling goes by it"
VERSIONED = "runs point to the version of their DAG, and the parser adds none while the DAG is the same"
REFERRED = "an asset that nothing refers to is switched off, and its state deleted, before the DAGs are parsed"
REGENERATED = "Airflow regenerates it when it parses the DAGs"
BELONGS_TO_INSTALLATION = "it belongs to one installation, not to what runs on it"
OF_EXECUTOR = "results of the executor, which end with its workers"
JOB_OF_TASK = {"job_id": "job", "queued_by_job_id": "job", "trigger_id": "trigger"}

RULES: Mapping[str, Rule] = {
    # Runs and what hangs on them.
    "dag_run": _carry(RUN, "split", references={"creating_job_id": "job", "scheduled_by_job_id": "job"}),
    "task_instance": _carry(RUN, "split", references=JOB_OF_TASK),
    "task_instance_history": _carry(OF_RUN, "split", references=JOB_OF_TASK),
    "task_reschedule": _carry("a sensor counts its time-out from the first one", "split"),
    "task_map": _carry("mapped tasks expand by it", "split"),
    "task_fail": _carry(OF_RUN, "split"),
    "task_state_store": _carry("what tasks keep from one attempt to the next", "split"),
    "xcom": _carry("tasks pull it", "split", references={"dag_run_id": "dag_run"}),
    "rendered_task_instance_fields": _carry(OF_RUN, "split"),
    "dag_run_note": _carry(OF_RUN, "split", references={"user_id": "ab_user"}),
    "task_instance_note": _carry(OF_RUN, "split", references={"user_id": "ab_user"}),
    "sla_miss": _carry("a missed deadline is told once", "split"),
    "hitl_detail": _carry(
        "what a task instance asks people, and their answer",
        "split",
        references={"responded_by": "ab_user", "assignees": "ab_user"},
        inside={"responded_by": "id", "assignees": "id"},
    ),
    "hitl_detail_history": _carry(
        OF_RUN,
        "split",
        references={"responded_by": "ab_user", "assignees": "ab_user"},
        inside={"responded_by": "id", "assignees": "id"},
    ),
    "backfill": _carry("the scheduler runs backfills of Airflow 3"),
    "backfill_dag_run": _carry("the scheduler runs backfills of Airflow 3", "split"),
    "deadline": _carry("a run that is late is told once", "split"),
    "callback": _carry(
        "what a deadline does when it is missed", "split", references={"data": "dag_run"}, inside={"data": "dag_run_id"}
    ),
    "job": _carry("runs and task instances name theirs", "history"),
    "log": _carry("the audit log", "history"),
    # Data-aware scheduling.
    "dataset": _named(ASSETS, "uri"),
    "dataset_alias": _named(ASSETS, "name"),
    "dataset_alias_dataset": _named(ASSETS, "alias_id", "dataset_id"),
    "dataset_event": _carry(ASSETS, "split", references={"dataset_id": "dataset"}),
    "dataset_alias_dataset_event": _carry(ASSETS, "split"),
    "dagrun_dataset_event": _carry(ASSETS, "split"),
    "dataset_dag_run_queue": _named(ASSETS, "dataset_id", "target_dag_id"),
    "asset": _named(ASSETS, "name", "uri"),
    "asset_active": _named(REFERRED, "name", "uri"),
    "asset_alias": _named(ASSETS, "name"),
    "asset_alias_asset": _named(ASSETS, "alias_id", "asset_id"),
    "asset_event": _carry(ASSETS, "split", references={"asset_id": "asset"}),
    "asset_alias_asset_event": _carry(ASSETS, "split"),
    "dagrun_asset_event": _carry(ASSETS, "split"),
    "asset_dag_run_queue": _named(ASSETS, "asset_id", "target_dag_id"),
    "asset_partition_dag_run": _carry(ASSETS, "split"),
    "partitioned_asset_key_log": _carry(
        ASSETS,
        "split",
        references={
            "asset_id": "asset",
            "asset_event_id": "asset_event",
            "asset_partition_dag_run_id": "asset_partition_dag_run",
        },
    ),
    "asset_state_store": _named("what tasks and watchers keep of an asset", "asset_id", "key"),
    "dag_schedule_asset_reference": _named(
        "the first run it triggers looks for events from its creation on; " + REFERRED, "asset_id", "dag_id"
    ),
    "dag_schedule_asset_alias_reference": _named(REFERRED, "alias_id", "dag_id"),
    "dag_schedule_asset_name_reference": _named(REFERRED, "name", "dag_id"),
    "dag_schedule_asset_uri_reference": _named(REFERRED, "uri", "dag_id"),
    "task_outlet_asset_reference": _named(REFERRED, "asset_id", "dag_id", "task_id"),
    "task_inlet_asset_reference": _named(REFERRED, "asset_id", "dag_id", "task_id"),
    # DAGs and their versions.
    "dag": _named("the paused flag; runs belong to it", "dag_id", overwrite=("is_paused",), kept=True),
    "dag_bundle": _named(VERSIONED, "name", overwrite=(), kept=True),
    "dag_version": _carry(VERSIONED),
    "dag_favorite": _named(SET_UP, "user_id", "dag_id", references={"user_id": "ab_user"}),
    "log_template": _named("runs name where their logs are", "filename", "elasticsearch_id", overwrite=(), kept=True),
    # Secrets.
    "connection": Rule(
        "sealed", SET_UP, key=("conn_id",), secret={"password": "is_encrypted", "extra": "is_extra_encrypted"}
    ),
    "variable": Rule("sealed", SET_UP, key=("key",), secret={"val": "is_encrypted"}),
    "trigger": Rule(
        "sealed", "deferred task instances wait for it", references={"triggerer_id": "job"}, secret={"kwargs": None}
    ),
    # What people set up.
    "slot_pool": _named(SET_UP, "pool"),
    "team": _named(SET_UP, "name"),
    "dag_bundle_team": _named(SET_UP, "dag_bundle_name"),
    "ab_permission": _named(ACCESS, "name"),
    "ab_view_menu": _named(ACCESS, "name"),
    "ab_permission_view": _named(ACCESS, "permission_id", "view_menu_id"),
    "ab_role": _named(ACCESS, "name"),
    "ab_permission_view_role": _named(ACCESS, "permission_view_id", "role_id", owner="role_id"),
    "ab_user": _named(ACCESS, "username"),
    "ab_user_role": _named(ACCESS, "user_id", "role_id", owner="user_id"),
    "ab_group": _named(ACCESS, "name"),
    "ab_group_role": _named(ACCESS, "group_id", "role_id", owner="group_id"),
    "ab_user_group": _named(ACCESS, "user_id", "group_id", owner="user_id"),
    # Left out.
    "serialized_dag": _skip(REGENERATED),
    "dag_code": _skip(REGENERATED),
    "dag_tag": _skip(REGENERATED),
    "dag_owner_attributes": _skip(REGENERATED),
    "dag_warning": _skip(REGENERATED),
    "dag_pickle": _skip(REGENERATED),
    "import_error": _skip(REGENERATED),
    "dag_schedule_dataset_reference": _skip(REGENERATED),
    "dag_schedule_dataset_alias_reference": _skip(REGENERATED),
    "task_outlet_dataset_reference": _skip(REGENERATED),
    "asset_trigger": _skip(REGENERATED + ", with the triggers of its watchers"),
    "asset_watcher": _skip(REGENERATED + ", with the triggers of its watchers"),
    "dag_priority_parsing_request": _skip(BELONGS_TO_INSTALLATION),
    "callback_request": _skip(BELONGS_TO_INSTALLATION),
    "connection_test_request": _skip(BELONGS_TO_INSTALLATION),
    "session": _skip(BELONGS_TO_INSTALLATION),
    "ab_register_user": _skip(BELONGS_TO_INSTALLATION),
    "revoked_token": _skip(BELONGS_TO_INSTALLATION),
    "celery_taskmeta": _skip(OF_EXECUTOR),
    "celery_tasksetmeta": _skip(OF_EXECUTOR),
}

#: Where DAGs have versions (since Airflow 3), what was parsed belongs to a version, and is part of history.
RULES_WITH_VERSIONS: Mapping[str, Rule] = {
    **RULES,
    "serialized_dag": _carry(VERSIONED, "split"),
    "dag_code": _carry(VERSIONED, "split"),
    "deadline_alert": _carry("deadlines name theirs", "split"),
}
