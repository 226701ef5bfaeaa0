"""lease: take, mark and read the lease, which says which Region is active.

Every write is one conditional update against what was read, so that of several callers one wins. It goes to where the
table has its home (the secondary), whoever calls: a global table is last-writer-wins between Regions.
"""

from __future__ import annotations

import time
from dataclasses import asdict, fields, replace
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import app, aws, events, giving_back, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.errors import LeaseLost, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.executions import execution_state
from mwaa_continuity.lease_table import KEY, MARK, Lease, home_of_lease, lease_of, read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.question import read_question, stands
from mwaa_continuity.settings import Settings, variable, whole_number

ATTEMPTS: Final = 5
#: Of the lease item.
ATTRIBUTES: Final = tuple(each.name for each in fields(Lease))


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "take": take,
        "record": record,
        "commit": commit,
        "live": live,
        "give_back": giving_back.give_back,
        "read": read,
    }
    return app.run("lease", actions, event, context)


def read(event: Event, log: Log) -> Result:
    """The lease, and what a heartbeat check needs to know before it starts a failover. It leaves a mark of the time, so
    that who has a replica of the lease can tell how old that is."""
    settings = Settings.read()
    cooldown = whole_number("COOLDOWN_SECONDS")
    retry_seconds = whole_number("RETRY_SECONDS", 300)
    scheduled_at = events.instant(event, "scheduled_at")
    now = time.time()
    dynamodb, table = home_of_lease(), variable("LEASE_TABLE")
    lease = read_lease(dynamodb, table)
    try_to_mark(dynamodb, table, int(now), log)
    held = lease.holder == settings.region
    if held:
        # While this Region is active nobody judges the primary, and silence alarms.
        metrics.try_to_publish(settings.environment, {"UnknownHealth": 0.0}, log)
    running, ended_at = execution_state(lease.execution) if held and not lease.live else (False, None)
    rested = ended_at is None or now - ended_at.timestamp() >= retry_seconds
    return {
        **asdict(lease),
        "region": settings.region,
        "running": running,
        "cooling_down": not held and cooling_down(lease, now, cooldown),
        "resumable": held and not lease.live and not lease.locked and not running and rested,
        "asking": not held and stands(read_question(dynamodb, table), now),
        "minute": int(scheduled_at.timestamp() if scheduled_at else now) // 60,
    }


