"""The report as one HTML file: no script, no external resource, readable in light and dark."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

from tests.rehearsal.readable import count_of, seconds_of
from tests.rehearsal.report_picture import timeline

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --ink: #1d2430; --muted: #667085; --line: #dfe3e8; --card: #ffffff;
  --good: #1a7f4b; --bad: #c0322b; --amber: #b45309; --blue: #3b6fb6; --violet: #7a56b3; --green: #1a7f4b;
  --grey: #9aa4b2; --teal: #0f7d86; --rose: #b0416f; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6e9ee; --muted: #98a2b3; --line: #2b3340;
  --card: #1b212b; --good: #4fc38a; --bad: #f0776f; --amber: #e0993e; --blue: #79a7e3; --violet: #b294e6;
  --green: #4fc38a; --grey: #6b7686; --teal: #4fb8c0; --rose: #e07aa5; } }
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
        f'<p class="muted">Rehearsal <code>{escape(document["scenario"])}</code> of {_when(document["started_at"])}, '
        f"{seconds_of(document['seconds'])} in all. {escape(document['timeline']['lead'])}</p>",
        _cards(document),
        f"<h2>{escape(document['timeline']['title'])}</h2>",
        f'<div class="picture">{timeline(document["timeline"])}</div>',
        "<h2>Checks</h2>",
        _checks(document["checks"]),
        "<h2>Rows compared</h2>",
        _tables(document["tables"]),
        _differences(document["tables"]),
        _replayed(document["replayed"]),
        _dashboard(document["dashboard"]),
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


def _cards(document: dict[str, Any]) -> str:
    failed = sum(not check["passed"] for check in document["checks"])
    rows = sum(table["rows_source"] for table in document["tables"])
    cards = [
        (str(document["differences"]), f"differences in {count_of(rows)} rows", document["differences"] == 0),
        *(
            (seconds_of(figure["seconds"]), f"{figure['name']}: {figure['meaning']}", None)
            for figure in document["figures"]
        ),
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
    return f'<td class="number{" bad" if bad else ""}">{count_of(value)}</td>'


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


def _dashboard(shown: list[dict[str, Any]]) -> str:
    if not shown:
        return ""
    rows = ""
    for graph in shown:
        value = "never published" if graph["value"] is None else f"{graph['value']:.6g}"
        rows += f"<tr><td><code>{escape(graph['metric'])}</code></td><td>{escape(graph['statistic'])}</td>"
        rows += f'<td class="number">{value}</td></tr>'
    head = '<tr><th>Metric</th><th>Statistic over the run</th><th class="number">Value</th></tr>'
    return f"<h2>What its dashboard shows</h2><table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _facts(document: dict[str, Any]) -> str:
    facts = {**document["versions"], **document["snapshot"]}
    readable = {name: count_of(value) if isinstance(value, int) else str(value) for name, value in facts.items()}
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in readable.items())
    return f'<div class="card"><dl>{shown}</dl></div>'


def _steps(steps: list[dict[str, Any]]) -> str:
    if not steps:
        return ""
    rows = "".join(
        f'<tr><td>{escape(step["name"])}</td><td class="number">{seconds_of(step["seconds"])}</td></tr>'
        for step in steps
    )
    head = '<tr><th>Step</th><th class="number">Took</th></tr>'
    return f"<h2>Steps</h2><table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
