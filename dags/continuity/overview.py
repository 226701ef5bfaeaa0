"""What is said of a snapshot: as a JSON document, and as lines for a person. Names and counts, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from continuity.manifest import Manifest, TableEntry
from continuity.verify import Fault, Report

Document = dict[str, Any]
NAMED = 20


def verification_document(report: Report, now: datetime) -> Document:
    """What reading a snapshot back came to, object by object."""
    manifest = report.manifest
    return {
        **_heading(manifest, now),
        "verdict": "good" if report.sound else "damaged",
        "rows": manifest.rows,
        "bytes": manifest.stored_bytes,
        "objects": report.objects,
        "tables": [
            {
                "name": table.name,
                "verdict": table.verdict,
                "rows": table.rows,
                "objects": [
                    {
                        "name": entry.name,
                        "phase": entry.phase,
                        "rows": entry.rows,
                        "bytes": entry.bytes,
                        "fault": report.fault_of(entry.name),
                    }
                    for entry in table.own_objects
                ],
            }
            for table in manifest.tables
        ],
        "spec": {"name": "spec.json", "fault": report.fault_of("spec.json")} if manifest.spec else None,
        "faults": [{"name": fault.name, "why": fault.why} for fault in report.faults],
    }


def verification_lines(document: Document) -> Iterator[str]:
    """One line a table, what is wrong below it, the verdict last."""
    yield from _heading_lines(document)
    rows = [("", "table", "rows", "bytes", "objects")]
    below: dict[str, list[str]] = {}
    for table in document["tables"]:
        wrong = [entry for entry in table["objects"] if entry["fault"]]
        mark = "DAMAGED" if wrong else "sealed" if table["verdict"] == "sealed" else "ok"
        size = sum(entry["bytes"] for entry in table["objects"])
        rows.append((mark, table["name"], str(table["rows"]), str(size), str(len(table["objects"]))))
        below[table["name"]] = [f"           {entry['name']}: {entry['fault']}" for entry in wrong]
    for row, line in zip(rows, _aligned(rows), strict=True):
        yield line
        yield from below.get(row[1], ())
    told = {entry["name"] for table in document["tables"] for entry in table["objects"]}
    for fault in document["faults"]:
        if fault["name"] not in told:
            yield f"  DAMAGED  {fault['name']}: {fault['why']}"
    if document["spec"] is None:
        yield "  no spec is part of it: a restore takes the environment's published one"
    yield ""
    if document["verdict"] == "good":
        yield (
            f"good: {len(document['tables'])} tables, {document['rows']} rows in {document['objects']} objects, "
            f"{document['bytes']} bytes, every sealed one opened"
        )
    else:
        names = [fault["name"] for fault in document["faults"]]
        yield f"damaged: {len(names)} of {document['objects']} objects are wrong: {', '.join(names)}"


def contents_document(manifest: Manifest, faults: Sequence[Fault] | None, now: datetime) -> Document:
    """What a snapshot holds, from its manifest alone. `faults`: of its last reading back, None where there was none."""
    return {
        **_heading(manifest, now),
        "read_back": _read_back(faults),
        "alembic_heads": dict(manifest.alembic_heads),
        "postgres_version": manifest.postgres_version,
        "started_at": manifest.started_at,
        "completed_at": manifest.completed_at,
        "rows": manifest.rows,
        "bytes": manifest.stored_bytes,
        "tables": [_table(table) for table in manifest.tables],
        "skipped": manifest.skipped,
        "unknown_tables": manifest.unknown_tables,
        "paused": dict(manifest.paused),
        "in_flight": manifest.in_flight,
        "spec": dict(manifest.spec) if manifest.spec else None,
    }


def contents_lines(document: Document) -> Iterator[str]:
    yield from _heading_lines(document)
    heads = "; ".join(f"{name} {', '.join(found)}" for name, found in document["alembic_heads"].items())
    yield f"  schema {heads}; PostgreSQL {document['postgres_version']}"
    yield f"  taken from {document['started_at']} to {document['completed_at']}; read back: {document['read_back']}"
    yield f"  spec: {'spec.json' if document['spec'] else 'none'}"
    yield ""
    rows = [("table", "", "state rows", "bytes", "history rows", "bytes")]
    for table in document["tables"]:
        phases = table["phases"]
        counts = [str(phases[p][n]) if p in phases else "-" for p in ("state", "history") for n in ("rows", "bytes")]
        rows.append((table["name"], "sealed" if table["verdict"] == "sealed" else "", *counts))
    yield from _aligned(rows)
    yield f"  {len(document['tables'])} tables, {document['rows']} rows, {document['bytes']} bytes"
    yield ""
    yield "left out:"
    yield from _aligned([(entry["name"], entry["why"]) for entry in document["skipped"]], text=True)
    unknown = ", ".join(document["unknown_tables"]) or "none"
    yield f"tables that were carried though nothing is known of them: {unknown}"
    paused = [dag_id for dag_id, flag in document["paused"].items() if flag]
    running = [dag_id for dag_id, flag in document["paused"].items() if not flag]
    yield f"unpaused at the cut ({len(running)}): {_listed(running)}"
    yield f"paused at the cut ({len(paused)}): {_listed(paused)}"
    yield f"in flight at the cut ({len(document['in_flight'])}):"
    instances = [
        (state or "", f"{dag_id} / {run_id} / {task_id}{f' [{index}]' if index >= 0 else ''}")
        for dag_id, run_id, task_id, index, state in document["in_flight"]
    ]
    yield from _aligned(instances[:NAMED], text=True)
    if len(instances) > NAMED:
        yield f"  and {len(instances) - NAMED} more (--json has all)"


def listing_lines(documents: Sequence[Document], left: int) -> Iterator[str]:
    """One line a snapshot, newest first. `left`: how many older ones are not listed."""
    if not documents:
        yield "there is no snapshot"
        return
    rows: list[tuple[str, ...]] = [("snapshot", "age", "Airflow", "mode", "kind", "rows", "bytes", "read back")]
    for document in documents:
        if "why" in document:
            rows.append((document["snapshot_id"], "-", "-", "-", "-", "-", "-", document["why"]))
        else:
            keys = ("snapshot_id", "age", "airflow_version", "mode", "kind", "rows", "bytes", "read_back")
            kind = "delta" if document["base"] else "base"
            found = {**document, "age": age_text(document["age_seconds"]), "kind": kind}
            rows.append(tuple(str(found[key]) for key in keys))
    yield from _aligned(rows, text=True)
    if left:
        yield f"  and {left} older"


def listing_document(manifest: Manifest, faults: Sequence[Fault] | None, now: datetime) -> Document:
    """A snapshot in the list of an environment's."""
    heading = _heading(manifest, now)
    return {**heading, "rows": manifest.rows, "bytes": manifest.stored_bytes, "read_back": _read_back(faults)}


