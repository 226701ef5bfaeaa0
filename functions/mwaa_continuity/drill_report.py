"""What a drill showed, from what its state machine knows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Targets:
    """What is promised, in minutes; none: nothing."""

    rpo_minutes: int | None
    rto_minutes: int | None


@dataclass(frozen=True)
class Drilled:
    """What the state machine knows when the drill is over; none: it did not come that far."""

    snapshot: Mapping[str, Any] | None
    available_at: datetime | None
    restored_at: datetime | None
    found: Mapping[str, Any] | None
    failure: Mapping[str, Any] | None

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Drilled:
        """From the data of the machine's execution."""
        return cls(
            snapshot=told.get("snapshot"),
            available_at=_instant(told.get("waiting"), "since"),
            restored_at=_instant(told.get("restored_at"), "at"),
            found=told.get("found"),
            failure=told.get("failure"),
        )


def report_of(drilled: Drilled, targets: Targets, *, started_at: datetime, now: datetime) -> dict[str, Any]:
    """The report: `outcome` is `passed`, `missed` (a target) or `failed`.

    RPO: from the cut of the snapshot to the start of the drill, as if the Region had been lost then. RTO: from the
    start until the state was restored. Detection and going live, which a drill does not do, are not in it.
    """
    rpo = _seconds(_instant(drilled.snapshot, "cut_at"), started_at)
    rto = _seconds(started_at, drilled.restored_at)
    differences = list((drilled.found or {}).get("differences", []))
    missed = [
        f"{name} {seconds} s, promised {minutes * 60} s"
        for name, seconds, minutes in (("RPO", rpo, targets.rpo_minutes), ("RTO", rto, targets.rto_minutes))
        if seconds is not None and minutes is not None and seconds > minutes * 60
    ]
    if drilled.failure:
        outcome, why = "failed", f"{drilled.failure.get('Error', '')}: {drilled.failure.get('Cause', '')}"
    elif differences:
        outcome, why = "failed", f"{len(differences)} differences: {'; '.join(differences)}"
    else:
        outcome, why = ("missed", "; ".join(missed)) if missed else ("passed", "")
    return {
        "format": 1,
        "outcome": outcome,
        "why": why[:2000],
        "started_at": started_at.isoformat(),
        "reported_at": now.isoformat(),
        "snapshot_id": (drilled.snapshot or {}).get("snapshot_id"),
        "cut_at": (drilled.snapshot or {}).get("cut_at"),
        "restore_mode": (drilled.snapshot or {}).get("restore_mode"),
        "rejected": list((drilled.snapshot or {}).get("rejected") or []),
        "rpo_seconds": rpo,
        "rto_seconds": rto,
        "rpo_target_seconds": _of_minutes(targets.rpo_minutes),
        "rto_target_seconds": _of_minutes(targets.rto_minutes),
        "parts": {
            "environment_seconds": _seconds(started_at, drilled.available_at),
            "restore_seconds": _seconds(drilled.available_at, drilled.restored_at),
            "history_seconds": _seconds(drilled.restored_at, _instant(drilled.found, "complete_at")),
        },
        "tables": (drilled.found or {}).get("tables"),
        "rows": (drilled.found or {}).get("rows"),
        "differences": differences,
    }


def _instant(told: Any, name: str) -> datetime | None:
    value = told.get(name) if isinstance(told, Mapping) else None
    return datetime.fromisoformat(value) if value else None


def _seconds(begin: datetime | None, end: datetime | None) -> int | None:
    return None if begin is None or end is None else max(0, round((end - begin).total_seconds()))


def _of_minutes(minutes: int | None) -> int | None:
    return None if minutes is None else minutes * 60
