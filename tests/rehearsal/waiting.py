"""Waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable


class NotReached(Exception):
    """A state did not come about in time; the message says what was missing."""


def wait_until(
    reached: Callable[[], str], seconds: float, what: str, doing: Callable[[str], None] = lambda _: None
) -> None:
    """Poll until `reached` answers nothing; it answers what is missing. Raises NotReached with the last answer."""
    deadline = time.monotonic() + seconds
    while missing := reached():
        if time.monotonic() > deadline:
            raise NotReached(f"{what}: not reached within {seconds:.0f} s; missing: {missing}")
        doing(missing)
        time.sleep(1)