def age_text(seconds: float) -> str:
    """`95 s`, `26 min`, `31 h`, `12 days`: the largest unit of which there are at least two."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _heading(manifest: Manifest, now: datetime) -> Document:
    cut = datetime.fromisoformat(manifest.cut_at).astimezone(UTC)
    return {
        "snapshot_id": manifest.snapshot_id,
        "environment": manifest.environment,
        "region": manifest.region,
        "mode": manifest.mode,
        "base": manifest.base,
        "airflow_version": manifest.airflow_version,
        "cut_at": manifest.cut_at,
        "age_seconds": round((now - cut).total_seconds()),
    }


def _heading_lines(document: Document) -> Iterator[str]:
    yield f"snapshot {document['snapshot_id']} of {document['environment']} ({document['region']})"
    yield (
        f"  cut at {document['cut_at']}, {age_text(document['age_seconds'])} old; "
        f"Airflow {document['airflow_version']}, mode {document['mode']}"
        + (f"; delta of {document['base']}" if document["base"] else "")
    )


def _table(table: TableEntry) -> Document:
    phases = {}
    if table.state:
        phases["state"] = {"rows": table.state.rows, "bytes": table.state.bytes}
    if table.history:
        own = sum(entry.bytes for entry in table.own_objects if entry.phase == "history")
        phases["history"] = {"rows": table.history_rows, "bytes": own}
    return {"name": table.name, "verdict": table.verdict, "rows": table.rows, "phases": phases}


def _read_back(faults: Sequence[Fault] | None) -> str:
    if faults is None:
        return "not yet"
    return f"DAMAGED: {', '.join(fault.name for fault in faults)}" if faults else "good"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more (--json has all)" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _aligned(rows: Iterable[Sequence[str]], text: bool = False) -> Iterator[str]:
    """Columns below each other: the first two to the left, the others to the right; with `text` all to the left."""
    rows = list(rows)
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if text or column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
