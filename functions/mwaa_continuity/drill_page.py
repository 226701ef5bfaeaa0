"""The report of a drill as a page that needs nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

TITLES: Final = {"passed": "The drill passed", "missed": "The drill missed a target", "failed": "The drill failed"}
STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; }
h1.passed { color: var(--good); } h1.missed, h1.failed { color: var(--bad); }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .5rem; text-align: left; vertical-align: top; }
th { font-weight: 600; width: 40%; } td { overflow-wrap: anywhere; }
p.why { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def page(report: Mapping[str, Any]) -> str:
    """The page of a report, as `drill_report.report_of` makes it."""
    parts = report["parts"]
    facts = [
        ("Environment", f"{report['environment']} in {report['region']}"),
        ("Started", _moment(report["started_at"])),
        ("Snapshot", report["snapshot_id"]),
        ("Cut", _moment(report["cut_at"])),
        ("Restored", report["restore_mode"]),
        ("RPO", _against(report["rpo_seconds"], report["rpo_target_seconds"])),
        ("RTO: until the state was restored", _against(report["rto_seconds"], report["rto_target_seconds"])),
        ("of which until the environment was there", _duration(parts["environment_seconds"])),
        ("of which to restore the state", _duration(parts["restore_seconds"])),
        ("Then the history", _duration(parts["history_seconds"])),
        ("Rows counted", None if report["rows"] is None else f"{report['rows']:,} in {report['tables']} tables"),
        ("Execution", report["execution"]),
    ]
    rows = "\n".join(f"<tr><th>{escape(name)}</th><td>{escape(_told(value))}</td></tr>" for name, value in facts)
    title = TITLES[report["outcome"]]
    why = f'<p class="why">{escape(report["why"])}</p>\n' if report["why"] else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}: {escape(report["environment"])}, {_moment(report["started_at"])}</title>
<style>{STYLE}</style>
</head>
<body>
<h1 class="{report["outcome"]}">{escape(title)}</h1>
{why}<table>
{rows}
</table>
{_listed("Differences", report["differences"])}{_listed("Snapshots that were passed over", _passed_over(report))}</body>
</html>
"""


def _passed_over(report: Mapping[str, Any]) -> list[str]:
    return [f"{found['snapshot_id']}: {found['why']}" for found in report["rejected"]]


def _listed(title: str, lines: list[str]) -> str:
    items = "\n".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{escape(title)}</h2>\n<ul>\n{items}\n</ul>\n" if lines else ""


def _told(value: object) -> str:
    return "it did not come that far" if value is None else str(value)


def _moment(instant: str | None) -> str | None:
    """To the second, in UTC."""
    return None if instant is None else f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _against(seconds: int | None, target: int | None) -> str | None:
    measured = _duration(seconds)
    return measured if measured is None or target is None else f"{measured}, promised {_duration(target)}"


def _duration(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    words = [(hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in words if number) or "0 s"
