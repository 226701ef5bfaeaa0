"""Compares a source dump with the two dumps of the target, table by table, row by row, value by value.

Rows that scheduling needs are judged as they were before the target went live (`state`), because from then on its own
scheduler changes them. All others, and whatever no scheduler touches again, are judged at the end (`end`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.rehearsal.comparator.allowed import COUNTED, Context, judge
from tests.rehearsal.comparator.canonical import Key, Side, shift_of
from tests.rehearsal.comparator.dump import Dump
from tests.rehearsal.comparator.schemas import schema_of
from tests.rehearsal.comparator.tables import FINISHED_RUN

SHOWN_DIFFERENCES = 5
SHOWN_CHARACTERS = 160


@dataclass
class Sides:
    """What is compared. `since`: when the target was created; what it made itself is younger."""

    source: Dump
    state: Dump
    end: Dump
    source_key: str
    target_key: str
    since: datetime
    in_flight: Mapping[str, str] = field(default_factory=dict)
    #: Paused flag by DAG that the target is to have, where it is not the one of the source at the cut.
    paused: Mapping[str, bool] | None = None
    #: States in which the attempt that a cut breaks off is already counted in `try_number`.
    counted: Collection[str] = COUNTED
    local_variables: Iterable[str] = ()
    local_connections: Iterable[str] = ()
    #: Tables of `end` that hold every trigger ever inserted, and every link of a task instance to a trigger.
    inserted_triggers: str = "trigger"
    linked_triggers: str = "task_instance"
    #: Whether the target ran before, and was cut off: jobs of its own processes of then may still say that they run.
    was_cut_off: bool = False


@dataclass
class TableResult:
    """What the comparison of one table gave. `mismatched` counts differing, missing and extra rows."""

    name: str
    rows_source: int = 0
    rows_restored: int = 0
    mismatched: int = 0
    differences: list[str] = field(default_factory=list)

    def differs(self, key: Any, what: str) -> None:
        """Count one row and keep the first few for people."""
        self.mismatched += 1
        if len(self.differences) < SHOWN_DIFFERENCES:
            self.differences.append(f"{self.name} {_readable(key)}: {what}")


def compare(sides: Sides) -> list[TableResult]:
    """One result per carried table, in the order of their names."""
    return _Comparison(sides).run()


class _Comparison:
    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._schema = schema_of(sides.source)
        local = {"variable": tuple(sides.local_variables), "connection": tuple(sides.local_connections)}
        triggers = {"trigger": sides.inserted_triggers}
        self._source = Side(sides.source, sides.source_key, local_names=local, paused=sides.paused or {})
        self._end = Side(sides.end, sides.target_key, elsewhere=triggers, local_names=local)
        self._state = Side(sides.state, sides.target_key, local_names=local, later=self._end)
        shifts = {
            name: shift_of(name, self._source, (self._state, self._end))
            for name, table in self._schema.tables.items()
            if table.shifted
        }
        self._end.shifts = self._state.shifts = shifts
        self._runs = {
            ((row["dag_id"], row["run_id"])): (row["state"], row[self._schema.run_order])
            for row in self._source.raw("dag_run")
        }
        self._latest = self._latest_runs()
        self._waited_for = {
            ("trigger", int(row["trigger_id"]))
            for row in self._source.raw("task_instance")
            if row["state"] == "deferred" and row["trigger_id"]
        }
        self._versions = self._versions_in_use()
        self._events = {key for key, _ in self._source.rows(self._schema.events)}

    def run(self) -> list[TableResult]:
        tables = (set(self._sides.source.tables) | set(self._sides.end.tables)) - set(self._schema.not_carried)
        results = [self._table(name) for name in sorted(tables) if "." not in name]
        return [*(result for result in results if result is not None)]

    def _table(self, name: str) -> TableResult:
        result = TableResult(name)
        source = dict(self._source.rows(name))
        state = dict(self._state.rows(name))
        end = dict(self._end.rows(name))
        result.rows_source = len(source)
        for key, row in source.items():
            restored = self._judge_row(result, key, row, state.get(key), end.get(key))
            result.rows_restored += restored
        for key in state.keys() - source.keys():
            if not self._own_before_live(name, state[key]):
                result.differs(key, "is not in the source, but was there before going live")
        for key in end.keys() - source.keys():
            if key not in state and not self._own_at_end(name, key, end[key]):
                result.differs(key, "is not in the source, but is in the target")
        if name == "task_instance":
            self._links(result)
        return result

    def _judge_row(self, result: TableResult, key: Key, row: Mapping[str, Any], state: Any, end: Any) -> bool:
        """Whether the row was restored at all; differences go into the result, once per row."""
        name = result.name
        if name == "trigger":
            return self._judge_trigger(result, key, row, state, end)
        if state is None and self._wanted_before_live(name, key, row):
            result.differs(key, "was missing when it went live" if end is not None else "is missing")
            return end is not None
        wrong = self._differing(name, row, state, "state") if state is not None else []
        if not wrong and (state is None or self._settled(name, key, row)):
            if end is None:
                result.differs(key, "is missing" if state is None else "was there before going live and is gone")
                return state is not None
            wrong = self._differing(name, row, end, "end")
        if wrong:
            result.differs(key, "; ".join(wrong))
        return True

    def _judge_trigger(self, result: TableResult, key: Key, row: Mapping[str, Any], state: Any, end: Any) -> bool:
        if state is not None:
            result.differs(key, "was inserted before going live; triggerers run whatever is paused")
        elif end is not None:
            if wrong := self._differing("trigger", row, end, "end"):
                result.differs(key, "; ".join(wrong))
        elif ("trigger", key[0]) in self._waited_for:
            result.differs(key, "is missing")
        return end is not None or state is not None

    def _differing(self, name: str, source: Mapping[str, Any], restored: Mapping[str, Any], side: Any) -> list[str]:
        context = Context(side, self._sides.in_flight, self._sides.counted)
        wrong = [
            f"{column}: {_readable(value)} became {_readable(restored.get(column))}"
            for column, value in source.items()
            if column not in restored or not judge(name, column, source, restored[column], context)
        ]
        return wrong

    def _latest_runs(self) -> set[tuple[str | None, str | None]]:
        latest: dict[str | None, tuple[str, tuple[str | None, str | None]]] = {}
        for run, (_, moment) in self._runs.items():
            latest[run[0]] = max(latest.get(run[0], ("", run)), (moment or "", run))
        return {run for _, run in latest.values()}

    def _versions_in_use(self) -> set[Any]:
        """DAG versions that what goes on needs: the newest of each DAG, and those of unfinished runs."""
        newest: dict[str | None, int] = {}
        for row in self._source.raw("dag_version"):
            newest[row["dag_id"]] = max(newest.get(row["dag_id"], 0), int(row["version_number"] or 0))
        unfinished = {
            row["dag_version_id"]
            for _, row in self._source.rows("task_instance")
            if "dag_version_id" in row and self._runs[row["dag_id"], row["run_id"]][0] not in FINISHED_RUN
        }
        return {(dag_id, str(number)) for dag_id, number in newest.items()} | unfinished

    def _run_of(self, name: str, key: Key, row: Mapping[str, Any]) -> Any:
        known = self._schema.tables.get(name)
        if known and known.run:
            return (row["dag_id"], row["run_id"])
        if known and known.instance:
            dag_id, _, run_id, _ = row[known.instance]
            return (dag_id, run_id)
        return key[0] if name in ("dag_run_note", self._schema.run_events) else None

    def _wanted_before_live(self, name: str, key: Key, row: Mapping[str, Any]) -> bool:
        known = self._schema.tables.get(name)
        if known and known.version:
            return row[known.version] in self._versions
        if known is None or not known.run_state:
            return known is not None and known.all_state
        run = self._run_of(name, key, row)
        return run in self._latest or (run in self._runs and self._runs[run][0] not in FINISHED_RUN)

    def _settled(self, name: str, key: Key, row: Mapping[str, Any]) -> bool:
        """Whether nothing in a living target changes this row again, so that it must be right at the end too."""
        if name == "dag":
            return True
        run = self._run_of(name, key, row)
        if run is not None:
            return run in self._runs and self._runs[run][0] in FINISHED_RUN
        known = self._schema.tables.get(name)
        return known is not None and known.shifted and not known.all_state

    def _own_before_live(self, name: str, row: Mapping[str, Any]) -> bool:
        known = self._schema.tables.get(name)
        if name == "log_template":
            return True
        if name == "job" and self._sides.was_cut_off and row["dag_id"] is None and row["state"] == "running":
            return True
        if name in ("job", "log") and known and known.dag:
            return row[known.dag] is None and self._young(row, known.made_at)
        return name == "trigger" and self._young(row, "created_date")

    def _own_at_end(self, name: str, key: Key, row: Mapping[str, Any]) -> bool:
        known = self._schema.tables.get(name)
        run = self._run_of(name, key, row)
        if run is not None:
            return run not in self._runs or self._runs[run][0] not in FINISHED_RUN
        if name == self._schema.alias_events:
            return (key[1][1],) not in self._events
        if known and known.made_at:
            return self._young(row, known.made_at)
        return known is not None and known.all_state  # judged before going live; its users may change it since

    def _young(self, row: Mapping[str, Any], column: str | None) -> bool:
        value = row.get(column or "")
        return value is not None and datetime.fromisoformat(value) >= self._sides.since

    def _links(self, result: TableResult) -> None:
        """Every task instance that was deferred must have been linked to the trigger it waited for."""
        links: dict[Key, set[int]] = {}
        for row in self._sides.end.rows(self._sides.linked_triggers):
            if row["trigger_id"] is not None:
                key = (row["dag_id"], row["task_id"], row["run_id"], row["map_index"])
                links.setdefault(key, set()).add(int(row["trigger_id"]) - self._end.shifts["trigger"])
        for row in self._source.raw("task_instance"):
            key = (row["dag_id"], row["task_id"], row["run_id"], row["map_index"])
            if row["state"] == "deferred" and row["trigger_id"] and int(row["trigger_id"]) not in links.get(key, set()):
                result.differs(key, "was never linked to the trigger it waited for")


def _readable(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, tuple):
        return "(" + ", ".join(_readable(part) for part in value) + ")"
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... ({len(text)} characters)"
