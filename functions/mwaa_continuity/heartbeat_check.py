"""heartbeat_check: is the environment in the primary Region healthy? It only looks; the state machine acts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import app, aws, health, lease_table, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.errors import BadInput
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable, whole_number

SCHEDULER_HEARTBEAT = ("AmazonMWAA", "SchedulerHeartbeat")
CHANGING = (metrics.NAMESPACE, "EnvironmentChanging")
VERDICT_METRICS = {"healthy": "Healthy", "unhealthy": "Unhealthy", "unknown": "UnknownHealth"}


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what it answers."""
    return app.run("heartbeat_check", {"": check}, event, context)


def check(_event: Event, log: Log) -> Result:
    """Read the four signals, decide by the truth table, publish the verdict."""
    settings = Settings.read()
    answer = look(settings, log)
    changing = answer["signals"]["status"] == "changing"
    report(settings.environment, answer["verdict"], changing=changing, log=log)
    return answer


def look(settings: Settings, log: Log) -> Result:
    """The verdict and what it rests on. Nothing is changed, nothing published."""
    primary = variable("PRIMARY_REGION")
    periods, missing = windows()
    table = variable("LEASE_TABLE")
    now = time.time()
    minutes = health.whole_minutes(now, periods)

    refusals: list[str] = []
    status, status_signal = environment_status(settings.environment, primary, refusals)
    heartbeat = scheduler_heartbeat(settings.environment, primary, minutes, missing, refusals)
    changing_minutes = probe(settings.environment, minutes, log)
    signals = {
        "heartbeat": heartbeat,
        "status": "settling" if status_signal == "available" and changing_minutes else status_signal,
        "beat": beats(table, primary, minutes, missing),
        "probe": "failed" if refusals or changing_minutes is None else "ok",
    }
    row = health.load().decide(signals)
    why = " ".join([row.why, *refusals])
    log.info("decided", verdict=row.verdict, why=why, status=status, region=primary)
    return {
        "verdict": row.verdict,
        "why": why,
        "signals": signals,
        "status": status,
        "checked_at": datetime.fromtimestamp(int(now), UTC).isoformat().replace("+00:00", "Z"),
    }


def windows() -> tuple[int, int]:
    """M and N of "N of the last M minutes". Raises `BadInput` where they make no window."""
    periods, missing = whole_number("PERIODS"), whole_number("MISSING")
    if not 1 <= periods <= 60:
        raise BadInput(f"PERIODS is {periods}; accepted: a whole number from 1 to 60")
    if not 1 <= missing <= periods:
        raise BadInput(f"MISSING is {missing}; accepted: a whole number from 1 to PERIODS ({periods})")
    return periods, missing


def environment_status(environment: str, region: str, refusals: list[str]) -> tuple[str | None, str]:
    """The status of the environment as MWAA says it, and the signal it gives."""
    try:
        answer = aws.client("mwaa", region, aws.QUICK).get_environment(Name=environment)
    except ClientError as error:
        if aws.is_absent(error):
            return None, "gone"
        note_refusal(error, refusals)
        return None, "unreachable"
    except BotoCoreError:
        return None, "unreachable"
    status = str(answer["Environment"]["Status"])
    return status, health.status_signal(status)


def scheduler_heartbeat(environment: str, region: str, minutes: range, missing: int, refusals: list[str]) -> str:
    """Whether the scheduler of the environment beats: an outage is missing data, not a zero."""
    try:
        dimensions = {"Function": "Scheduler", "Environment": environment}
        cloudwatch = aws.client("cloudwatch", region, aws.QUICK)
        seen = metrics.minutes_with_data(cloudwatch, SCHEDULER_HEARTBEAT, dimensions, minutes, "SampleCount")
    except ClientError as error:
        note_refusal(error, refusals)
        return "unreachable"
    except BotoCoreError:
        return "unreachable"
    return "missing" if health.silent(minutes, seen, missing) else "present"


def note_refusal(error: ClientError, refusals: list[str]) -> None:
    """An answer that is neither throttling nor the service's own fault shows a fault of ours: keep it."""
    if not aws.is_transient(error):
        refusals.append(f"{error.operation_name} in the primary was refused: {aws.code(error)}.")


def beats(table: str, region: str, minutes: range, missing: int) -> str:
    """Whether the canary DAG's beats arrive, from this Region's own table."""
    dynamodb = aws.client("dynamodb", config=aws.QUICK)
    seen = lease_table.beat_minutes(dynamodb, table, region, minutes)
    if not health.silent(minutes, seen, missing):
        return "arriving"
    first = lease_table.first_beat(dynamodb, table, region)
    if first is None:
        return "never"
    # A primary that has just begun to beat was not silent before: only minutes since its first beat can be missing.
    return "missing" if health.silent([minute for minute in minutes if minute > first], seen, missing) else "arriving"


def probe(environment: str, minutes: range, log: Log) -> set[int] | None:
    """Whether our own network, CloudWatch and STS work: only then does silence of the primary mean anything.

    None where they do not; else those of the epoch minutes in which an earlier check saw the environment being changed.
    """
    dimensions = {"Environment": environment}
    try:
        aws.client("sts", config=aws.QUICK).get_caller_identity()
        cloudwatch = aws.client("cloudwatch", config=aws.QUICK)
        return metrics.minutes_with_data(cloudwatch, CHANGING, dimensions, minutes, "Maximum")
    except (BotoCoreError, ClientError) as error:
        log.warning("own probe failed", error=str(aws.translated(error)))
        return None


def report(environment: str, verdict: str, *, changing: bool, log: Log) -> None:
    """Publish the verdict. A failure must not hide the verdict itself: missing data alarms as unknown health."""
    values = {metric: float(name == verdict) for name, metric in VERDICT_METRICS.items()}
    values[CHANGING[1]] = float(changing)
    metrics.try_to_publish(environment, values, log)
