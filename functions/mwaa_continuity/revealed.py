"""Under which lease the environment of this Region had its user DAGs revealed: one object of the snapshot bucket."""

from __future__ import annotations

import json
from typing import Any

from mwaa_continuity.environments import existing_environment
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.stored_spec import parse, read_object


def object_key(settings: Settings) -> str:
    """Where it is kept."""
    return f"spec/{settings.environment}/revealed.{settings.region}.json"


def record(settings: Settings, since: int) -> dict[str, int] | None:
    """What is remembered: since when the lease is held, and which environment it was, by its creation."""
    environment = existing_environment(settings.environment)
    if environment is None:
        return None
    return {"since": since, "environment_created_at": int(environment["CreatedAt"].timestamp())}


def remember(s3: Any, settings: Settings, since: int) -> None:
    """Note that the DAGs of the environment that is there are revealed under the lease taken at `since`."""
    now = record(settings, since)
    if now is not None:
        s3.put_object(Bucket=variable("SNAPSHOT_BUCKET"), Key=object_key(settings), Body=json.dumps(now).encode())


def under(s3: Any, settings: Settings, since: int) -> bool:
    """Whether the environment that is there was revealed under the lease taken at `since`."""
    now = record(settings, since)
    if now is None:
        return False
    found = read_object(s3, variable("SNAPSHOT_BUCKET"), object_key(settings))
    return found is not None and parse(found.body, object_key(settings)) == now