def try_to_mark(home: Any, table: str, now: int, log: Log) -> None:
    """Note when the lease was looked at. Where that fails the look goes on, and the mark gets old, as it should."""
    try:
        home.update_item(
            TableName=table,
            Key=MARK,
            UpdateExpression="SET #marked_at = :now",
            ExpressionAttributeNames={"#marked_at": "marked_at"},
            ExpressionAttributeValues={":now": {"N": str(now)}},
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("not marked", error=str(error))


def take(event: Event, log: Log) -> Result:
    """Make this Region the holder, once: who comes second is told so.

    `snapshot_id` is what is restored under the new lease, where that is known by then; `commit`: it goes live next.
    """
    settings = Settings.read()
    execution = events.text(event, "execution", "the ARN of the failover execution")
    reason = events.text(event, "reason")[:256]
    force = events.flag(event, "force")
    snapshot_id = events.optional_snapshot_id(event) or ""
    cooldown = whole_number("COOLDOWN_SECONDS")
    table = variable("LEASE_TABLE")
    dynamodb = home_of_lease()
    for _ in range(ATTEMPTS):
        seen = read_lease(dynamodb, table)
        now = int(time.time())
        outcome = outcome_of_take(seen, settings.region, execution, now=now, cooldown=cooldown, force=force)
        token = seen.token + 1
        committed = token if events.flag(event, "commit") else seen.committed
        previous = seen.holder if seen.live else ""
        taken = Lease(settings.region, token, now, reason, False, execution, False, snapshot_id, previous, committed)
        wanted = wanted_lease(seen, outcome, taken)
        if wanted is None or write(dynamodb, table, seen, wanted):
            lease = wanted or seen
            log.info("take", outcome=outcome, token=lease.token, region=lease.holder)
            return {
                "outcome": outcome,
                "token": lease.token,
                "since": lease.since,
                "previous_holder": seen.holder,
                "snapshot_id": lease.snapshot_id or None,
            }
    raise Transient(f"the lease changed {ATTEMPTS} times while it was being taken")


def outcome_of_take(seen: Lease, region: str, execution: str, *, now: int, cooldown: int, force: bool) -> str:
    """What taking the lease comes to: taken and held go on, everything else ends the execution."""
    if seen.locked:
        return "locked"
    if seen.holder == region:
        if seen.live:
            return "already_live"
        if seen.execution != execution and execution_state(seen.execution)[0]:
            return "busy"
        return "held"
    if cooling_down(seen, now, cooldown) and not force:
        return "cooling_down"
    return "taken"


def wanted_lease(seen: Lease, outcome: str, taken: Lease) -> Lease | None:
    """The lease to write, or none where nothing changes."""
    if outcome == "taken":
        return taken
    if outcome == "held" and seen.execution != taken.execution:
        return replace(seen, live=False, execution=taken.execution, locked=False)
    return None


def cooling_down(lease: Lease, now: float, cooldown: int) -> bool:
    """Whether the lease changed hands less than `cooldown` seconds ago."""
    return lease.token > 0 and now - lease.since < cooldown


def write(dynamodb: Any, table: str, seen: Lease, wanted: Lease) -> bool:
    """Write the lease if it still is what was seen. False if somebody else was faster."""
    values = {
        ":holder": {"S": wanted.holder},
        ":token": {"N": str(wanted.token)},
        ":since": {"N": str(wanted.since)},
        ":reason": {"S": wanted.reason},
        ":live": {"BOOL": wanted.live},
        ":execution": {"S": wanted.execution},
        ":unlocked": {"BOOL": False},
        ":snapshot_id": {"S": wanted.snapshot_id},
        ":previous": {"S": wanted.previous},
        ":committed": {"N": str(wanted.committed)},
    }
    condition = "attribute_not_exists(#token)"
    if seen.token:
        condition = (
            "#token = :seen_token AND #holder = :seen_holder"
            " AND (attribute_not_exists(#execution) OR #execution = :seen_execution)"
            " AND (attribute_not_exists(#live) OR #live = :seen_live)"
            " AND (attribute_not_exists(#locked) OR #locked = :unlocked)"
            " AND (attribute_not_exists(#snapshot_id) OR #snapshot_id = :seen_snapshot_id)"
            " AND (attribute_not_exists(#committed) OR #committed = :seen_committed)"
        )
        values |= {
            ":seen_token": {"N": str(seen.token)},
            ":seen_holder": {"S": seen.holder},
            ":seen_execution": {"S": seen.execution},
            ":seen_live": {"BOOL": seen.live},
            ":seen_snapshot_id": {"S": seen.snapshot_id},
            ":seen_committed": {"N": str(seen.committed)},
        }
    try:
        dynamodb.update_item(
            TableName=table,
            Key=KEY,
            UpdateExpression=(
                "SET #holder = :holder, #token = :token, #since = :since, #reason = :reason, #live = :live,"
                " #execution = :execution, #locked = :unlocked, #snapshot_id = :snapshot_id,"
                " #previous = :previous, #committed = :committed"
            ),
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in ATTRIBUTES},
            ExpressionAttributeValues=values,
        )
    except ClientError as error:
        if aws.code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def record(event: Event, log: Log) -> Result:
    """Record which snapshot the failover restores, so that a later attempt takes up the same one.

    Raises `LeaseLost` if the lease belongs to another execution by now.
    """
    snapshot_id = events.snapshot_id(event)
    lease = update_held(event, "snapshot_id", ":value", {":value": {"S": snapshot_id}})
    log.info("record", snapshot_id=snapshot_id, token=lease.token)
    return {"snapshot_id": snapshot_id, "token": lease.token}


def commit(event: Event, log: Log) -> Result:
    """Note that this Region goes live next: from here on the lease is not given back, and no Region takes up again what
    it ran under an earlier one. Raises `LeaseLost` if the lease belongs to another execution by now."""
    lease = update_held(event, "committed", "#token")
    log.info("commit", token=lease.token, region=lease.holder)
    return {"token": lease.token}


def live(event: Event, log: Log) -> Result:
    """Mark the failover as gone live. Raises `LeaseLost` if the lease belongs to another execution by now."""
    lease = update_held(event, "live", ":value", {":value": {"BOOL": True}})
    log.info("live", token=lease.token, region=lease.holder)
    return {"live": True, "token": lease.token}


def update_held(event: Event, attribute: str, value: str, values: dict[str, Any] | None = None) -> Lease:
    """Set one attribute of the lease, by an expression, while this Region holds it for the execution that the event
    names."""
    settings = Settings.read()
    execution = events.text(event, "execution", "the ARN of the failover execution")
    names = {"#attribute": attribute, "#holder": "holder", "#execution": "execution"}
    try:
        answer = home_of_lease().update_item(
            TableName=variable("LEASE_TABLE"),
            Key=KEY,
            UpdateExpression=f"SET #attribute = {value}",
            ConditionExpression="#holder = :region AND #execution = :execution",
            ExpressionAttributeNames=names | ({"#token": "token"} if value == "#token" else {}),
            ExpressionAttributeValues={
                **(values or {}),
                ":region": {"S": settings.region},
                ":execution": {"S": execution},
            },
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        if aws.code(error) != "ConditionalCheckFailedException":
            raise
        raise LeaseLost(f"the lease is not held by {settings.region} for this execution any more") from None
    return lease_of(answer["Attributes"])
