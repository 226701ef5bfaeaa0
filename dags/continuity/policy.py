"""What to do with each table of one database. The catalog says what is there, `rules` what it means.

A table that has no rule is carried and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from continuity.catalog import Catalog, Table
from continuity.errors import BadInput
from continuity.rules import RULES, RULES_WITH_VERSIONS, Rule

#: DAGs of this project, and variables and connections it keeps for itself: never part of a snapshot.
OWN_PREFIX = "continuity_"

#: Columns that say which DAG a row belongs to.
DAG_COLUMNS = ("dag_id", "target_dag_id", "source_dag_id")

#: States of a task instance that was executing.
EXECUTING = ("running", "queued", "scheduled", "restarting")
#: Those of them that go on where the DAG is paused: `scheduled` ones of a paused DAG are never queued.
HANDED_OVER = ("running", "queued", "restarting")
#: States in which a task instance stands in the way of its run's end.
HOLDING = (*EXECUTING, "deferred", "awaiting_input", "up_for_retry", "up_for_reschedule")
FINISHED_RUN = ("success", "failed")
FINISHED_TASK = (*FINISHED_RUN, "skipped", "upstream_failed", "removed")

#: Tables whose rows belong to one run each, and that others hang on by foreign key.
PARENTS_OF_RUN = ("dag_run", "task_instance", "task_instance_history")

#: Since 2.10 an attempt is counted when it is scheduled, before that when it starts.
COUNTED_ATTEMPTS = ("running", "queued", "scheduled")
COUNTED_ATTEMPTS_BEFORE_2_10 = ("running",)


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
    known = rules_for(catalog)
    rules = {name: _decide(table, known, overrides.get(name)) for name, table in catalog.items()}
    for name, rule in rules.items():
        if rule.verdict == "skip":
            continue
        for key in catalog[name].foreign_keys:
            if rules[key.table].verdict == "skip" and key.table in overrides:
                wrong = f'"skip" would leave {name} pointing at rows that are not there'
                raise BadInput(f"settings.tables.{key.table}", wrong, f'"carry", or "skip" for {name} too')
    unknown = tuple(name for name in catalog if name not in known and not _versions(name))
    return Plan(rules, tuple(name for name in unknown if rules[name].verdict != "skip"))


def rules_for(catalog: Catalog) -> Mapping[str, Rule]:
    """The rules of the Airflow version that has this database."""
    return RULES_WITH_VERSIONS if "dag_version" in catalog else RULES


def _decide(table: Table, known: Mapping[str, Rule], override: str | None) -> Rule:
    if _versions(table.name):
        return Rule("skip", "the schema's version, which the target has by itself")
    default = Rule(why="unknown", phase="split" if _hangs_on_run(table) else "state")
    rule = known.get(table.name, default)
    if override == "skip":
        return Rule("skip", "settings say so")
    if override == "carry" and rule.verdict == "skip":
        return default
    return rule


def _versions(name: str) -> bool:
    return name.startswith("alembic_version")


def _hangs_on_run(table: Table) -> bool:
    """Whether each row belongs to one DAG run, by foreign key."""
    return any(key.table in PARENTS_OF_RUN for key in table.foreign_keys)


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
