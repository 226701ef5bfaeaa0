"""A Region that is cut off: who reaches what, and what of a global table each side sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.outage import Outages
from tests.local_aws.replica_views import ReplicaViews

HOME, APART = "us-west-2", "us-east-1"
INSIDE = frozenset({APART})


def test_a_region_that_is_off_answers_nobody_and_one_that_is_cut_off_those_in_it() -> None:
    outages = Outages()
    outages.set(APART, down=True)
    assert [outages.reachable(APART, inside) for inside in (frozenset[str](), INSIDE)] == [False, False]
    outages.set(APART, down=True, cut_off=True)
    assert [outages.reachable(APART, inside) for inside in (frozenset[str](), INSIDE)] == [False, True]
    assert [outages.reachable(HOME, inside) for inside in (frozenset[str](), INSIDE)] == [True, False]
    assert outages.is_down(APART)
    outages.set(APART, down=False)
    assert [outages.reachable(region, INSIDE) for region in (HOME, APART)] == [True, True]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """A table and its replica, which are one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT_ID)
    with mock_aws():
        home, apart = (boto3.client("dynamodb", region_name=region) for region in (HOME, APART))
        home.create_table(
            TableName="lease",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        backends = dynamodb_backends[ACCOUNT_ID]
        backends[APART].tables["lease"] = backends[HOME].tables["lease"]
        yield home, apart


def put(client: Any, pk: str, sk: str, value: str) -> None:
    client.put_item(TableName="lease", Item={"pk": {"S": pk}, "sk": {"S": sk}, "value": {"S": value}})


def seen(client: Any) -> dict[str, str]:
    items = client.scan(TableName="lease")["Items"]
    return {f"{item['pk']['S']} {item['sk']['S']}": item["value"]["S"] for item in items}


def test_a_replica_that_is_apart_shows_what_it_had_and_then_what_its_home_has(tables: tuple[Any, Any]) -> None:
    home, apart = tables
    put(home, "lease", "lease", "primary")
    put(apart, "beat", "1", "first")
    put(home, "gone", "1", "there")
    views = ReplicaViews()
    views.part(APART)
    views.part(APART)
    put(home, "lease", "lease", "secondary")
    put(apart, "beat", "2", "second")
    home.delete_item(TableName="lease", Key={"pk": {"S": "gone"}, "sk": {"S": "1"}})
    apart.delete_item(TableName="lease", Key={"pk": {"S": "beat"}, "sk": {"S": "1"}})
    assert seen(apart) == {"lease lease": "primary", "beat 2": "second", "gone 1": "there"}
    assert seen(home) == {"lease lease": "secondary", "beat 1": "first"}
    views.join(APART)
    views.join(APART)
    assert seen(apart) == seen(home) == {"lease lease": "secondary", "beat 2": "second"}
    put(home, "lease", "lease", "again")
    assert seen(apart)["lease lease"] == "again"
