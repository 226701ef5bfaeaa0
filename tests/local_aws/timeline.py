"""What happened on the stand-in, in order: the lines that `GET /_local/events` shows."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any


class Timeline:
    """An append-only list of events, kept in memory and written to a JSON lines file as it grows."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []

    def record(self, kind: str, region: str, **detail: Any) -> None:
        """Add one event; its time is now, in epoch seconds."""
        event = {"at": round(time.time(), 3), "kind": kind, "region": region, **detail}
        line = json.dumps(event, default=str)
        with self._lock:
            self._events.append(event)
            self._file.write(line + "\n")

    def events(self) -> list[dict[str, Any]]:
        """Every event so far, oldest first."""
        with self._lock:
            return list(self._events)
