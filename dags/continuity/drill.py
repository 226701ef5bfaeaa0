"""What a drill finds: whether an environment that was restored holds what the snapshot says, and does not act.

The restore counts what it writes; this counts what is there, by the database alone.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg2 import sql

from continuity import ledger as ledgers
from continuity import policy
from continuity.catalog import Catalog, Table, read_catalog
from continuity.errors import ContinuityError
from continuity.ledger import Ledger
from continuity.manifest import Manifest, TableEntry
from continuity.policy import HANDED_OVER, OWN_PREFIX
from continuity.restore import AT_GO_LIVE, tables_in_order
from continuity.rules import Rule
from continuity.selection import in_flight, selected_rows
from continuity.settings import FULL, Settings
from continuity.transactions import transaction

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
#: An answer goes through a state machine: no more than so many differences are named.
NAMED = 20


@dataclass(frozen=True)
class Found:
    """complete_at: when the history was there too, ISO 8601; tables, rows: looked at; differences: in words, the first
    NAMED of them."""

    complete_at: str
    tables: int
    rows: int
    differences: list[str] = field(default_factory=list)


def look(
    connection: Any, manifest: Manifest, settings: Settings, deadline_seconds: float, poll_seconds: float = POLL_SECONDS
) -> Found:
    """Wait until the restore is complete, then count every table and see that nothing of the users' DAGs acts.

    Raises ContinuityError where the snapshot was not restored, went live, or its history is not there in time.
    """
    ledger = _wait_until_complete(connection, manifest.snapshot_id, deadline_seconds, poll_seconds)
    complete_at = datetime.now(UTC).isoformat()
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        plan = policy.make_plan(catalog, settings.tables)
        entries = tables_in_order(manifest, catalog, plan)
        rows, differences = 0, _acts(cursor)
        for entry in entries:
            found = _count(cursor, catalog[entry.name], catalog)
            rows += found
            difference = _difference(entry, plan.rules[entry.name], found, ledger, settings)
            if difference:
                differences.append(difference)
    log.info("drill of snapshot %s: %d rows in %d tables", manifest.snapshot_id, rows, len(entries))
    for difference in differences:
        log.error("%s", difference)
    return Found(complete_at, len(entries), rows, differences[:NAMED])


def _wait_until_complete(connection: Any, snapshot_id: str, deadline_seconds: float, poll_seconds: float) -> Ledger:
    deadline = time.monotonic() + deadline_seconds
    while True:
        with transaction(connection) as cursor:
            ledger = ledgers.read_for(cursor, snapshot_id)
        if ledger is None:
            raise ContinuityError(f"the state of snapshot {snapshot_id} has not been restored here: nothing to look at")
        if ledger.live:
            raise ContinuityError(f"this environment is live with snapshot {snapshot_id}: it is no drill's any more")
        if not ledger.to_come:
            return ledger
        left = deadline - time.monotonic()
        if left <= 0:
            raise ContinuityError(f"the history is not restored in time; still to come: {', '.join(ledger.to_come)}")
        time.sleep(min(poll_seconds, left))


def _acts(cursor: Any) -> list[str]:
    """What of the users' DAGs acts, or might."""
    cursor.execute(
        "SELECT dag_id FROM dag WHERE NOT is_paused AND NOT starts_with(dag_id, %s) ORDER BY 1", (OWN_PREFIX,)
    )
    found = [f"DAG {dag_id} is not paused" for (dag_id,) in cursor.fetchall()]
    return found + [
        f"{' '.join(map(str, instance[:3]))} is {instance[4]}" for instance in in_flight(cursor, HANDED_OVER)
    ]


def _count(cursor: Any, table: Table, catalog: Catalog) -> int:
    statement = sql.SQL("SELECT count(*) FROM {} t WHERE {}")
    cursor.execute(statement.format(sql.Identifier(table.name), selected_rows(table, catalog)))
    return int(cursor.fetchone()[0])


def _difference(entry: TableEntry, rule: Rule, found: int, ledger: Ledger, settings: Settings) -> str:
    """What is wrong with a number of rows; "" where nothing is.

    Rows of runs are those of the snapshot, no more and no less. Elsewhere an environment has rows of its own (its jobs,
    its audit log, what both know by a name), so that none may be missing.
    """
    expected = entry.rows
    if entry.name in AT_GO_LIVE:  # what waits for going live is state
        expected = entry.history_rows
    if ledger.mode != FULL or settings.local_patterns(entry.name):
        return ""  # a part of it is left out by rule, which the restore has told
    if ledger.history_days and entry.history:
        expected -= entry.history_rows
        return f"{entry.name}: {found} rows, at least {expected} were expected" if found < expected else ""
    if rule.phase == "split" and not rule.key and found != expected:
        return f"{entry.name}: {found} rows, {expected} were expected"
    return f"{entry.name}: {found} rows, at least {expected} were expected" if found < expected else ""
