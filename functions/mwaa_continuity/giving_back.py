"""Giving the lease back after a failover that came to nothing, so that the Region that was live goes on."""

from __future__ import annotations

import time
from typing import Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws, events
from mwaa_continuity.app import Result
from mwaa_continuity.errors import NotGivenBack
from mwaa_continuity.events import Event
from mwaa_continuity.executions import execution_state
from mwaa_continuity.lease_table import KEY, Lease, home_of_lease, read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable

#: What changes; the operator's lock does not.
CHANGED: Final = ("holder", "token", "since", "reason", "live", "execution", "snapshot_id", "previous")


def give_back(event: Event, log: Log) -> Result:
    """Make the Region that was live before the holder again, under a new token, after a failover that failed before it
    began to go live. The operator's lock stays as it is.

    Raises `NotGivenBack` with the reason, with nothing changed.
    """
    settings = Settings.read()
    reason = events.text(event, "reason")[:256]
    table, dynamodb = variable("LEASE_TABLE"), home_of_lease()
    seen = read_lease(dynamodb, table)
    if why := why_not_given_back(seen, settings.region, running=execution_state(seen.execution)[0]):
        raise NotGivenBack(why)
    now, token = int(time.time()), seen.token + 1
    try:
        dynamodb.update_item(
            TableName=table,
            Key=KEY,
            UpdateExpression=(
                "SET #holder = :previous, #token = :token, #since = :since, #reason = :reason, #live = :true,"
                " #execution = :none, #snapshot_id = :none, #previous = :none"
            ),
            ConditionExpression=(
                "#token = :seen_token AND #holder = :region AND #live = :false AND #execution = :seen_execution"
                " AND (attribute_not_exists(#committed) OR #committed < :seen_token)"
            ),
            ExpressionAttributeNames={f"#{name}": name for name in (*CHANGED, "committed")},
            ExpressionAttributeValues={
                ":previous": {"S": seen.previous},
                ":token": {"N": str(token)},
                ":since": {"N": str(now)},
                ":reason": {"S": reason},
                ":true": {"BOOL": True},
                ":false": {"BOOL": False},
                ":none": {"S": ""},
                ":region": {"S": settings.region},
                ":seen_token": {"N": str(seen.token)},
                ":seen_execution": {"S": seen.execution},
            },
        )
    except ClientError as error:
        if aws.code(error) != "ConditionalCheckFailedException":
            raise
        raise NotGivenBack("the lease changed meanwhile: look again, and give it back if it still is to be") from None
    log.info("give_back", token=token, region=seen.previous)
    return {"holder": seen.previous, "token": token}


def why_not_given_back(seen: Lease, region: str, *, running: bool) -> str:
    """What stands in the way of giving the lease back, or ""."""
    if seen.holder != region:
        return f"{seen.holder or 'nobody'} holds the lease, not {region}: there is nothing to give back"
    if seen.live or seen.committed >= seen.token:
        return f"{region} went live under this lease, or began to: what it did would be lost; a failback brings it back"
    if running:
        return f"{seen.execution} runs: stop it, or let it end"
    if not seen.previous:
        return "which Region was live before is not known: no other was, or the lease was taken before that was noted"
    return ""
