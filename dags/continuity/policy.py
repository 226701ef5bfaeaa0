"""What to do with each table. The catalog says what is there; this says what it means.

A table that is not named here is carried and reported. Rules name columns only where a name is the only way to know;
a rule for a column or table that this Airflow version lacks has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from continuity.catalog import Catalog, Table
from continuity.errors import BadInput

#: DAGs of this project, and variables and connections it keeps for itself: never part of a snapshot.
OWN_PREFIX = "continuity_"

#: Columns that say which DAG a row belongs to.
DAG_COLUMNS = ("dag_id", "target_dag_id", "source_dag_id")

#: States of a task instance that was executing, and those in which a task instance stands in the way of its run's end.
EXECUTING = ("running", "queued", "scheduled", "restarting")
HOLDING = (*EXECUTING, "deferred", "up_for_retry", "up_for_reschedule")
FINISHED_RUN = ("success", "failed")

#: Since 2.10 an attempt is counted when it is scheduled, before that when it starts.
COUNTED_ATTEMPTS = ("running", "queued", "scheduled")
COUNTED_ATTEMPTS_BEFORE_2_10 = ("running",)


@dataclass(frozen=True)
class Rule:
    """How one table is treated.

    verdict: `carry`, `sealed` (holds secrets) or `skip`, and for the last one why.
    phase: `state`, `history`, or `split` (by the state runs).
    key: what makes two rows the same thing in two environments; rows the target already has are then merged, not added.
    overwrite: columns that the snapshot wins where both have the row; None means all, () none.
    owner: the restored rows are the only ones their owner (this column) has, as with the permissions of a role.
    references: columns that hold another table's id without a foreign key saying so.
    secret: encrypted column -> the flag column that says so (None: none says so, a cipher text is known by its form).
    """

    verdict: str = "carry"
    phase: str = "state"
    why: str = ""
    key: tuple[str, ...] = ()
    overwrite: tuple[str, ...] | None = None
    owner: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str | None] = field(default_factory=dict)


def _skip(why: str) -> Rule:
    return Rule("skip", why=why)


REGENERATED = "Airflow regenerates it when it parses the DAGs"
BELONGS_TO_INSTALLATION = "it belongs to one installation, not to what runs on it"
JOB_OF_TASK = {"job_id": "job", "queued_by_job_id": "job", "trigger_id": "trigger"}

RULES: Mapping[str, Rule] = {
    # Runs and what hangs on them.
    "dag_run": Rule(phase="split", references={"creating_job_id": "job"}),
    "task_instance": Rule(phase="split", references=JOB_OF_TASK),
    "task_instance_history": Rule(phase="split", references=JOB_OF_TASK),
    "xcom": Rule(phase="split", references={"dag_run_id": "dag_run"}),
    "sla_miss": Rule(phase="split"),
    "dataset_event": Rule(phase="split", references={"dataset_id": "dataset"}),
    "dataset_alias_dataset_event": Rule(phase="split"),
    "job": Rule(phase="history"),
    "log": Rule(phase="history"),
    # Secrets.
    "connection": Rule("sealed", key=("conn_id",), secret={"password": "is_encrypted", "extra": "is_extra_encrypted"}),
    "variable": Rule("sealed", key=("key",), secret={"val": "is_encrypted"}),
    "trigger": Rule("sealed", references={"triggerer_id": "job"}, secret={"kwargs": None}),
    # Things both environments may have, known by a name of their own.
    "dag": Rule(key=("dag_id",), overwrite=("is_paused",)),
    "slot_pool": Rule(key=("pool",)),
    "log_template": Rule(key=("filename", "elasticsearch_id"), overwrite=()),
    "dataset": Rule(key=("uri",)),
    "dataset_alias": Rule(key=("name",)),
    "dataset_alias_dataset": Rule(key=("alias_id", "dataset_id")),
    "dataset_dag_run_queue": Rule(key=("dataset_id", "target_dag_id")),
    "ab_permission": Rule(key=("name",)),
    "ab_view_menu": Rule(key=("name",)),
    "ab_permission_view": Rule(key=("permission_id", "view_menu_id")),
    "ab_role": Rule(key=("name",)),
    "ab_permission_view_role": Rule(key=("permission_view_id", "role_id"), owner="role_id"),
    "ab_user": Rule(key=("username",)),
    "ab_user_role": Rule(key=("user_id", "role_id"), owner="user_id"),
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
    "dag_priority_parsing_request": _skip(BELONGS_TO_INSTALLATION),
    "callback_request": _skip(BELONGS_TO_INSTALLATION),
    "session": _skip(BELONGS_TO_INSTALLATION),
    "ab_register_user": _skip(BELONGS_TO_INSTALLATION),
    "revoked_token": _skip(BELONGS_TO_INSTALLATION),
    "celery_taskmeta": _skip("results of the executor, which end with its workers"),
    "celery_tasksetmeta": _skip("results of the executor, which end with its workers"),
}

#: Key columns that the database itself compares without regard to case.
CASELESS = frozenset({"username"})

#: Columns whose own values make the names above, for messages and local patterns.
NAME_OF_ROW = {"connection": "conn_id", "variable": "key", "trigger": "id"}


@dataclass(frozen=True)
class Plan:
    """What to do with every table of one database."""

    rules: Mapping[str, Rule]
    unknown: tuple[str, ...]

    def carried(self) -> list[str]:
        """Names of the tables that are carried or sealed, in order."""
        return sorted(name for name, rule in self.rules.items() if rule.verdict != "skip")


def make_plan(catalog: Catalog, overrides: Mapping[str, str]) -> Plan:
    """Decide for every table. Raises BadInput for an override that names no table or tears rows from their parents."""
    for name in overrides:
        if name not in catalog:
            raise BadInput(
                f"settings.tables.{name}", "there is no such table", "names of tables of the metadata database"
            )
    rules = {name: _decide(table, overrides.get(name)) for name, table in catalog.items()}
    for name, rule in rules.items():
        if rule.verdict == "skip":
            continue
        for key in catalog[name].foreign_keys:
            if rules[key.table].verdict == "skip" and key.table in overrides:
                wrong = f'"skip" would leave {name} pointing at rows that are not there'
                raise BadInput(f"settings.tables.{key.table}", wrong, f'"carry", or "skip" for {name} too')
    unknown = tuple(
        name for name in catalog if name not in RULES and not _hangs_on_run(catalog[name]) and not _versions(name)
    )
    return Plan(rules, tuple(name for name in unknown if rules[name].verdict != "skip"))


def _decide(table: Table, override: str | None) -> Rule:
    if _versions(table.name):
        return _skip("the schema's version, which the target has by itself")
    default = Rule(phase="split") if _hangs_on_run(table) else Rule()
    rule = RULES.get(table.name, default)
    if override == "skip":
        return _skip("settings say so")
    if override == "carry" and rule.verdict == "skip":
        return default
    return rule


def _versions(name: str) -> bool:
    return name.startswith("alembic_version")


def _hangs_on_run(table: Table) -> bool:
    """Whether each row belongs to one DAG run, by foreign key."""
    return any(key.table in ("dag_run", "task_instance") for key in table.foreign_keys)


def references(table: Table, rule: Rule) -> dict[str, str]:
    """Columns of a table that hold another table's id, and which: by foreign key, and what the rule adds."""
    by_key = {key.columns[0]: key.table for key in table.foreign_keys if key.target_columns == ("id",)}
    return {**by_key, **{column: target for column, target in rule.references.items() if table.has(column)}}


def driven_from_outside(airflow_version: str) -> bool:
    """Whether a process of its own drives the runs of a backfill: before Airflow 3 no scheduler does."""
    return int(airflow_version.split(".", maxsplit=1)[0]) < 3


def counted_attempts(airflow_version: str) -> tuple[str, ...]:
    """Executing states in which the running attempt is already counted in `try_number`."""
    major, minor = (int(part) for part in airflow_version.split(".")[:2])
    return COUNTED_ATTEMPTS if (major, minor) >= (2, 10) else COUNTED_ATTEMPTS_BEFORE_2_10
