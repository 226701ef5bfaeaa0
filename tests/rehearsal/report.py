"""The result of a rehearsal, and its JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Moments:
    """When it happened, in epoch seconds."""

    cut: float
    snapshot_complete: float
    outage: float
    failover_started: float
    available: float
    state_restored: float
    live: float
    first_new_run: float | None

    @property
    def rpo_seconds(self) -> float:
        """What was lost: from the cut to the outage."""
        return self.outage - self.cut

    @property
    def rto_seconds(self) -> float:
        """From the outage until it was live again."""
        return self.live - self.outage

    @property
    def rto_parts(self) -> dict[str, float]:
        """The RTO in its parts, in order."""
        return {
            "detection": self.failover_started - self.outage,
            "creation": self.available - self.failover_started,
            "restore": self.state_restored - self.available,
            "go_live": self.live - self.state_restored,
        }


@dataclass
class Report:
    """Everything a rehearsal found. `tables` holds name, rows_source, rows_restored, mismatched, differences."""

    started: float
    ended: float
    moments: Moments
    tables: list[dict[str, Any]]
    checks: list[Check]
    versions: dict[str, str]
    steps: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    snapshot: dict[str, Any] = field(default_factory=dict)

    @property
    def differences(self) -> int:
        """Rows that differ, are missing or are too many, over all tables."""
        return sum(int(table["mismatched"]) for table in self.tables)

    @property
    def passed(self) -> bool:
        """No difference, and no check failed."""
        return self.differences == 0 and all(check.passed for check in self.checks)

    def document(self) -> dict[str, Any]:
        """The report as JSON has it; seconds are rounded to tenths, times are ISO 8601 in UTC."""
        moments = {name: _iso(value) for name, value in asdict(self.moments).items()}
        first = self.moments.first_new_run
        return {
            "passed": self.passed,
            "differences": self.differences,
            "rpo_seconds": round(self.moments.rpo_seconds, 1),
            "rto_seconds": round(self.moments.rto_seconds, 1),
            "rto_parts": {name: round(value, 1) for name, value in self.moments.rto_parts.items()},
            "first_new_run_seconds": None if first is None else round(first - self.moments.outage, 1),
            "started_at": _iso(self.started),
            "ended_at": _iso(self.ended),
            "seconds": round(self.ended - self.started, 1),
            "moments": moments,
            "versions": self.versions,
            "snapshot": self.snapshot,
            "tables": self.tables,
            "checks": [asdict(check) for check in self.checks],
            "replayed": self.replayed,
            "steps": self.steps,
            "events": self.events,
        }


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write report.json and report.html; returns their paths."""
    from tests.rehearsal.report_html import render

    folder.mkdir(parents=True, exist_ok=True)
    document = report.document()
    as_json, as_html = folder / "report.json", folder / "report.html"
    as_json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    as_html.write_text(render(document), encoding="utf-8")
    return as_json, as_html


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
