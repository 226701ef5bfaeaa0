"""drill: whether one may begin, and the report of what it showed. docs/architecture.md, "Drill"."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from mwaa_continuity import app, aws, events, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.drill_page import page
from mwaa_continuity.drill_report import Drilled, Targets, report_of
from mwaa_continuity.environments import DRILL_TAG, USABLE, existing_environment
from mwaa_continuity.errors import BadInput, RefreshAtWork
from mwaa_continuity.events import Event
from mwaa_continuity.executions import earlier_execution, running
from mwaa_continuity.lease_table import read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, optional_variable, variable

AN_EXECUTION: Final = "the ARN of the drill's execution"
BACKUP_RESTORE: Final = "backup_restore"


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {"begin": begin, "report": report}
    return app.run("drill", actions, event, context)


def begin(event: Event, log: Log) -> Result:
    """Whether a drill may begin, and whether the environment that it uses stays afterwards.

    Raises `RefreshAtWork` while the standby is being refreshed: no other refresh begins meanwhile.
    """
    settings = Settings.read()
    execution = events.text(event, "execution", AN_EXECUTION)

    outcome, why, keep = may_begin(settings, execution)
    log.info("begin", outcome=outcome, why=why)
    return {"outcome": outcome, "why": why, "keep": keep}


def may_begin(settings: Settings, execution: str) -> tuple[str, str, bool]:
    """The outcome, why, and whether the environment stays."""
    if read_lease(aws.client("dynamodb"), variable("LEASE_TABLE")).holder == settings.region:
        return "active", f"{settings.region} is the active Region, or is becoming it", False
    earlier = earlier_execution(execution)
    if earlier:
        return "busy", f"{earlier} is at work", False
    environment = existing_environment(settings.environment)
    if environment is None:
        return "go", "", False
    refresh = optional_variable("REFRESH_ARN")
    at_work = running(refresh) if refresh else []
    if at_work:
        raise RefreshAtWork(f"{at_work[0][1]} restores into the standby: the drill begins when it has ended")
    return may_use(settings, environment)


def may_use(settings: Settings, environment: dict[str, Any]) -> tuple[str, str, bool]:
    """The same of an environment that is there."""
    where = f"environment {settings.environment} in {settings.region}"
    if environment["Status"] not in USABLE:
        return "in_the_way", f"{where} is {environment['Status']}", False
    if DRILL_TAG in environment.get("Tags", {}):
        return "go", "what an earlier drill left is used, and removed", False
    if variable("STRATEGY") == BACKUP_RESTORE:
        why = f"{where} was made by no drill: remove it, or bring the Region back to its role"
        return "in_the_way", why, False
    return "go", "the standby is used, and stays", True


def report(event: Event, log: Log) -> Result:
    """Write what the drill showed into the snapshot bucket, as JSON and as a page, and publish its measures."""
    settings = Settings.read()
    bucket = variable("SNAPSHOT_BUCKET")
    started_at = events.needed_instant(event, "started_at")
    told = event.get("drill")
    if not isinstance(told, dict):
        raise BadInput(f"drill is {events.kind(told)}; accepted: what the state machine knows of the drill")
    targets = Targets(minutes("RPO_MINUTES"), minutes("RTO_MINUTES"))
    found = report_of(Drilled.read(told), targets, started_at=started_at, now=datetime.now(UTC))
    found |= {"environment": settings.environment, "region": settings.region}
    found["execution"] = events.text(event, "execution", AN_EXECUTION)
    folder = f"drills/{settings.environment}/{started_at:%Y%m%dT%H%M%SZ}"
    s3: Any = aws.client("s3")
    key = f"{folder}/report.json"
    body = json.dumps(found, indent=2).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    s3.put_object(
        Bucket=bucket, Key=f"{folder}/report.html", Body=page(found).encode(), ContentType="text/html; charset=utf-8"
    )
    measured = {"DrillRpoSeconds": found["rpo_seconds"], "DrillRtoSeconds": found["rto_seconds"]}
    values = {name: float(value) for name, value in measured.items() if value is not None}
    metrics.try_to_publish(settings.environment, {"DrillsFailed": float(found["outcome"] != "passed"), **values}, log)
    log.info("report", outcome=found["outcome"], why=found["why"], bucket=bucket, key=key)
    return {name: found[name] for name in ("outcome", "why", "rpo_seconds", "rto_seconds")} | {
        "report": f"s3://{bucket}/{key}"
    }


def minutes(name: str) -> int | None:
    """A target in minutes, none where the variable is empty."""
    value = optional_variable(name)
    return None if value is None else int(value)
