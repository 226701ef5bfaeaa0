"""Secrets of a snapshot in clear text, in a file that only its owner can read: for a restore by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from continuity import secrets
from continuity.errors import BadInput, SnapshotDamaged
from continuity.manifest import read_manifest
from continuity.storage import SnapshotStore
from continuity.verify import unsealed_rows

TABLES = ("connection", "variable", "trigger")
#: What `airflow connections import` takes of a connection.
CONNECTION = ("conn_type", "description", "host", "login", "password", "schema", "extra")


def write_rows(store: SnapshotStore, kms: Any, snapshot_id: str, *, key_id: str | None, table: str, to: Path) -> int:
    """Open one sealed table and write it to a new file of mode 0600; returns the rows.

    Connections and variables as `airflow ... import` takes them, triggers as an array of their rows. Raises BadInput
    where the file is there already, SnapshotDamaged, KeyRefused.
    """
    manifest = read_manifest(store, snapshot_id)
    entry = manifest.table(table)
    if entry is None:
        raise SnapshotDamaged("manifest.json", f"there is no table {table} in this snapshot")
    key = secrets.open_data_key(kms, key_id, manifest.encrypted_data_key, manifest.key_context)
    rows = [row for stored in entry.objects for row in unsealed_rows(store, snapshot_id, entry, stored, key)]
    _write_new(to, json.dumps(importable(table, rows), indent=1, ensure_ascii=False).encode() + b"\n")
    return len(rows)


def importable(table: str, rows: Iterable[dict[str, Any]]) -> Any:
    """The document for one table."""
    if table == "connection":
        return {row["conn_id"]: _connection(row) for row in rows}
    if table == "variable":
        # Plain texts, which every version imports as they are; only Airflow 3 imports descriptions. One that holds
        # NULL, which Airflow reads as not being there, cannot be said.
        return {row["key"]: row["val"] for row in rows if row["val"] is not None}
    return list(rows)


def _connection(row: dict[str, Any]) -> dict[str, Any]:
    port = row.get("port")
    return {**{name: row.get(name) for name in CONNECTION}, "port": int(port) if port is not None else None}


def _write_new(path: Path, content: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError:
        raise BadInput("--to", f"{path} is there already", "a file that does not exist yet") from None
    except OSError as error:
        raise BadInput("--to", f"{path} cannot be written ({type(error).__name__})", "a file in a folder") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
