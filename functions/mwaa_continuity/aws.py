"""AWS clients with short patience, and one way to read their errors."""

from __future__ import annotations

from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)

from mwaa_continuity.errors import AwsRefused, ContinuityError, Transient

#: Calls within the own Region: a state machine retries what still fails.
PATIENT: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})

#: Calls that a dead Region must not hold up: at most two attempts, 12 seconds for each call.
QUICK: Final = Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2, "mode": "standard"})

THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
ABSENT: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NotFound", "404", "ResourceNotFoundException"})


def client(service: str, region: str | None = None, config: Config = PATIENT) -> Any:
    """A client of a service, in the own Region unless told otherwise."""
    create: Any = boto3.client
    return create(service, region_name=region, config=config)


def code(error: ClientError) -> str:
    """The code of an error that a service answered."""
    return str(error.response.get("Error", {}).get("Code", ""))


def http_status(error: ClientError) -> int:
    """The HTTP status of an error that a service answered, 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_absent(error: ClientError) -> bool:
    """Whether the service says that there is no such thing."""
    return code(error) in ABSENT


def is_transient(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may work in a moment."""
    if isinstance(error, ClientError):
        return code(error) in THROTTLED or http_status(error) >= 500
    return isinstance(error, NoConnection | HTTPClientError)


def translated(error: BotoCoreError | ClientError) -> ContinuityError:
    """The error as the state machines know it: `Transient` is tried again, `AwsRefused` is not."""
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message", ""))
        said = f"{error.operation_name} answered {code(error) or http_status(error)}: {message}"
    elif isinstance(error, ParamValidationError):
        said = "ParamValidationError: a parameter does not fit the service's model"  # its text would repeat values
    else:
        said = f"{type(error).__name__}: {error}"
    return Transient(said) if is_transient(error) else AwsRefused(said)
