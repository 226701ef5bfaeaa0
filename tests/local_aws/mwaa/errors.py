"""Errors of the MWAA API."""

from __future__ import annotations

from typing import Any


class ServiceError(Exception):
    """An error that the API answers with; `code` is one that botocore's mwaa model knows."""

    def __init__(self, code: str, message: str, members: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: dict[str, Any] = members if members is not None else {"message": message}


def invalid(message: str) -> ServiceError:
    """The request is not acceptable."""
    return ServiceError("ValidationException", message)


def not_found(what: str) -> ServiceError:
    """What was named does not exist."""
    return ServiceError("ResourceNotFoundException", f"{what} not found.")
