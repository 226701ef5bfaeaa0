"""Reading the lease table: the lease item and the beats. docs/architecture.md, "The lease table"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mwaa_continuity import aws
from mwaa_continuity.settings import optional_variable

KEY: Final = {"pk": {"S": "lease"}, "sk": {"S": "lease"}}
#: When the lease was last looked at in its home: what a replica shows of it says how old that replica is.
MARK: Final = {"pk": {"S": "lease"}, "sk": {"S": "mark"}}


@dataclass(frozen=True)
class Lease:
    """Which Region is active."""

    holder: str  #: Region, "" where no failover ever happened and nobody wrote the item
    token: int  #: fencing token, 0 where there is no item
    since: int  #: epoch seconds
    reason: str
    live: bool
    execution: str  #: ARN of the failover execution that took it, or ""
    locked: bool  #: the operator's "do not fail over"
    snapshot_id: str = ""  #: the snapshot that the failover under this lease restores, "" before it chose one
    previous: str = ""  #: the Region that was live when this lease was taken, "" where none was, or nobody noted it
    committed: int = 0  #: the token under which a Region last began to go live, 0 where nobody noted it


def lease_of(item: Mapping[str, Any] | None) -> Lease:
    """The lease from its item in DynamoDB's notation; attributes that are not there read as their zero."""
    item = item or {}

    def string(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    def integer(name: str) -> int:
        return int(item.get(name, {}).get("N", "0"))

    def boolean(name: str) -> bool:
        return bool(item.get(name, {}).get("BOOL", False))

    return Lease(
        holder=string("holder"),
        token=integer("token"),
        since=integer("since"),
        reason=string("reason"),
        live=boolean("live"),
        execution=string("execution"),
        locked=boolean("locked"),
        snapshot_id=string("snapshot_id"),
        previous=string("previous"),
        committed=integer("committed"),
    )


def home_of_lease() -> Any:
    """A client of DynamoDB where the table has its home: every write of the lease goes there, and what decides one."""
    return aws.client("dynamodb", optional_variable("LEASE_REGION"))


def read_lease(dynamodb: Any, table: str) -> Lease:
    """The lease as this Region's table holds it now."""
    return lease_of(dynamodb.get_item(TableName=table, Key=KEY, ConsistentRead=True).get("Item"))


def beat_minutes(dynamodb: Any, table: str, region: str, minutes: range) -> set[int]:
    """Those of the epoch minutes in which the Region wrote a beat."""
    answer = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
        ExpressionAttributeValues={
            ":pk": {"S": f"beat#{region}"},
            ":first": {"S": f"{minutes[0]:010d}"},
            ":last": {"S": f"{minutes[-1]:010d}"},
        },
        ProjectionExpression="sk",
    )
    return {int(item["sk"]["S"]) for item in answer["Items"]}


def first_beat(dynamodb: Any, table: str, region: str) -> int | None:
    """Epoch minute of the Region's oldest beat in the table, None where it has none. Beats expire after a day."""
    answer = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"beat#{region}"}},
        ProjectionExpression="sk",
        ScanIndexForward=True,
        Limit=1,
    )
    return int(answer["Items"][0]["sk"]["S"]) if answer["Items"] else None
