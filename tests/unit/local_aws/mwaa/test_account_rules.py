"""What MWAA demands of the key an environment is encrypted with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.local_aws.mwaa.account_rules import _check_key

REGION = "eu-west-1"


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """KMS of one Region, with moto's keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)


def test_a_key_of_one_region_is_accepted_by_arn_and_by_id(kms: Any) -> None:
    """MWAA's guide: key ids and ARNs are supported."""
    key = kms.create_key()["KeyMetadata"]

    _check_key(kms, REGION, key["Arn"])
    _check_key(kms, REGION, key["KeyId"])


def test_an_alias_is_refused(kms: Any) -> None:
    """Failure covered: an environment that is given an alias, which MWAA's guide does not support."""
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/analytics", TargetKeyId=key["KeyId"])

    for name in ("alias/analytics", f"arn:aws:kms:{REGION}:123456789012:alias/analytics"):
        with pytest.raises(Exception, match="is an alias; accepted: the id or ARN of a key"):
            _check_key(kms, REGION, name)


def test_a_multi_region_key_is_refused(kms: Any) -> None:
    """Failure covered: an environment that is given a multi-Region key, which MWAA's guide does not support."""
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]

    with pytest.raises(Exception, match="is a multi-Region key; accepted: a key of eu-west-1 alone"):
        _check_key(kms, REGION, key["Arn"])


def test_a_key_of_another_region_is_refused(kms: Any) -> None:
    """Failure covered: the primary's KMS key sent to the other Region."""
    with pytest.raises(Exception, match="is not in eu-west-1"):
        _check_key(kms, REGION, "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")
