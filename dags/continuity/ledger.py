"""The ledger of a restore: an Airflow variable, written in the transactions whose outcome it records."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from continuity import variables
from continuity.errors import ContinuityError, RestoreRefused
from continuity.manifest import Manifest
from continuity.settings import FULL

VARIABLE = "continuity_restore"
#: How to do what a refusal forbids.
BY_REPLACING = ', or delete what this one holds: restore with "replace": true'
DESCRIPTION = "Ledger of the restore into this environment; do not change it"

#: One restore of a kind at a time, also before there is a ledger to lock. The numbers are arbitrary and ours. The
#: history of each table has its own (`history_lock`): going live never waits for it.
STATE_LOCK = 7_011_226_490
HISTORY_LOCKS = STATE_LOCK + 1000
#: Nobody waits for this one: a cut that had to wait would be of before it waited.
SNAPSHOT_LOCK = STATE_LOCK + 2


class Memory(Protocol):
    """Where a task without the database keeps variables of its own: the Task SDK."""

    def find_variable(self, key: str) -> str | None: ...
    def remember(self, key: str, value: Mapping[str, Any], description: str) -> None: ...
    def forget(self, key: str) -> None: ...


@dataclass
class Ledger:
    """What has been restored into this environment.

    state_at: when, ISO 8601, "" while what was there before is being deleted; rows: of the state phase; unpaused: DAGs
    that were, or will be, unpaused; offsets: added to the ids of a table; maps: ids of a table that became others than
    that, old (text) to new; inactive: DAGs that were not active at the cut; done: names of restored objects; history:
    names of the history objects that have a place here; missing_dags: DAGs that were not parsed when it went live;
    mode: full or portable; left_out: what the latter did not carry, in words; by_rest: whether it was restored without
    the database, hence without last runs; history_days: how many days before the cut the history reaches back, None for
    all; replaced: whether what was there before was deleted; skipped: how many runs of a DAG are not made up for after
    a sleep; not_skipped: why all of another DAG's are.
    """

    snapshot_id: str
    environment: str
    region: str
    state_at: str
    rows: int = 0
    unpaused: int = 0
    offsets: dict[str, int] = field(default_factory=dict)
    maps: dict[str, dict[str, int]] = field(default_factory=dict)
    inactive: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    live: bool = False
    missing_dags: list[str] = field(default_factory=list)
    mode: str = FULL
    left_out: list[str] = field(default_factory=list)
    by_rest: bool = False
    history_days: int | None = None
    replaced: bool = False
    skipped: dict[str, int] = field(default_factory=dict)
    not_skipped: dict[str, str] = field(default_factory=dict)

    @property
    def to_come(self) -> list[str]:
        """Names of the history objects that are not restored yet."""
        return sorted(set(self.history) - set(self.done))


def begun(manifest: Manifest, mode: str) -> Ledger:
    """The ledger of a restore that begins."""
    return Ledger(
        snapshot_id=manifest.snapshot_id,
        environment=manifest.environment,
        region=manifest.region,
        state_at="",
        unpaused=sum(not paused for paused in manifest.paused.values()),
        mode=mode,
    )


def history_lock(table: str) -> int:
    """Number of the lock for the history of one table."""
    return HISTORY_LOCKS + zlib.crc32(table.encode())


def take_turn(cursor: Any, lock: int) -> None:
    """Wait until nobody else is at work under that lock; holds until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))


def read(cursor: Any, lock: bool = False) -> Ledger | None:
    """The ledger, None where nothing was restored; `lock` keeps others from changing it until the transaction ends."""
    document = variables.read(cursor, VARIABLE, lock)
    return Ledger(**document) if document else None


def recall(memory: Memory) -> Ledger | None:
    """The ledger without the database, None where nothing was restored."""
    found = memory.find_variable(VARIABLE)
    return Ledger(**json.loads(found)) if found else None


def remember(memory: Memory, ledger: Ledger) -> None:
    """Insert or replace the ledger without the database."""
    memory.remember(VARIABLE, asdict(ledger), DESCRIPTION)


