"""What a portable restore carries over, whatever the Airflow version it comes from and goes to; what it leaves out.

Connections, variables, pools, users and roles, paused flags, and the last run of each schedule with its task instances,
so that nothing runs twice and what depends on the past finds it. The differences between versions are data: the tables
below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from continuity.catalog import Catalog, Column, Table
from continuity.errors import RestoreRefused
from continuity.manifest import Manifest, TableEntry
from continuity.policy import Plan
from continuity.settings import PORTABLE

#: How many runs, task instances or rows a list of what is left out names one by one.
NAMED = 50


@dataclass(frozen=True)
class Fit:
    """How rows of one table become rows of the same table in another version.

    takes: the target's columns that are carried, None for all that have a source; leaves: columns that are not carried
    although both sides have them; sources: target column -> where its value is under other names, as SQL over the
    snapshot's columns, with the columns that it needs; fillers: target column -> SQL of the value where the snapshot
    has none; renamed: column -> old value -> new value, from Airflow 2 to 3.
    """

    takes: tuple[str, ...] | None = None
    leaves: tuple[str, ...] = ()
    sources: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = field(default_factory=dict)
    fillers: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


#: Teams exist from 3.3 on, and only where they are switched on: they are part of how an environment is set up.
TEAM = ("team_name",)
#: A row that no parser made yet. What it says is overwritten by the first parse; other than NULL, it can be shown.
UNPARSED_DAG = {
    "is_active": "false",
    "is_stale": "true",
    "fileloc": "''",
    "owners": "''",
    "max_active_tasks": "16",
    "max_consecutive_failed_dag_runs": "0",
    "has_task_concurrency_limits": "true",
    "bundle_name": "(SELECT name FROM dag_bundle ORDER BY active DESC, name LIMIT 1)",
    "timetable_type": "''",
    "partition_mapper_info": "'{}'",
}

#: In the order in which a portable restore writes them.
CONTENT: Mapping[str, Fit] = {
    "connection": Fit(leaves=TEAM, fillers={"is_encrypted": "false", "is_extra_encrypted": "false"}),
    "variable": Fit(leaves=TEAM, fillers={"is_encrypted": "false"}),
    "slot_pool": Fit(leaves=TEAM, fillers={"include_deferred": "false"}),
    "ab_permission": Fit(),
    "ab_view_menu": Fit(renamed={"name": {"Datasets": "Assets"}}),
    "ab_permission_view": Fit(),
    "ab_role": Fit(),
    "ab_permission_view_role": Fit(),
    "ab_user": Fit(),
    "ab_user_role": Fit(),
    "ab_group": Fit(),
    "ab_group_role": Fit(),
    "ab_user_group": Fit(),
    "dag": Fit(
        takes=("dag_id", "is_paused", "fileloc", "owners", "description", "dag_display_name", *UNPARSED_DAG),
        fillers=UNPARSED_DAG,
    ),
    "dag_run": Fit(
        takes=(
            "id",
            "dag_id",
            "run_id",
            "run_type",
            "state",
            "execution_date",
            "logical_date",
            "run_after",
            "data_interval_start",
            "data_interval_end",
            "queued_at",
            "start_date",
            "end_date",
            "external_trigger",
            "clear_number",
            "triggered_by",
            "partition_key",
            "partition_date",
        ),
        sources={
            "logical_date": (("execution_date", ("execution_date",)),),
            "execution_date": (("logical_date", ("logical_date",)),),
            # Before Airflow 3 a run was due at the end of its interval.
            "run_after": (
                ("COALESCE(data_interval_end, execution_date)", ("data_interval_end", "execution_date")),
                ("execution_date", ("execution_date",)),
            ),
        },
        fillers={"external_trigger": "false", "clear_number": "0"},
    ),
    "task_instance": Fit(
        takes=(
            "dag_id",
            "run_id",
            "task_id",
            "map_index",
            "state",
            "start_date",
            "end_date",
            "duration",
            "try_number",
            "max_tries",
            "hostname",
            "unixname",
            "pool",
            "pool_slots",
            "queue",
            "priority_weight",
            "operator",
            "custom_operator_name",
            "task_display_name",
            "rendered_map_index",
            "updated_at",
        ),
        fillers={"try_number": "0"},
    ),
}
#: What gives a row an id where the snapshot has none that could be kept, by the type of the column.
NEW_ID = {"uuid": "gen_random_uuid()"}


def carried(manifest: Manifest, catalog: Catalog, plan: Plan) -> list[TableEntry]:
    """The tables of a snapshot that a portable restore carries into this database, in order."""
    entries = {entry.name: entry for entry in manifest.tables}
    return [
        entries[name]
        for name in CONTENT
        if name in entries and name in catalog and plan.rules[name].verdict != "skip" and entries[name].objects
    ]


def expressions(entry: TableEntry, table: Table) -> list[tuple[Column, str | None, str | None]]:
    """For each column of the target that is written: the SQL of its value over the snapshot's columns, and of what
    fills it where that is NULL; None for none.

    Raises RestoreRefused where a column must have a value and nothing gives it one.
    """
    fit = CONTENT[entry.name]
    there = {column.name for column in entry.columns}
    found = []
    for column in table.columns:
        value = _value(fit, column.name, there)
        if column.name == "id" and value is None:
            # A snapshot taken without the database knows no ids.
            value = NEW_ID.get(column.type, "row_number() OVER ()")
        filler = fit.fillers.get(column.name)
        if value or filler:
            found.append((column, value, filler))
        elif column.not_null and not column.has_default:
            raise RestoreRefused(
                f"column {entry.name}.{column.name} must have a value here, and neither the snapshot nor this version "
                "of the metadata DAGs has one"
            )
    return found


def _value(fit: Fit, name: str, there: set[str]) -> str | None:
    """SQL of a target column's value, None where the snapshot has nothing for it."""
    if name in fit.leaves or (fit.takes is not None and name not in fit.takes):
        return None
    if name in there:
        return f'"{name}"'
    return next((value for value, needed in fit.sources.get(name, ()) if there.issuperset(needed)), None)


def dropped_columns(entry: TableEntry, table: Table) -> list[str]:
    """Columns of the snapshot with nowhere to go here; for tables of which all is carried."""
    fit = CONTENT[entry.name]
    if fit.takes is not None:
        return []
    return [c.name for c in entry.columns if c.name in fit.leaves or not table.has(c.name)]


def left_out_tables(manifest: Manifest, going: Iterable[str]) -> list[str]:
    """What of a snapshot is not carried where only these tables go, told from its manifest alone."""
    going = set(going)
    found = [
        f"table {entry.name} ({entry.rows} rows)"
        for entry in manifest.tables
        if entry.name not in going and entry.rows > 0
    ]
    if manifest.mode == PORTABLE:
        found += listed(not_taken(manifest))
    return found + listed(
        f"task instance in flight at the cut: {dag_id} {run_id} {task_id}"
        + (f" [{map_index}]" if map_index != -1 else "")
        + f" ({state})"
        for dag_id, run_id, task_id, map_index, state in manifest.in_flight
    )


def not_taken(manifest: Manifest) -> list[str]:
    """What a portable snapshot lacks."""
    return [f"{entry['name']}: {entry['why']}" for entry in manifest.skipped]


def listed(lines: Iterable[str]) -> list[str]:
    """The first of these lines, and how many more there are."""
    every = list(lines)
    more = [f"and {len(every) - NAMED} more of these"] if len(every) > NAMED else []
    return every[:NAMED] + more
