"""This Region's environment, as MWAA tells of it."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws

#: An environment whose update failed goes on running as it was.
USABLE: Final = ("AVAILABLE", "UPDATE_FAILED")


def find_environment(name: str) -> dict[str, Any] | None:
    """What GetEnvironment says of the environment, or none: MWAA still tells of some that were deleted, by status."""
    try:
        environment: dict[str, Any] = aws.client("mwaa").get_environment(Name=name)["Environment"]
    except ClientError as error:
        if aws.is_absent(error):
            return None
        raise
    return environment


def existing_environment(name: str) -> dict[str, Any] | None:
    """The same, none as well where it was deleted."""
    environment = find_environment(name)
    return None if environment is None or environment["Status"] == "DELETED" else environment
