"""Faults on request: the next N matching calls fail with an error of the caller's choice."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any


class BadFault(ValueError):
    """The request to `/_local/fault` is not valid; the message names the field."""


@dataclass
class Fault:
    """One rule; None matches anything. `service` is any name of the service, e.g. `monitoring` or `cloudwatch`."""

    service: str
    operation: str | None
    region: str | None
    error: str
    status: int
    left: int

    def matches(self, names: frozenset[str], operation: str | None, region: str) -> bool:
        """Whether a call of that service, operation and Region is meant."""
        return (
            self.left > 0
            and self.service in names
            and self.operation in (None, operation)
            and self.region in (None, region)
        )


class Faults:
    """The faults that wait for their calls."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, request: dict[str, Any]) -> None:
        """Add a fault from the JSON of a control request; raises BadFault."""
        known = {"service", "operation", "region", "error", "status", "count"}
        if unknown := sorted(set(request) - known):
            raise BadFault(f"{unknown[0]}: unknown field; accepted: {', '.join(sorted(known))}")
        if not isinstance(request.get("service"), str):
            raise BadFault(
                "service: missing or not a string; accepted: a signing name such as `states` or `monitoring`"
            )
        status, count = request.get("status", 400), request.get("count", 1)
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise BadFault(f"status: {status!r}; accepted: an HTTP status from 400 to 599")
        if not isinstance(count, int) or count < 1:
            raise BadFault(f"count: {count!r}; accepted: a whole number from 1")
        fault = Fault(
            service=request["service"],
            operation=request.get("operation"),
            region=request.get("region"),
            error=request.get("error", "ThrottlingException"),
            status=status,
            left=count,
        )
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def take(self, names: frozenset[str], operation: str | None, region: str) -> Fault | None:
        """The fault that hits this call, counted down; None when none does."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(names, operation, region):
                    fault.left -= 1
                    return fault
        return None
