"""The guard's decision: what it makes of the lease item, and what it remembers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from continuity import guard
from continuity.errors import BadInput, ContinuityError, LeaseUnreadable, RestoreRefused
from continuity.guard import Lease, Record
from continuity.settings import Settings

SETTINGS = Settings("env", "us-east-1", "bucket", "key", "lease")
ITEM: dict[str, Any] = {
    "pk": {"S": "lease"},
    "sk": {"S": "lease"},
    "holder": {"S": "us-west-2"},
    "token": {"N": "2"},
    "live": {"BOOL": False},
}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="lease",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield client


@pytest.mark.parametrize(("holder", "elsewhere"), [("us-west-2", True), ("us-east-1", False)])
def test_another_holder_is_what_counts(dynamodb: Any, holder: str, elsewhere: bool) -> None:
    """Failure covered: no fencing: the primary is never paused, so a Region that comes back runs everything twice."""
    dynamodb.put_item(TableName="lease", Item={**ITEM, "holder": {"S": holder}})
    lease = guard.read_lease(dynamodb, SETTINGS)
    assert lease == Lease(holder, 2)
    assert guard.held_elsewhere(lease, SETTINGS) is elsewhere


@pytest.mark.parametrize(
    ("lease", "refused"), [(None, False), (Lease("us-west-2", 2), False), (Lease("us-east-1", 2), True)]
)
def test_only_a_region_without_the_lease_is_refreshed(lease: Lease | None, refused: bool) -> None:
    """Failure covered: a refresh restores over what a failover brought to life."""
    if not refused:
        guard.refuse_if_held_here(lease, SETTINGS)
        return
    with pytest.raises(RestoreRefused, match=r"us-east-1 holds the lease \(token 2\)"):
        guard.refuse_if_held_here(lease, SETTINGS)


def test_without_an_item_no_failover_ever_happened(dynamodb: Any) -> None:
    assert guard.read_lease(dynamodb, SETTINGS) is None
    assert guard.held_elsewhere(None, SETTINGS) is False


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"holder": None}, "lease.holder: missing; accepted: a text"),
        ({"holder": {"S": ""}}, "lease.holder: '' is no Region; accepted: a Region, as in us-east-1"),
        ({"holder": {"S": "US-WEST"}}, "lease.holder: 'US-WEST' is no Region"),
        ({"holder": {"N": "1"}}, r"lease.holder: it is of type N; accepted: a text \(type S\)"),
        ({"token": None}, "lease.token: missing; accepted: a number"),
        ({"token": {"S": "2"}}, r"lease.token: it is of type S; accepted: a number \(type N\)"),
        ({"token": {"N": "1.5"}}, "lease.token: '1.5' is no fencing token; accepted: a whole number from 0"),
        ({"token": {"N": "-1"}}, "lease.token: '-1' is no fencing token"),
    ],
)
def test_a_malformed_item_is_told_by_attribute(changed: dict[str, Any], message: str) -> None:
    item = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    with pytest.raises(BadInput, match=message):
        guard.lease_of(item)


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_item(self, **_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetItem"),
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
    ],
)
def test_a_lease_that_cannot_be_read_is_an_error(error: Exception) -> None:
    """Failure covered: any exception in the check itself is "unhealthy": here it would stop all work."""
    with pytest.raises(LeaseUnreadable, match=r"cannot be read from table lease in us-east-1: .*; nothing was changed"):
        guard.read_lease(Refusing(error), SETTINGS)


def test_the_record_keeps_what_was_paused_under_its_token() -> None:
    first = guard.merged(None, Lease("us-west-2", 2), ["b"], NOW)
    assert first == Record("us-west-2", 2, "2026-01-02T03:04:05+00:00", ["b"])
    later = guard.merged(first, Lease("us-west-2", 2), ["a", "b"], datetime.now(UTC))
    assert later == Record("us-west-2", 2, "2026-01-02T03:04:05+00:00", ["a", "b"])
    assert guard.merged(later, Lease("us-west-2", 2), [], datetime.now(UTC)) == later
    assert guard.merged(later, Lease("us-west-2", 4), ["c"], NOW).paused == ["c"], "the next fence is another one"


def test_what_a_fenced_region_must_not_do_is_refused() -> None:
    guard.refuse_if_held_elsewhere(None, SETTINGS)
    guard.refuse_if_held_elsewhere(Lease("us-east-1", 3), SETTINGS)
    with pytest.raises(ContinuityError, match=r"us-west-2 holds the lease \(token 2\), not us-east-1"):
        guard.refuse_if_held_elsewhere(Lease("us-west-2", 2), SETTINGS)
