"""Items that are written only where they still are what was read, so that of several callers one wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from mwaa_continuity import aws

#: An item's attributes, or its key, in DynamoDB's notation.
Attributes = Mapping[str, Mapping[str, Any]]


def notation(values: Mapping[str, bool | int | str]) -> dict[str, dict[str, Any]]:
    """Values in DynamoDB's notation."""
    return {name: _notation(value) for name, value in values.items()}


def write_if_unchanged(dynamodb: Any, table: str, key: Attributes, seen: Attributes | None, wanted: Attributes) -> bool:
    """Replace the item on the condition that it has the attributes that were seen (none: that there is none).

    False if somebody else was faster.
    """
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if seen is not None:
        condition = {
            "ConditionExpression": " AND ".join(f"#{name} = :{name}" for name in seen),
            "ExpressionAttributeNames": {f"#{name}": name for name in seen},
            "ExpressionAttributeValues": {f":{name}": value for name, value in seen.items()},
        }
    try:
        dynamodb.put_item(TableName=table, Item={**key, **wanted}, **condition)
    except ClientError as error:
        if aws.code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _notation(value: bool | int | str) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}
