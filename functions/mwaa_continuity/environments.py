"""The environment of this Region, or of the other one, as MWAA tells of it."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws
from mwaa_continuity.errors import EnvironmentNotUsable
from mwaa_continuity.settings import Settings

#: An environment whose update failed goes on running as it was.
USABLE: Final = ("AVAILABLE", "UPDATE_FAILED")
#: Tag of an environment that a drill made: its value is the name of the execution.
DRILL_TAG: Final = "continuity:drill"

#: An environment in one of these cannot be adopted; what to do about it.
IN_THE_WAY: Final = {
    "CREATE_FAILED": "its creation failed: delete it, and what was begun can go on",
    "UNAVAILABLE": "MWAA calls it unavailable: delete it, and what was begun can go on",
    "DELETING": "it is being deleted: what was begun can go on when it is gone",
}


def find_environment(name: str, region: str | None = None) -> dict[str, Any] | None:
    """What GetEnvironment says of the environment, in the own Region unless told otherwise, or none.

    MWAA still tells of some that were deleted, by status.
    """
    try:
        environment: dict[str, Any] = aws.client("mwaa", region).get_environment(Name=name)["Environment"]
    except ClientError as error:
        if aws.is_absent(error):
            return None
        raise
    return environment


def existing_environment(name: str, region: str | None = None) -> dict[str, Any] | None:
    """The same, none as well where it was deleted."""
    environment = find_environment(name, region)
    return None if environment is None or environment["Status"] == "DELETED" else environment


def adoptable_environment(settings: Settings) -> dict[str, Any] | None:
    """The environment, if there is one. Raises `EnvironmentNotUsable` where it cannot be adopted."""
    environment = existing_environment(settings.environment)
    reason = IN_THE_WAY.get(environment["Status"]) if environment else None
    if reason:
        raise EnvironmentNotUsable(f"environment {settings.environment} in {settings.region}: {reason}")
    return environment
