"""Everything that may differ between a source row and its restored row, each with the oracle that judges it.

The id shift, re-encryption and the mapping of references are not here: rows are brought into a form in which they do
not show (`canonical.py`). A rule that is `always` applied judges equal values too: a task instance that was running at
the cut must not be restored as running.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.rehearsal.comparator.tables import FINISHED_RUN, FINISHED_TASK, IN_FLIGHT

Side = Literal["state", "end"]
Canonical = Mapping[str, Any]

#: Since 2.10 an attempt is counted when it is scheduled, before that when it starts.
COUNTED = frozenset({"running", "queued", "scheduled"})
COUNTED_BEFORE_2_10 = frozenset({"running"})


@dataclass(frozen=True)
class Context:
    """What the rules need to know beside the two rows."""

    side: Side
    #: In-flight policy: "rerun" or "fail" per DAG; the entry "" is the default.
    in_flight: Mapping[str, str] = field(default_factory=dict)
    #: States in which the attempt that a cut breaks off is already counted in `try_number`.
    counted: Collection[str] = COUNTED

    def policy(self, dag_id: str) -> str:
        """The in-flight policy of a DAG."""
        return self.in_flight.get(dag_id, self.in_flight.get("", "rerun"))


@dataclass(frozen=True)
class Allowed:
    """One rule: in these columns, where `applies` holds, the restored value is judged by `accepts` alone."""

    table: str
    columns: tuple[str, ...]
    why: str
    applies: Callable[[Canonical, Context], bool]
    accepts: Callable[[Any, Canonical, Context], bool]
    always: bool = False


def _in_flight(source: Canonical, context: Context) -> bool:
    return source["state"] in IN_FLIGHT and context.side == "state"


def _reset_state(value: Any, source: Canonical, context: Context) -> bool:
    return bool(value == ("failed" if context.policy(source["dag_id"]) == "fail" else None))


def _cleared(value: Any, _: Canonical, __: Context) -> bool:
    return value in (None, "", "0")


def _not_counted(value: Any, source: Canonical, context: Context) -> bool:
    attempts = int(source["try_number"])
    return int(value) == (attempts if context.policy(source["dag_id"]) == "fail" else max(attempts - 1, 0))


def _interrupted_span(source: Canonical, context: Context) -> bool:
    finished = FINISHED_TASK if "task_id" in source else FINISHED_RUN
    return source["span_status"] == "active" and source["state"] not in finished and context.side == "state"


def _span_goes_on(value: Any, source: Canonical, context: Context) -> bool:
    failed = "task_id" in source and _in_flight(source, context) and context.policy(source["dag_id"]) == "fail"
    return bool(value == ("active" if failed else "needs_continuance"))


def _started_or_cleared(value: Any, source: Canonical, context: Context) -> bool:
    return (value is not None) if source["next_method"] else _cleared_or_ended(value, source, context)


def _cleared_or_ended(value: Any, source: Canonical, context: Context) -> bool:
    return value is None or context.policy(source["dag_id"]) == "fail"


RULES: tuple[Allowed, ...] = (
    Allowed(
        "task_instance",
        ("state",),
        "what was in flight at the cut starts again, or is failed, by policy",
        _in_flight,
        _reset_state,
        always=True,
    ),
    Allowed(
        "task_instance",
        (
            *("job_id", "pid", "hostname", "unixname", "external_executor_id", "queued_by_job_id", "queued_dttm"),
            *("last_heartbeat_at", "scheduled_dttm"),
        ),
        "what was in flight no longer belongs to a process of the lost Region",
        _in_flight,
        _cleared,
    ),
    Allowed(
        "task_instance",
        ("end_date", "duration"),
        "what was in flight has not started here",
        _in_flight,
        _cleared_or_ended,
    ),
    Allowed(
        "task_instance",
        ("start_date",),
        "what was in flight has not started here; what goes on after a deferral counts its time from the restore",
        _in_flight,
        _started_or_cleared,
    ),
    Allowed(
        "task_instance",
        ("trigger_timeout",),
        "set again by going live, moved past the outage: the scheduler fails what waits too long whatever is paused",
        lambda source, context: source["state"] == "deferred" and context.side == "state",
        lambda value, _, __: value is None,
        always=True,
    ),
    Allowed(
        "task_instance",
        ("try_number",),
        "the attempt that was cut off does not count: starting it again counts it again",
        lambda source, context: _in_flight(source, context) and source["state"] in context.counted,
        _not_counted,
        always=True,
    ),
    Allowed(
        "task_instance",
        ("trigger_id",),
        "a trigger of what is not deferred is a left-over that every triggerer clears",
        lambda source, _: source["state"] != "deferred",
        lambda value, _, __: value is None,
    ),
    Allowed(
        "task_instance",
        ("trigger_id",),
        "triggers are inserted by going live, because triggerers run whatever is paused",
        lambda source, context: source["state"] == "deferred" and context.side == "state",
        lambda value, _, __: value is None,
        always=True,
    ),
    *(
        Allowed(
            table,
            ("span_status",),
            "the scheduler of 3.0 stops where it does not find the one that began an active span; another continues it",
            _interrupted_span,
            _span_goes_on,
            always=True,
        )
        for table in ("dag_run", "task_instance")
    ),
    Allowed(
        "log",
        ("extra",),
        "Airflow's audit log holds what was sent for a variable or a connection in clear text: it stays behind",
        lambda source, _: (
            "variable" in (source["event"] or "").lower() or "connection" in (source["event"] or "").lower()
        ),
        lambda value, _, __: value is None,
        always=True,
    ),
    Allowed(
        "job",
        ("state",),
        "a job that ran at the cut runs no more",
        lambda source, _: source["state"] == "running",
        lambda value, _, __: value in ("failed", "success"),
        always=True,
    ),
    Allowed(
        "job",
        ("end_date",),
        "a job that ran at the cut has ended",
        lambda source, _: source["state"] == "running",
        lambda value, _, __: value is not None,
        always=True,
    ),
    Allowed(
        "trigger",
        ("triggerer_id",),
        "no triggerer of the target has taken it yet",
        lambda *_: True,
        lambda value, _, __: value is None,
    ),
    Allowed(
        "dag",
        ("is_paused",),
        "everything is paused until it goes live",
        lambda _, context: context.side == "state",
        lambda value, _, __: value == "t",
        always=True,
    ),
    Allowed(
        "dataset",
        ("is_orphaned", "updated_at"),
        "the scheduler recomputes it from the DAGs it has parsed, of which there are none before going live",
        lambda _, context: context.side == "state",
        lambda value, source, _: value in ("t", "f") or value >= source["updated_at"],
    ),
)

#: Tables of which only these columns are carried. A bundle is what the target itself reads DAGs from.
ONLY_COLUMNS: Mapping[str, tuple[str, ...]] = {"dag": ("dag_id", "is_paused"), "dag_bundle": ("name",)}


def judge(table: str, column: str, source: Canonical, value: Any, context: Context) -> bool:
    """Whether a restored value is right."""
    for rule in RULES:
        if rule.table == table and column in rule.columns and rule.applies(source, context):
            if rule.always or value != source[column]:
                return rule.accepts(value, source, context)
            return True
    return bool(value == source[column])
