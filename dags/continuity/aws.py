"""Clients of AWS, which keep what they carry out of the log."""

from __future__ import annotations

import logging
from typing import Any

import boto3
from botocore.config import Config

#: Several task processes of one worker may start at once; standard retries spread them.
PATIENT = Config(retries={"mode": "standard", "max_attempts": 8})
#: For what is done every minute: a beat that cannot be put within its minute is a missed beat.
IMPATIENT = Config(connect_timeout=5, read_timeout=5, retries={"max_attempts": 2})


def client(service: str, region: str, config: Config = PATIENT) -> Any:
    """A client of a service in a Region."""
    keep_quiet()
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]


def keep_quiet() -> None:
    """At DEBUG botocore logs whole requests and answers: data keys in clear text and task tokens among them."""
    logger = logging.getLogger("botocore")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
