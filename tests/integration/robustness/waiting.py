"""Wait for what is to come about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.integration.engine.oracle import ask
from tests.integration.engine.worker import Side


def until(what: str, condition: Callable[[], Any], seconds: float = 300, seen: Callable[[], Any] = str) -> None:
    """Until the condition holds; the time is for a machine that does other things as well. `seen`: what there is
    instead, for the message."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s {seen()}"
        time.sleep(0.1)


def waiting_for(side: Side, table: str) -> bool:
    """Whether a session waits for a lock on the table."""
    query = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return ask(side, query, table) == [(True,)]
