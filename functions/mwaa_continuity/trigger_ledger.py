"""Which events were delivered: one item per event and rule, claimed before Airflow is told and marked done after.

A claim outlives the invocation that made it, so that a second one only takes over what nobody works at any more. What
it takes over is in doubt: the first may have told Airflow, and ended before it could note that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws

#: Longer than the function may run (two minutes) and InvokeRestApi may take to give up.
CLAIM_SECONDS: Final = 180
#: How long an item is kept: longer than a message waits before it is renewed, and its items with it.
KEPT_SECONDS: Final = 30 * 86400
UNKNOWN_AGAIN_SECONDS: Final = 3600
WAS_LOST: Final = " OR (#state = :done AND done_at >= :lost_start AND (done_at < :lost_end OR #region <> :here))"


@dataclass(frozen=True)
class Lost:
    """When a delivery was lost again, in epoch seconds: by a failover that restored a snapshot taken before it."""

    start: int = 0
    end: int = 0  #: exclusive; 0: nothing was lost. What another Region delivers later, cut off, is lost too


@dataclass(frozen=True)
class Claim:
    """What became of an attempt to claim."""

    key: dict[str, Any]
    owner: str = ""  #: "" where it could not be claimed
    doubt_since: int = 0  #: epoch seconds of the first attempt to deliver, 0: there was none
    done: bool = False
    busy_seconds: int = 0  #: how long another invocation may be at work

    @property
    def owned(self) -> bool:
        """Whether the caller is to deliver."""
        return bool(self.owner)


class Ledger:
    """The items of one table (`pk` = `event#<id>`, `sk` = the rule's name)."""

    def __init__(self, dynamodb: Any, table: str, owner: str, region: str) -> None:
        self.dynamodb = dynamodb
        self.table = table
        self.owner = owner
        self.region = region  #: that of the caller

    @staticmethod
    def key(event_id: str, rule: str) -> dict[str, Any]:
        """The key of an item."""
        return {"pk": {"S": f"event#{event_id}"}, "sk": {"S": rule}}

    def claim(self, event_id: str, rule: str, lost: Lost) -> Claim:
        """Claim what was never delivered, what nobody works at any more, or what was delivered and lost."""
        key, now = self.key(event_id, rule), int(time.time())
        was_lost = {
            ":done": {"S": "done"},
            ":here": {"S": self.region},
            ":lost_start": {"N": str(lost.start)},
            ":lost_end": {"N": str(lost.end)},
        }
        try:
            before = self.dynamodb.update_item(
                TableName=self.table,
                Key=key,
                UpdateExpression="SET #state = :claimed, #owner = :owner, claimed_at = if_not_exists(claimed_at, :now),"
                " claimed_until = :until, expires_at = :expires",
                ConditionExpression="attribute_not_exists(pk) OR (#state = :claimed AND claimed_until <= :now)"
                + (WAS_LOST if lost.end else ""),
                ExpressionAttributeNames={"#state": "state", "#owner": "owner"}
                | ({"#region": "region"} if lost.end else {}),
                ExpressionAttributeValues={
                    ":claimed": {"S": "claimed"},
                    ":owner": {"S": self.owner},
                    ":now": {"N": str(now)},
                    ":until": {"N": str(now + CLAIM_SECONDS)},
                    ":expires": {"N": str(now + KEPT_SECONDS)},
                }
                | (was_lost if lost.end else {}),
                ReturnValues="ALL_OLD",
            ).get("Attributes")
        except ClientError as error:
            if aws.code(error) != "ConditionalCheckFailedException":
                raise
            return self._of_another(key, now)
        return Claim(key, owner=self.owner, doubt_since=int(before["claimed_at"]["N"]) if before else 0)

    def _of_another(self, key: dict[str, Any], now: int) -> Claim:
        item = self._read(key)
        if item is None:  # released between the two calls: nothing keeps it from being claimed again soon
            return Claim(key, busy_seconds=1)
        if item["state"]["S"] == "done":
            return Claim(key, done=True)
        return Claim(key, busy_seconds=max(1, int(item["claimed_until"]["N"]) - now + 1))

    def _read(self, key: dict[str, Any]) -> dict[str, Any] | None:
        item: dict[str, Any] | None = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True).get(
            "Item"
        )
        return item

    def done(self, claim: Claim) -> None:
        """Mark as delivered."""
        now = int(time.time())
        self.dynamodb.update_item(
            TableName=self.table,
            Key=claim.key,
            UpdateExpression="SET #state = :done, done_at = :now, #region = :here, expires_at = :expires"
            " REMOVE claimed_until, #owner",
            ConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#state": "state", "#owner": "owner", "#region": "region"},
            ExpressionAttributeValues={
                ":done": {"S": "done"},
                ":here": {"S": self.region},
                ":owner": {"S": claim.owner},
                ":now": {"N": str(now)},
                ":expires": {"N": str(now + KEPT_SECONDS)},
            },
        )

    def release(self, claim: Claim) -> None:
        """Give up a claim under which Airflow was not told; what was in doubt before stays so."""
        owned = {
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
        }
        owner = {":owner": {"S": claim.owner}}
        if not claim.doubt_since:
            self.dynamodb.delete_item(TableName=self.table, Key=claim.key, ExpressionAttributeValues=owner, **owned)
            return
        self.dynamodb.update_item(
            TableName=self.table,
            Key=claim.key,
            UpdateExpression="SET claimed_until = :nobody",
            ExpressionAttributeValues={**owner, ":nobody": {"N": "0"}},
            **owned,
        )

    def keep(self, event_id: str, rule: str) -> None:
        """Keep an item, if there is one, as long as a new one."""
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=self.key(event_id, rule),
                UpdateExpression="SET expires_at = :expires",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":expires": {"N": str(int(time.time()) + KEPT_SECONDS)}},
            )
        except ClientError as error:
            if aws.code(error) != "ConditionalCheckFailedException":
                raise

    def unknown_for(self, rule: str) -> int:
        """Seconds for which Airflow has not known what a rule names, 0 from now on; one item per rule.

        What nobody asked for an hour begins anew: meanwhile it may have been known.
        """
        key, now = self.key("unknown", rule), int(time.time())
        item = self._read(key)
        since = int(item["since"]["N"]) if item and now - int(item["seen"]["N"]) < UNKNOWN_AGAIN_SECONDS else now
        self.dynamodb.update_item(
            TableName=self.table,
            Key=key,
            UpdateExpression="SET since = :since, seen = :now, expires_at = :expires",
            ExpressionAttributeValues={
                ":since": {"N": str(since)},
                ":now": {"N": str(now)},
                ":expires": {"N": str(now + KEPT_SECONDS)},
            },
        )
        return now - since

    def done_at(self, event_id: str, rule: str) -> int:
        """Epoch seconds of the delivery, 0 where there was none."""
        item = self._read(self.key(event_id, rule))
        return int(item["done_at"]["N"]) if item and item["state"]["S"] == "done" else 0
