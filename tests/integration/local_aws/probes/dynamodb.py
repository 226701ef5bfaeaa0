"""Probes of the patches of dynamodb."""

from __future__ import annotations

from typing import Any

from tests.integration.local_aws.probes.inside import ACCOUNT, client


def global_tables() -> Any:
    home = client("dynamodb")
    home.create_table(
        TableName="t",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    home.update_table(TableName="t", ReplicaUpdates=[{"Create": {"RegionName": "us-west-2"}}])
    home.put_item(TableName="t", Item={"pk": {"S": "x"}})
    other = client("dynamodb", "us-west-2")
    seen = other.describe_table(TableName="t")["Table"]
    item = other.get_item(TableName="t", Key={"pk": {"S": "x"}}).get("Item")
    return [seen["TableArn"].split(":")[3], [r["RegionName"] for r in seen["Replicas"]], item]


def replica_tags() -> Any:
    home, other = client("dynamodb"), client("dynamodb", "us-west-2")
    for one in (home, other):
        one.create_table(
            TableName="t",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    # The same table under both Regions, which is what a replica is to moto.
    from moto.dynamodb.models import dynamodb_backends

    backends = dynamodb_backends[ACCOUNT]
    backends["us-west-2"].tables["t"] = backends["us-east-1"].tables["t"]
    arn = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/t"
    other.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    return other.list_tags_of_resource(ResourceArn=arn)["Tags"]
