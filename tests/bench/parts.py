"""Where the time of a piece of work goes: wall seconds spent in chosen functions of the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

#: Module, function (or class.method) -> what it is called. `{}` stands for the name of the table it is about.
OF_SNAPSHOT = {
    ("continuity.snapshot", "find_state_ids"): "choose the state",
    ("continuity.layout", "survey"): "count rows by pages",
    ("continuity.writing", "Writer.write_all"): "copy, compress, store",
    ("continuity.writing", "Writer.write_layout"): "say where rows lie",
}
OF_RESTORE = {
    ("continuity.restore", "check_objects"): "check every object",
    ("continuity.restore", "_carry_state"): "carry the state",
    ("continuity.restore", "_carry_history_of"): "history of {}",
}


class Parts:
    """Seconds by part; a part that two sessions are at counts for each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def watch(self, functions: dict[tuple[str, str], str]) -> None:
        """Have these functions timed from now on, in this process."""
        for (module, path), name in functions.items():
            owner: Any = import_module(module)
            *outer, last = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            setattr(owner, last, self._timed(getattr(owner, last), name))

    def _timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(function)
        def timed(*values: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*values, **named)
            finally:
                part = name.format(_table(values)) if "{}" in name else name
                with self._lock:
                    self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

        return timed


def _table(values: tuple[Any, ...]) -> str:
    """The name of the table that a call is about."""
    from continuity.manifest import TableEntry

    return next(value.name for value in values if isinstance(value, TableEntry))
