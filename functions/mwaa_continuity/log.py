"""JSON log lines with a correlation id.

Only fields of a fixed list are written, so that a task token or a configuration value cannot get into a log by a
careless caller; the names of other fields are listed under `left_out`.
"""

from __future__ import annotations

import json
import os
import time
from typing import Final

Field = str | int | float | bool | None

LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}

FIELDS: Final = frozenset(
    {
        "anchor",
        "base",
        "bucket",
        "bytes",
        "check",
        "conflicts",
        "cooldown_seconds",
        "copied",
        "dag_id",
        "deleted",
        "error",
        "error_type",
        "job_id",
        "kept",
        "key",
        "left",
        "objects",
        "outcome",
        "polls",
        "ready",
        "region",
        "removed",
        "rpo_seconds",
        "run_id",
        "seconds",
        "snapshot_id",
        "source",
        "status",
        "superseded",
        "token",
        "verdict",
        "why",
    }
)


class Log:
    """Writes one JSON object per line to standard output, which Lambda sends to the log group of the function."""

    def __init__(self, function: str, request_id: str, action: str = "") -> None:
        self.context: dict[str, Field] = {"function": function, "action": action, "request_id": request_id}
        wanted = os.environ.get("LOG_LEVEL", "INFO").upper()
        self.threshold = LEVELS.get(wanted, LEVELS["INFO"])

    def debug(self, message: str, **fields: Field) -> None:
        """Write a line that only LOG_LEVEL=DEBUG shows."""
        self._write("DEBUG", message, fields)

    def info(self, message: str, **fields: Field) -> None:
        """Write what was done."""
        self._write("INFO", message, fields)

    def warning(self, message: str, **fields: Field) -> None:
        """Write what went wrong without ending the work."""
        self._write("WARNING", message, fields)

    def failure(self, message: str, **fields: Field) -> None:
        """Write what ended the work."""
        self._write("ERROR", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, Field]) -> None:
        if LEVELS[level] < self.threshold:
            return
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "level": level,
            "message": message,
            **self.context,
            "environment": os.environ.get("ENVIRONMENT_NAME", ""),
        }
        line.update({name: value for name, value in fields.items() if name in FIELDS})
        left_out = sorted(set(fields) - FIELDS)
        if left_out:
            line["left_out"] = left_out
        print(json.dumps(line), flush=True)
