"""The variables of a function, checked like an event: a missing one is named."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mwaa_continuity.errors import BadInput


def variable(name: str) -> str:
    """A variable of the function. Raises `BadInput` where it is missing or empty."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise BadInput(f"{name} is not set; accepted: a non-empty variable of the function")
    return value


def optional_variable(name: str) -> str | None:
    """A variable of the function, none where it is missing or empty."""
    return os.environ.get(name, "").strip() or None


def whole_number(name: str, default: int | None = None) -> int:
    """A variable that holds a whole number of at least 0. Raises `BadInput` where it holds something else."""
    if default is not None and not os.environ.get(name, "").strip():
        return default
    value = variable(name)
    if not value.isascii() or not value.isdigit():
        raise BadInput(f"{name} is not a whole number; accepted: 0 or more")
    return int(value)


@dataclass(frozen=True)
class Settings:
    """What every function knows."""

    environment: str
    region: str

    @classmethod
    def read(cls) -> Settings:
        """From the variables of the function."""
        return cls(environment=variable("ENVIRONMENT_NAME"), region=variable("AWS_REGION"))
