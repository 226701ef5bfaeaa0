"""A bucket with snapshots, where a test asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.unit.engine.stored import REGION, Stored
from tests.unit.functions.conftest import service_models_are_read_once

__all__ = ["service_models_are_read_once"]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    """An empty bucket and a key, by moto in this process."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Stored.make(boto3.client("s3", region_name=REGION), boto3.client("kms", region_name=REGION))
