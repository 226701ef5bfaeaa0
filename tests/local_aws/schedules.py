"""Fires the schedules of EventBridge Scheduler at their times, under their target's role."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.cron import at_time, cron_matches, rate_seconds
from tests.local_aws.delivery import Delivery
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.sessions import assume_as_service

_EVERY_SECONDS = 0.5
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 60.0


class Schedules:
    """Looks at every schedule of every Region twice a second."""

    def __init__(self, platform: LocalPlatform, delivery: Delivery) -> None:
        self._platform = platform
        self._delivery = delivery
        self._last: dict[tuple[str, float, str], float] = {}

    def start(self) -> None:
        """Fire in the background until the stand-in stops."""
        threading.Thread(target=self._run, name="schedules", daemon=True).start()

    def _run(self) -> None:
        while not self._platform.stopping.wait(_EVERY_SECONDS):
            for region, schedule in self._schedules():
                try:
                    self._fire_if_due(region, schedule, time.time())
                except Exception as error:  # noqa: BLE001  # one bad schedule must not stop the others for good
                    self._platform.record("schedule_error", region, schedule=schedule.name, error=repr(error))

    def _schedules(self) -> list[tuple[str, Any]]:
        from moto.scheduler.models import scheduler_backends

        return [
            (region, schedule)
            for region, backend in list(scheduler_backends[ACCOUNT_ID].items())
            for group in list(backend.schedule_groups.values())
            for schedule in list(group.schedules.values())
        ]

    def _fire_if_due(self, region: str, schedule: Any, now: float) -> None:
        key = (schedule.arn, schedule.creation_date, schedule.schedule_expression)
        due = self.due_time(schedule, self._last.get(key), now)
        if due is None:
            return
        self._last[key] = due
        if schedule.state != "ENABLED" or self._platform.is_down(region):
            return
        self._fire(region, schedule, due)
        if schedule.schedule_expression.startswith("at(") and schedule.action_after_completion == "DELETE":
            from moto.scheduler.models import scheduler_backends

            scheduler_backends[ACCOUNT_ID][region].delete_schedule(schedule.group_name, schedule.name)

    def due_time(self, schedule: Any, last: float | None, now: float) -> float | None:
        """Since when (epoch seconds) the schedule is due; None when it is not. `last` is when it was due before."""
        expression, timezone = schedule.schedule_expression, schedule.schedule_expression_timezone
        if (period := rate_seconds(expression)) is not None:
            since = float(schedule.creation_date) if last is None else last
            return now - (now - since) % period if now - since >= period else None
        if (once := at_time(expression, timezone)) is not None:
            return once.timestamp() if last is None and now >= once.timestamp() else None
        minute = now - now % 60
        if last == minute or float(schedule.creation_date) > minute:
            return None
        return minute if cron_matches(expression, datetime.fromtimestamp(minute, ZoneInfo(timezone))) else None

    def fire_by_name(self, region: str, name: str) -> None:
        """Fire a schedule now, whatever its state; raises LookupError when the Region has none of that name."""
        for where, schedule in self._schedules():
            if where == region and schedule.name == name:
                self._fire(region, schedule, time.time())
                return
        raise LookupError(f"name: {region} has no schedule {name}")

    def _fire(self, region: str, schedule: Any, due: float) -> None:
        threading.Thread(target=self._deliver, args=(region, schedule, due), daemon=True).start()

    def _deliver(self, region: str, schedule: Any, due: float) -> None:
        """Deliver, and try again as the target's retry policy says."""
        policy = schedule.target.get("RetryPolicy", {})
        attempts, age = (
            int(policy.get("MaximumRetryAttempts", 185)),
            float(policy.get("MaximumEventAgeInSeconds", 86400)),
        )
        execution_id, started, delay = str(uuid.uuid4()), time.time(), _FIRST_RETRY_SECONDS
        for attempt in range(1, attempts + 2):
            try:
                self._attempt(region, schedule, due, execution_id, attempt)
            except Exception as error:  # noqa: BLE001  # whatever fails is tried again, as AWS does
                why = str(error)
                self._platform.record("schedule_failed", region, schedule=schedule.name, attempt=attempt, why=why)
            else:
                self._platform.record("schedule", region, schedule=schedule.name, attempt=attempt)
                return
            if time.time() + delay > started + age or self._platform.stopping.wait(delay):
                return
            delay = min(delay * 2, _LONGEST_RETRY_SECONDS)

    def _attempt(self, region: str, schedule: Any, due: float, execution_id: str, attempt: int) -> None:
        payload = str(schedule.target.get("Input") or "{}")
        attributes = {
            "<aws.scheduler.scheduled-time>": datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "<aws.scheduler.execution-id>": execution_id,
            "<aws.scheduler.attempt-number>": str(attempt),
            "<aws.scheduler.schedule-arn>": schedule.arn,
        }
        for name, value in attributes.items():
            payload = payload.replace(name, value)
        group = f"arn:aws:scheduler:{region}:{ACCOUNT_ID}:schedule-group/{schedule.group_name}"
        target = schedule.target
        session = assume_as_service(target["RoleArn"], "scheduler.amazonaws.com", schedule.name, group)
        self._delivery.as_role(target["Arn"], payload, session, region)
