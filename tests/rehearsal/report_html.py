"""The report as one HTML file: no script, no external resource, readable in light and dark."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

PARTS = (
    ("detection", "Detection", "--detection"),
    ("creation", "Creation", "--creation"),
    ("restore", "Restore", "--restore"),
    ("go_live", "Go live", "--live"),
)

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1d2430; --muted: #667085; --line: #dfe3e8; --card: #ffffff;
  --good: #1a7f4b; --bad: #c0322b; --detection: #b45309; --creation: #3b6fb6; --restore: #7a56b3; --live: #1a7f4b;
  --exposed: #9aa4b2; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6e9ee; --muted: #98a2b3; --line: #2b3340;
  --card: #1b212b; --good: #4fc38a; --bad: #f0776f; --detection: #e0993e; --creation: #79a7e3; --restore: #b294e6;
  --live: #4fc38a; --exposed: #6b7686; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 40px 0 12px; }
.muted { color: var(--muted); } .good { color: var(--good); } .bad { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 24px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; }
.card b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.picture { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
.picture { overflow-x: auto; } svg { display: block; width: 100%; min-width: 720px; height: auto; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .small { font-size: 12px; fill: var(--muted); } svg .axis { stroke: var(--line); } svg .mark { stroke: var(--ink); }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--muted); font-size: 13px; } td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
td.verdict { white-space: nowrap; font-weight: 600; } td.what { width: 42%; }
code, pre { font: 13px ui-monospace, monospace; } pre { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 12px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: 16px 0; } details summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def render(document: dict[str, Any]) -> str:
    """The page for a report's JSON document."""
    verdict = "The rehearsal passed" if document["passed"] else "The rehearsal failed"
    kind = "good" if document["passed"] else "bad"
    parts = [
        f'<h1 class="{kind}">{verdict}</h1>',
        f'<p class="muted">Rehearsal of {_when(document["started_at"])}, {_seconds(document["seconds"])} in all. '
        "One Region was lost; this is what came back in the other.</p>",
        _cards(document),
        "<h2>From the cut to going live</h2>",
        f'<div class="picture">{timeline(document)}</div>',
        "<h2>Checks</h2>",
        _checks(document["checks"]),
        "<h2>Rows compared</h2>",
        _tables(document["tables"]),
        _differences(document["tables"]),
        _replayed(document["replayed"]),
        "<h2>What was run</h2>",
        _facts(document),
        _steps(document["steps"]),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Rehearsal: {verdict}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def timeline(document: dict[str, Any]) -> str:
    """An SVG of the exposed time before the outage and the parts of the RTO after it."""
    moments = {name: _epoch(value) for name, value in document["moments"].items() if value}
    begin = moments["cut"]
    end = max(moments.get("first_new_run", 0.0), moments["live"])
    left, width, top, height = 20.0, 1000.0, 64.0, 40.0
    scale = width / max(end - begin, 1.0)

    def x(at: float) -> float:
        return left + (at - begin) * scale

    exposed = f"exposed {_seconds(document['rpo_seconds'])}"
    exposed = f"exposed {_seconds(document['rpo_seconds'])}"
    drawn = [_bar(x(begin), x(moments["outage"]), top=top, height=height, colour="--exposed", text=exposed)]
    edges = ("outage", "failover_started", "available", "state_restored", "live")
    for (name, label, colour), first, last in zip(PARTS, edges, edges[1:], strict=False):
        text = f"{label.lower()} {_seconds(document['rto_parts'][name])}"
        drawn.append(_bar(x(moments[first]), x(moments[last]), top=top, height=height, colour=colour, text=text))
    labels = [("cut", "cut"), ("snapshot_complete", "snapshot complete"), ("outage", "outage"), ("live", "live")]
    if "first_new_run" in moments:
        labels.append(("first_new_run", "first new run"))
    drawn += _marks([(x(moments[name]), text) for name, text in labels], top, height)
    drawn += _axis(begin, end, x, moments["outage"], top + height + 26)
    total = left * 2 + width
    return (
        f'<svg viewBox="0 0 {total:.0f} 190" role="img" aria-label="Time line of the failover">'
        f"{''.join(drawn)}{_legend(document, 176)}</svg>"
    )


def _bar(x1: float, x2: float, *, top: float, height: float, colour: str, text: str) -> str:
    width = max(x2 - x1, 1.0)
    return (
        f'<rect x="{x1:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="3" style="fill: var({colour})">'
        f"<title>{escape(text)}</title></rect>"
    )


def _marks(marks: list[tuple[float, str]], top: float, height: float) -> list[str]:
    """Labelled lines; a label that would run into the one before goes up a row."""
    drawn: list[str] = []
    ends = [float("-inf")] * 3
    for at, text in sorted(marks):
        width = 7.2 * len(text)
        start = min(max(at - width / 2, 2.0), 1038.0 - width)
        row = next((index for index, end in enumerate(ends) if start > end + 8), len(ends) - 1)
        ends[row] = start + width
        y = top - 10 - 17 * row
        drawn.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{y + 3:.0f}" y2="{top + height:.0f}"/>')
        drawn.append(f'<text x="{start:.1f}" y="{y:.0f}">{escape(text)}</text>')
    return drawn


def _axis(begin: float, end: float, x: Any, zero: float, y: float) -> list[str]:
    step = next(s for s in (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 36000) if (end - begin) / s <= 14)
    first = int((begin - zero) // step) + 1
    drawn = []
    for number in range(first, int((end - zero) // step) + 1):
        at = zero + number * step
        sign = "+" if number > 0 else ""
        drawn.append(f'<line class="axis" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y - 20:.0f}" y2="{y - 14:.0f}"/>')
        drawn.append(
            f'<text class="small" text-anchor="middle" x="{x(at):.1f}" y="{y:.0f}">{sign}{number * step} s</text>'
        )
    return drawn


def _legend(document: dict[str, Any], y: float) -> str:
    entries = [("exposed (RPO)", "--exposed", document["rpo_seconds"])]
    entries += [(label.lower(), colour, document["rto_parts"][name]) for name, label, colour in PARTS]
    drawn, at = "", 20.0
    for label, colour, seconds in entries:
        text = f"{label} {_seconds(seconds)}"
        drawn += f'<rect x="{at:.0f}" y="{y - 11:.0f}" width="12" height="12" rx="2" style="fill: var({colour})"/>'
        drawn += f'<text x="{at + 18:.0f}" y="{y:.0f}">{escape(text)}</text>'
        at += 18 + 7.2 * len(text) + 24
    return drawn


def _cards(document: dict[str, Any]) -> str:
    failed = sum(not check["passed"] for check in document["checks"])
    rows = sum(table["rows_source"] for table in document["tables"])
    cards = [
        (str(document["differences"]), f"differences in {_count(rows)} rows", document["differences"] == 0),
        (_seconds(document["rpo_seconds"]), "RPO: from the cut to the outage", None),
        (_seconds(document["rto_seconds"]), "RTO: from the outage to going live", None),
        (f"{len(document['checks']) - failed} of {len(document['checks'])}", "checks passed", failed == 0),
    ]
    shown = ""
    for value, label, good in cards:
        kind = "" if good is None else (' class="good"' if good else ' class="bad"')
        shown += f'<div class="card"><b{kind}>{escape(value)}</b><span class="muted">{escape(label)}</span></div>'
    return f'<div class="cards">{shown}</div>'


def _checks(checks: list[dict[str, Any]]) -> str:
    rows = ""
    for check in sorted(checks, key=lambda check: check["passed"]):
        kind, verdict = ("good", "passed") if check["passed"] else ("bad", "failed")
        rows += f'<tr><td class="verdict {kind}">{verdict}</td>'
        rows += f'<td class="what">{escape(check["name"])}</td>'
        rows += f"<td>{escape(check['detail'])}</td></tr>"
    return f"<table><thead><tr><th>Verdict</th><th>What</th><th>Found</th></tr></thead><tbody>{rows}</tbody></table>"


def _tables(tables: list[dict[str, Any]]) -> str:
    rows = ""
    for table in tables:
        rows += f"<tr><td><code>{escape(table['name'])}</code></td>"
        rows += _number(table["rows_source"]) + _number(table["rows_restored"])
        rows += _number(table["mismatched"], bad=table["mismatched"] > 0) + "</tr>"
    head = "<th>Table</th>" + "".join(
        f'<th class="number">{name}</th>' for name in ("Source", "Restored", "Mismatched")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _number(value: int, bad: bool = False) -> str:
    return f'<td class="number{" bad" if bad else ""}">{_count(value)}</td>'


def _differences(tables: list[dict[str, Any]]) -> str:
    lines = [line for table in tables for line in table.get("differences", [])]
    if not lines:
        return ""
    return f"<h2>Differences</h2><pre>{escape(chr(10).join(lines))}</pre>"


def _replayed(replayed: list[str]) -> str:
    if not replayed:
        return ""
    listed = escape("\n".join(replayed))
    return f"<details><summary>{len(replayed)} task instances were replayed</summary><pre>{listed}</pre></details>"


def _facts(document: dict[str, Any]) -> str:
    facts = {**document["versions"], **document["snapshot"]}
    readable = {name: _count(value) if isinstance(value, int) else str(value) for name, value in facts.items()}
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in readable.items())
    return f'<div class="card"><dl>{shown}</dl></div>'


def _steps(steps: list[dict[str, Any]]) -> str:
    if not steps:
        return ""
    rows = "".join(
        f'<tr><td>{escape(step["name"])}</td><td class="number">{_seconds(step["seconds"])}</td></tr>' for step in steps
    )
    head = '<tr><th>Step</th><th class="number">Took</th></tr>'
    return f"<h2>Steps</h2><table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


def _seconds(value: float) -> str:
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s"


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")
