"""Wait for what is to come about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_PAUSE_SECONDS = 0.2


def until(what: str, condition: Callable[[], Any], seconds: float, seen: Callable[[], Any] = str) -> Any:
    """The first true answer of the condition; `seconds` allow for a machine that does other things as well.

    Raises AssertionError with `what`, and with what `seen` finds instead.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s {seen()}"
        time.sleep(_PAUSE_SECONDS)
    return answer
