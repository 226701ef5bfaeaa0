"""The verdict of the heartbeat check: pure functions over a truth table that is data (`health_truth_table.json`)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

TABLE: Final = "health_truth_table.json"

#: What GetEnvironment says -> value of the signal `status`.
STATUS_SIGNAL: Final[Mapping[str, str]] = {
    "AVAILABLE": "available",
    "UPDATE_FAILED": "available",
    "CREATING": "changing",
    "UPDATING": "changing",
    "ROLLING_BACK": "changing",
    "CREATING_SNAPSHOT": "changing",
    "MAINTENANCE": "changing",
    "PENDING": "changing",
    "DELETING": "changing",
    "CREATE_FAILED": "broken",
    "UNAVAILABLE": "broken",
    "DELETED": "gone",
}


@dataclass(frozen=True)
class Row:
    """One row of the table; `when` names the accepted values of some signals, the others may have any."""

    name: str
    when: Mapping[str, Collection[str]]
    verdict: str
    why: str

    def matches(self, signals: Mapping[str, str]) -> bool:
        """Whether every signal that the row names has one of the accepted values."""
        return all(signals[signal] in accepted for signal, accepted in self.when.items())


@dataclass(frozen=True)
class TruthTable:
    """Signals with their values, and rows of which the first that matches decides."""

    signals: Mapping[str, Collection[str]]
    rows: tuple[Row, ...]

    def decide(self, signals: Mapping[str, str]) -> Row:
        """The first matching row. Raises `ValueError` for a signal or value the table does not know."""
        for signal, values in self.signals.items():
            if signals.get(signal) not in values:
                raise ValueError(f"signal {signal} is {signals.get(signal)!r}; accepted: {', '.join(values)}")
        for row in self.rows:
            if row.matches(signals):
                return row
        raise ValueError(f"no row of {TABLE} matches {dict(signals)}")


def load() -> TruthTable:
    """The committed table."""
    document = json.loads(resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8"))
    return TruthTable(signals=document["signals"], rows=tuple(Row(**row) for row in document["rows"]))


def status_signal(status: str) -> str:
    """The signal for a status of MWAA; one that MWAA adds later is `changing`, which never fails over."""
    return STATUS_SIGNAL.get(status, "changing")


def whole_minutes(now: float, periods: int) -> range:
    """The last `periods` whole epoch minutes before the running one, oldest first. `now` is in epoch seconds."""
    running = int(now) // 60
    return range(running - periods, running)


def silent(minutes: Collection[int], seen: Collection[int], missing: int) -> bool:
    """Whether at least `missing` of the minutes were not seen."""
    return sum(minute not in seen for minute in minutes) >= missing