def read_for(cursor: Any, snapshot_id: str, lock: bool = False) -> Ledger | None:
    """The ledger of this snapshot, None if its state is not there. Raises RestoreRefused if another snapshot was
    restored."""
    ledger = read(cursor, lock)
    if not ledger:
        return None
    refuse_another(ledger, snapshot_id)
    return ledger if ledger.state_at else None


def refuse_another(ledger: Ledger, snapshot_id: str, mode: str | None = None, but: str = "") -> None:
    """Raises RestoreRefused if the ledger is of another snapshot, or of another mode than the one asked for; `but`:
    what else may be done."""
    if ledger.snapshot_id != snapshot_id:
        raise RestoreRefused(
            f"snapshot {ledger.snapshot_id} was restored into this environment already, so {snapshot_id} cannot be: "
            f"restore it into a new environment{but}"
        )
    if mode and ledger.mode != mode:
        raise RestoreRefused(
            f"snapshot {snapshot_id} was restored into this environment in {ledger.mode} mode already, so it cannot be "
            f"in {mode} mode: restore it into a new environment{but}"
        )


def is_done(ledger: Ledger | None, wanted: Ledger) -> bool:
    """Whether the state of the wanted snapshot is there, in its mode."""
    if ledger is None or not ledger.state_at:
        return False
    return (ledger.snapshot_id, ledger.mode) == (wanted.snapshot_id, wanted.mode)


def is_newer(ledger: Ledger | None, wanted: Ledger) -> bool:
    """Whether the state of a newer snapshot is there, in the same mode, and never went live."""
    if ledger is None or not ledger.state_at or ledger.live:
        return False
    return ledger.mode == wanted.mode and ledger.snapshot_id > wanted.snapshot_id


def must_replace(ledger: Ledger | None, wanted: Ledger, *, replace: bool) -> bool:
    """Whether what is here has to be deleted for the wanted snapshot; `replace`: it may be, though it ran.

    What was restored and never went live never acted, so nothing is lost with it. That cannot be said of what was
    restored without the database: DAGs may have run since they were parsed. Raises RestoreRefused.
    """
    if ledger is None:
        return replace
    another = ledger.snapshot_id != wanted.snapshot_id
    if replace or not ledger.state_at or (another and not ledger.live and not ledger.by_rest):
        return True
    refuse_another(ledger, wanted.snapshot_id, wanted.mode, BY_REPLACING)
    return False


def write(cursor: Any, ledger: Ledger) -> None:
    """Insert or replace the ledger within the caller's transaction."""
    variables.write(cursor, VARIABLE, asdict(ledger), DESCRIPTION)


def refuse_company(cursor: Any) -> None:
    """Keep other snapshots of this database out until the transaction ends.

    Raises ContinuityError where one is being taken: two would end each other's uploads as leftovers, and might write
    the same objects.
    """
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (SNAPSHOT_LOCK,))
    if not cursor.fetchone()[0]:
        raise ContinuityError(
            "another snapshot of this environment is being taken, so this one is not; nothing was written: "
            "start it again when the other has ended"
        )


def refuse_half_restored(ledger: Ledger | None) -> None:
    """Raises ContinuityError while a restore into this environment is not done: a snapshot now would pass for whole."""
    if ledger and not ledger.state_at:
        raise ContinuityError(
            f"snapshot {ledger.snapshot_id} is to replace what this environment held, which is being deleted, or is in "
            "part: start continuity_restore with that snapshot_id again where it has failed"
        )
    if ledger and not ledger.live:
        raise ContinuityError(
            f"snapshot {ledger.snapshot_id} was restored into this environment, which has not gone live with it: a "
            "snapshot now would say that every DAG is paused and would hold no trigger; run continuity_go_live first"
        )
    if ledger and ledger.to_come:
        raise ContinuityError(
            f"the history of snapshot {ledger.snapshot_id} is not restored yet: {len(ledger.to_come)} of "
            f"{len(ledger.history)} objects are to come ({', '.join(ledger.to_come)}), and a snapshot now would be "
            "without them; wait for the task `history` of continuity_restore, or start continuity_restore with that "
            "snapshot_id again where it has failed"
        )
