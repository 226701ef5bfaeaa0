"""Patches of moto's DynamoDB."""

from __future__ import annotations

from typing import Any

from moto.dynamodb import responses
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.table import Table


def global_tables() -> None:
    """moto ignores ReplicaUpdates. AWS (global tables 2019.11.21) keeps a replica of the table in each Region named.

    Here the replica is the same table, seen from the other Region under its own ARN: writes are there at once, and two
    conditional writes never both win. AWS replicates within about a second, and the last writer wins.
    """
    update, describe = responses.DynamoHandler.update_table, Table.describe

    def update_table(handler: Any) -> Any:
        table = handler.dynamodb_backend.get_table(handler.body["TableName"])
        replicas = table.__dict__.setdefault("replicas", {})
        for change in handler.body.get("ReplicaUpdates") or []:
            action, settings = next(iter(change.items()))
            region = settings["RegionName"]
            backend = dynamodb_backends[handler.current_account][region]
            if action == "Delete":
                replicas.pop(region, None)
                backend.tables.pop(table.name, None)
            else:
                replicas[region] = {**replicas.get(region, {}), **settings}
                backend.tables[table.name] = table
        return update(handler)

    def full_describe(table: Any, base_key: str = "TableDescription") -> dict[str, Any]:
        description: dict[str, Any] = describe(table, base_key)
        if replicas := getattr(table, "replicas", None):
            description[base_key]["GlobalTableVersion"] = "2019.11.21"
            description[base_key]["Replicas"] = [
                {"RegionName": region, "ReplicaStatus": "ACTIVE", **_key_of(settings)}
                for region, settings in replicas.items()
            ]
        return description

    def describe_table(handler: Any) -> Any:
        """The table as its Region sees it: own ARN, and the others as replicas."""
        name = handler.body["TableName"]
        described = handler.dynamodb_backend.describe_table(name)
        return responses.DynamoResult(_seen_from(described, handler.region))

    responses.DynamoHandler.update_table = update_table
    responses.DynamoHandler.describe_table = describe_table
    Table.describe = full_describe


def _key_of(settings: dict[str, Any]) -> dict[str, str]:
    return {"KMSMasterKeyId": settings["KMSMasterKeyId"]} if settings.get("KMSMasterKeyId") else {}


def _seen_from(description: dict[str, Any], region: str) -> dict[str, Any]:
    table = description["Table"]
    home = table["TableArn"].split(":")[3]
    if home == region:
        return description
    own = next((r for r in table.get("Replicas", []) if r["RegionName"] == region), {})
    others = [r for r in table.get("Replicas", []) if r["RegionName"] != region]
    seen = {
        **table,
        "TableArn": table["TableArn"].replace(f":{home}:", f":{region}:"),
        "Replicas": [*others, {"RegionName": home, "ReplicaStatus": "ACTIVE"}],
    }
    if stream := table.get("LatestStreamArn"):
        seen["LatestStreamArn"] = stream.replace(f":{home}:", f":{region}:")
    if "KMSMasterKeyId" in own:
        seen["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": own["KMSMasterKeyId"]}
    return {"Table": seen}


def replica_tags() -> None:
    """moto knows a table by the ARN of its home only. AWS keeps the tags of each replica under the replica's ARN."""
    tag, untag, tags_of = (
        DynamoDBBackend.tag_resource,
        DynamoDBBackend.untag_resource,
        DynamoDBBackend.list_tags_of_resource,
    )

    def own_tags(backend: Any, arn: str) -> dict[str, str] | None:
        """The tags of a replica; None for a table that is at home here."""
        table = backend.tables.get(arn.rsplit("/", 1)[-1])
        if table is None or table.table_arn == arn:
            return None
        tags: dict[str, str] = table.__dict__.setdefault("replica_tags", {}).setdefault(backend.region_name, {})
        return tags

    def tag_resource(backend: Any, arn: str, tags: dict[str, str]) -> None:
        own = own_tags(backend, arn)
        tag(backend, arn, tags) if own is None else own.update(tags)

    def untag_resource(backend: Any, arn: str, tag_keys: list[str]) -> None:
        own = own_tags(backend, arn)
        if own is None:
            untag(backend, arn, tag_keys)
            return
        for key in tag_keys:
            own.pop(key, None)

    def list_tags_of_resource(backend: Any, table_arn: str) -> list[dict[str, str]]:
        own = own_tags(backend, table_arn)
        if own is None:
            found: list[dict[str, str]] = tags_of(backend, table_arn)
            return found
        return [{"Key": key, "Value": value} for key, value in own.items()]

    DynamoDBBackend.tag_resource = tag_resource
    DynamoDBBackend.untag_resource = untag_resource
    DynamoDBBackend.list_tags_of_resource = list_tags_of_resource


PATCHES = [global_tables, replica_tags]
