"""Go live: when the DAGs are parsed, wake the deferred task instances, move what is timed past the outage, and unpause
what was unpaused at the cut."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg2 import sql

from continuity import catchup, guard, pausing, policy, variables
from continuity import ledger as ledgers
from continuity.carry import Carrier
from continuity.catalog import Catalog, read_catalog
from continuity.catchup import Skipped
from continuity.chosen import run_date
from continuity.errors import ContinuityError, HeldElsewhere, LeaseUnreadable
from continuity.ledger import Ledger
from continuity.manifest import Manifest
from continuity.prepare import WAITING, stage_at_go_live
from continuity.restore import AT_GO_LIVE, Snapshot, Target
from continuity.schedules import AirflowSchedule, Open
from continuity.schema import fitting
from continuity.settings import ALL_RUNS, FULL, Settings
from continuity.staging import Stager, stage_of
from continuity.transactions import transaction

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
#: Raises what speaks against going live now.
Check = Callable[[], None]


@dataclass(frozen=True)
class Timed:
    """What Airflow measures against the clock: the columns, the condition on a row on which it does, and what
    identifies a row."""

    columns: tuple[str, ...]
    condition: str
    keys: tuple[str, ...]


#: A run past its `dagrun_timeout` and a waiting task instance past its `trigger_timeout` are failed; when that one goes
#: on, it counts its `execution_timeout` from its start; a deadline that passes is told.
TIMED = {
    "dag_run": Timed(("start_date",), "{row}.state = 'running'", ("dag_id", "run_id")),
    "task_instance": Timed(
        ("trigger_timeout", "start_date"),
        f"{{row}}.state IN {WAITING}",
        ("dag_id", "run_id", "task_id", "map_index"),
    ),
    "deadline": Timed(("deadline_time",), "NOT {row}.missed", ("id",)),
}
#: A sensor that is rescheduled counts its `timeout` from the first of these rows.
POKES = "task_reschedule"
#: Why runs of an environment that did not sleep are all made up for.
NOT_PUT_AWAY = "it was not put away"


@dataclass(frozen=True)
class Outcome:
    """unpaused: how many DAGs this environment runs again; missing_dags: those that stay paused, because they were not
    parsed before the deadline or would run something twice; would_repeat: the latter; skipped: runs that fell due
    meanwhile and are not made up for."""

    unpaused: int
    missing_dags: list[str]
    would_repeat: list[str] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)


def go_live(
    target: Target,
    snapshot: Snapshot,
    settings: Settings,
    deadline_seconds: float,
    poll_seconds: float = POLL_SECONDS,
    *,
    check: Check | None = None,
    open_schedule: Open = AirflowSchedule,
) -> Outcome:
    """Wait for the lease and the DAGs, then go live in one transaction. DAGs that are missing at the deadline stay
    paused and are named; so are those with runs that are not made up for, as the settings say.

    `check` raises HeldElsewhere while this Region may not run anything, LeaseUnreadable where that is not known; it is
    called again when nobody else can pause or unpause. Done again this only takes up DAGs that were missing before.
    Raises ContinuityError where the state was not restored, or what `check` raises.
    """
    manifest = snapshot.manifest
    began = time.monotonic()
    with transaction(target.connection) as cursor:
        catalog = read_catalog(cursor)
        ledger = _ledger(cursor, manifest.snapshot_id)
    wait_until_held(check, deadline_seconds, poll_seconds)
    awaited = set(ledger.missing_dags) if ledger.live else set(manifest.paused) - set(ledger.inactive)
    ready = wait_until_parsed(
        target.connection,
        catalog,
        awaited,
        since=ledger.state_at,
        deadline_seconds=deadline_seconds - (time.monotonic() - began),
        poll_seconds=poll_seconds,
    )
    with transaction(target.connection) as cursor:
        ledgers.take_turn(cursor, ledgers.STATE_LOCK)
        ledger = _ledger(cursor, manifest.snapshot_id)
        if ledger.live:  # perhaps since we began to wait: what is live already is no business of ours
            awaited = set(ledger.missing_dags)
        missing = sorted(awaited - ready)
        to_set = awaited & ready if ledger.live else set(manifest.paused) - set(missing)
        if not ledger.live and ledger.mode == FULL:
            _take_up(cursor, catalog, snapshot, settings, target=target, ledger=ledger)
        # The guard waits from here on, and then reads the lease as well.
        ledgers.take_turn(cursor, pausing.LOCK)
        if check:
            check()
        if not ledger.live:  # the flags are the snapshot's from here on, and nothing is to be given back
            variables.forget(cursor, guard.VARIABLE)
        flags = {dag_id: manifest.paused[dag_id] for dag_id in to_set}
        _skip(cursor, catalog, ledger, settings, manifest=manifest, flags=flags, open_schedule=open_schedule)
        unpaused = _set_paused(cursor, flags)
        ledger.unpaused = unpaused + (ledger.unpaused if ledger.live else 0)
        ledger.live = True
        ledger.missing_dags = missing
        ledgers.write(cursor, ledger)
    log.info("live with snapshot %s: %d DAGs unpaused, missing: %s", manifest.snapshot_id, ledger.unpaused, missing)
    return Outcome(ledger.unpaused, missing, skipped=Skipped(ledger.skipped, ledger.not_skipped))


def wait_until_held(check: Check | None, deadline_seconds: float, poll_seconds: float) -> None:
    """Return as soon as `check` does. Raises what it raises at the deadline: HeldElsewhere or LeaseUnreadable."""
    deadline = time.monotonic() + deadline_seconds
    while check:
        try:
            check()
        except (HeldElsewhere, LeaseUnreadable) as why:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            log.info("not yet, %.0f s left: %s", left, why)
            time.sleep(min(poll_seconds, left))
        else:
            return


def wait_until_parsed(
    connection: Any, catalog: Catalog, awaited: set[str], *, since: str, deadline_seconds: float, poll_seconds: float
) -> set[str]:
    """Those of the awaited DAGs that are parsed by the deadline; returns as soon as all are."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        with transaction(connection) as cursor:
            ready = parsed_dags(cursor, catalog, awaited, since)
        left = deadline - time.monotonic()
        if ready == awaited or left <= 0:
            return ready
        log.info("%d of %d DAGs are parsed; %.0f s left", len(ready), len(awaited), left)
        time.sleep(min(poll_seconds, max(left, 0.0)))


