"""The result of a rehearsal, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
class Part:
    """One bar of the time line, from one moment to another (epoch seconds). `colour`: one of the page's."""

    label: str
    colour: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True)
class Figure:
    """A number that people ask for: its member in the JSON document, its short name, and what it measures."""

    member: str
    name: str
    seconds: float
    meaning: str


@dataclass(frozen=True)
class Story:
    """What a scenario tells of its time. Moments are epoch seconds."""

    lead: str
    title: str
    #: Where the axis of the time line begins to count.
    zero: float
    #: One after the other, without gaps.
    parts: Sequence[Part]
    #: Labelled moments of the time line.
    marks: Sequence[tuple[str, float]]
    figures: Sequence[Figure]
    #: Every moment there is, by name.
    moments: Mapping[str, float | None]
    #: Further members of the JSON document.
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """Everything a rehearsal found. `tables` holds name, rows_source, rows_restored, mismatched, differences;
    `dashboard` metric, statistic, value."""

    scenario: str
    started: float
    ended: float
    story: Story
    tables: list[dict[str, Any]]
    checks: list[Check]
    versions: dict[str, str]
    steps: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    snapshot: dict[str, Any] = field(default_factory=dict)
    dashboard: list[dict[str, Any]] = field(default_factory=list)

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
        story = self.story
        return {
            "scenario": self.scenario,
            "passed": self.passed,
            "differences": self.differences,
            **{figure.member: round(figure.seconds, 1) for figure in story.figures},
            **story.more,
            "started_at": _iso(self.started),
            "ended_at": _iso(self.ended),
            "seconds": round(self.ended - self.started, 1),
            "moments": {name: _iso(value) for name, value in story.moments.items()},
            "timeline": {
                "lead": story.lead,
                "title": story.title,
                "zero": _iso(story.zero),
                "parts": [
                    {
                        "label": part.label,
                        "colour": part.colour,
                        "begin": _iso(part.begin),
                        "end": _iso(part.end),
                        "seconds": round(part.seconds, 1),
                    }
                    for part in story.parts
                ],
                "marks": [{"label": label, "at": _iso(at)} for label, at in story.marks],
            },
            "figures": [
                {"name": figure.name, "seconds": round(figure.seconds, 1), "meaning": figure.meaning}
                for figure in story.figures
            ],
            "versions": self.versions,
            "snapshot": self.snapshot,
            "tables": self.tables,
            "dashboard": self.dashboard,
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
