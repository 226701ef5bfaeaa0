"""The ledger of a restore: an Airflow variable, written in the transactions whose outcome it records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from continuity import variables
from continuity.errors import RestoreRefused

VARIABLE = "continuity_restore"

#: One restore of a kind at a time, also before there is a ledger to lock. The numbers are arbitrary and ours. History
#: has its own: going live never waits for it.
STATE_LOCK = 7_011_226_490
HISTORY_LOCK = STATE_LOCK + 1


@dataclass
class Ledger:
    """What has been restored into this environment.

    state_at: when, ISO 8601; rows: of the state phase; unpaused: DAGs that were, or will be, unpaused; offsets: added
    to the
    ids of a table; maps: ids of a table that became others than that, old (text) to new; inactive: DAGs that were not
    active at the cut; done: names of restored objects; missing_dags: DAGs that were not parsed when it went live.
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
    live: bool = False
    missing_dags: list[str] = field(default_factory=list)


def take_turn(cursor: Any, lock: int) -> None:
    """Wait until nobody else is at work under that lock; holds until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))


def read(cursor: Any, lock: bool = False) -> Ledger | None:
    """The ledger, None where nothing was restored; `lock` keeps others from changing it until the transaction ends."""
    document = variables.read(cursor, VARIABLE, lock)
    return Ledger(**document) if document else None


def read_for(cursor: Any, snapshot_id: str, lock: bool = False) -> Ledger | None:
    """The ledger of this snapshot, None if there is none. Raises RestoreRefused if another snapshot was restored."""
    ledger = read(cursor, lock)
    if ledger and ledger.snapshot_id != snapshot_id:
        raise RestoreRefused(
            f"snapshot {ledger.snapshot_id} was restored into this environment already, so {snapshot_id} cannot be: "
            "restore it into a new environment"
        )
    return ledger


def write(cursor: Any, ledger: Ledger) -> None:
    """Insert or replace the ledger within the caller's transaction."""
    variables.write(cursor, VARIABLE, asdict(ledger), "Ledger of the restore into this environment; do not change it")