def parsed_dags(cursor: Any, catalog: Catalog, awaited: Iterable[str], since: str) -> set[str]:
    """DAGs parsed and serialized after their runs were restored, whose next run comes after their latest one.

    The last condition tells a DAG that was parsed while its runs were missing: unpaused, it would run old intervals
    again. It says nothing of a DAG that has as many runs as it may have: Airflow makes its next run known when one of
    them ends.
    """
    active = "d.is_active" if catalog["dag"].has("is_active") else "NOT d.is_stale"
    statement = sql.SQL(
        """SELECT d.dag_id FROM dag d WHERE d.dag_id = ANY (%(awaited)s) AND {active} AND d.last_parsed_time > %(since)s
        AND EXISTS (SELECT 1 FROM serialized_dag s WHERE s.dag_id = d.dag_id)
        AND (d.next_dagrun IS NULL OR d.next_dagrun_create_after IS NULL
             OR NOT EXISTS (SELECT 1 FROM dag_run r WHERE r.dag_id = d.dag_id
                            AND r.run_type IN ('scheduled', 'backfill') AND r.{date} >= d.next_dagrun))"""
    ).format(active=sql.SQL(active), date=sql.Identifier(run_date(catalog)))
    cursor.execute(statement, {"awaited": list(awaited), "since": datetime.fromisoformat(since).astimezone(UTC)})
    return {row[0] for row in cursor.fetchall()}


def _ledger(cursor: Any, snapshot_id: str) -> Ledger:
    ledger = ledgers.read_for(cursor, snapshot_id, lock=True)
    if not ledger:
        raise ContinuityError(f"the state of snapshot {snapshot_id} has not been restored here; going live comes after")
    if ledger.by_rest:
        raise ContinuityError(
            f"snapshot {snapshot_id} was restored without the database, where no last run tells what would run twice: "
            "go live by the DAG continuity_go_live in Airflow"
        )
    return ledger


def _take_up(
    cursor: Any, catalog: Catalog, snapshot: Snapshot, settings: Settings, *, target: Target, ledger: Ledger
) -> None:
    """Bring back what waited for going live: the triggers, and as much time as everything timed had left at the cut."""
    manifest = snapshot.manifest
    plan = policy.make_plan(catalog, settings.tables)
    stager = Stager(cursor, snapshot.store, manifest.snapshot_id, snapshot.data_key, target.fernet)
    staged = {}
    for name in dict.fromkeys((*TIMED, POKES, *AT_GO_LIVE)):
        entry = manifest.table(name)
        stored = entry.state if entry and fitting(entry, catalog, plan) else None
        if entry and stored:
            stager.load(entry, stored)
            staged[name] = entry
    carrier = Carrier(cursor, catalog, plan, ledger.offsets, ledger.maps)
    for name in AT_GO_LIVE:
        if name in staged:
            stage_at_go_live(cursor, staged[name])
            carrier.carry(staged[name])
            ledger.done.append(f"{name}.sealed" if staged[name].verdict == "sealed" else f"{name}.state.copy.gz")
    if "trigger" in staged and "task_instance" in staged:
        _wake_deferred(cursor, ledger.offsets.get("trigger", 0))
    for name in TIMED.keys() & staged.keys():
        if catalog[name].has(*TIMED[name].columns):
            _move_clocks(cursor, name, datetime.fromisoformat(manifest.cut_at))
    if POKES in staged:
        by_id = catalog[POKES].has("ti_id")
        _move_pokes(cursor, by_id, ledger.offsets.get(POKES, 0), datetime.fromisoformat(manifest.cut_at))


def _wake_deferred(cursor: Any, offset: int) -> None:
    """Link the task instances that still wait for their triggers; `offset` was added to the ids of these."""
    cursor.execute(
        sql.SQL(
            """UPDATE task_instance t SET trigger_id = s.trigger_id + %s FROM {} s
            WHERE (t.dag_id, t.task_id, t.run_id, t.map_index) = (s.dag_id, s.task_id, s.run_id, s.map_index)
            AND t.state = 'deferred' AND t.trigger_id IS NULL AND s.state = 'deferred' AND s.trigger_id IS NOT NULL"""
        ).format(stage_of("task_instance")),
        (offset,),
    )


def _move_clocks(cursor: Any, table: str, cut_at: datetime) -> None:
    """Leave what is timed as much time as it had at the cut: the outage is not its own."""
    timed = TIMED[table]
    cursor.execute(
        sql.SQL(
            """UPDATE {table} t SET {moved} FROM {stage} s
            WHERE ({mine}) = ({staged}) AND {is_timed} AND {was_timed}"""
        ).format(
            table=sql.Identifier(table),
            moved=sql.SQL(", ").join(
                sql.SQL("{0} = s.{0} + (now() - {1})").format(sql.Identifier(column), sql.Literal(cut_at))
                for column in timed.columns
            ),
            stage=stage_of(table),
            mine=sql.SQL(", ").join(sql.Identifier("t", key) for key in timed.keys),
            staged=sql.SQL(", ").join(sql.Identifier("s", key) for key in timed.keys),
            is_timed=sql.SQL(timed.condition).format(row=sql.Identifier("t")),
            was_timed=sql.SQL(timed.condition).format(row=sql.Identifier("s")),
        )
    )


def _move_pokes(cursor: Any, by_id: bool, offset: int, cut_at: datetime) -> None:
    """The same for what a sensor that goes on was poked before; `by_id`: rows name their task instance by its id.
    `offset` was added to the ids of these rows."""
    instance = ("ti_id",) if by_id else ("dag_id", "run_id", "task_id", "map_index")
    cursor.execute(
        sql.SQL(
            """UPDATE {table} t SET (start_date, end_date, reschedule_date) =
                (s.start_date + (now() - %(cut_at)s), s.end_date + (now() - %(cut_at)s),
                 s.reschedule_date + (now() - %(cut_at)s))
            FROM {stage} s, task_instance i, dag_run r
            WHERE t.id = s.id + %(offset)s AND ({poked}) = ({mine}) AND (r.dag_id, r.run_id) = (i.dag_id, i.run_id)
            AND (i.state IS NULL OR i.state = ANY (%(holding)s)) AND NOT r.state = ANY (%(finished)s)"""
        ).format(
            table=sql.Identifier(POKES),
            stage=stage_of(POKES),
            poked=sql.SQL(", ").join(sql.Identifier("t", name) for name in instance),
            mine=sql.SQL(", ").join(sql.Identifier("i", "id" if by_id else name) for name in instance),
        ),
        {
            "cut_at": cut_at,
            "offset": offset,
            "holding": list(policy.HOLDING),
            "finished": list(policy.FINISHED_RUN),
        },
    )


def _skip(
    cursor: Any,
    catalog: Catalog,
    ledger: Ledger,
    settings: Settings,
    *,
    manifest: Manifest,
    flags: dict[str, bool],
    open_schedule: Open,
) -> None:
    """Leave out what is not made up for of the DAGs that are unpaused now, and note it in the ledger.

    Only an environment that was put away slept: what fell due after another cut was lost with it. What no file made a
    DAG at the cut has no schedule here.
    """
    if settings.catchup_after_sleep != ALL_RUNS:
        unpaused = sorted(dag_id for dag_id, paused in flags.items() if not paused and dag_id not in ledger.inactive)
        if manifest.drained_at:
            since = datetime.fromisoformat(manifest.drained_at)
            choice = catchup.Choice(settings.catchup_after_sleep, since, open_schedule)
            skipped = catchup.skip(cursor, catalog, unpaused, choice)
        else:
            skipped = Skipped(kept=dict.fromkeys(unpaused, NOT_PUT_AWAY))
        ledger.skipped |= skipped.runs
        ledger.not_skipped |= skipped.kept
        for dag_id, why in skipped.kept.items():
            log.warning("every run of %s that was due is made up for, because %s", dag_id, why)
    catchup.record_placeholders(cursor)


def _set_paused(cursor: Any, flags: dict[str, bool]) -> int:
    """Set the flags of these DAGs; returns how many are unpaused."""
    for paused in (False, True):
        dag_ids = [dag_id for dag_id, flag in flags.items() if flag is paused]
        cursor.execute("UPDATE dag SET is_paused = %s WHERE dag_id = ANY (%s)", (paused, dag_ids))
    return sum(not paused for paused in flags.values())
