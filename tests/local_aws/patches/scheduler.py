"""Patches of moto's EventBridge Scheduler (firing is `schedules`')."""

from __future__ import annotations

from typing import Any

from moto.scheduler import models


def update_keeps_state() -> None:
    """moto sets the state of a schedule to none when an update does not carry one. AWS sets it to ENABLED."""
    update = models.Schedule.update

    def update_with_default(schedule: Any, *args: Any, **kwargs: Any) -> None:
        update(schedule, *args, **kwargs)
        schedule.state = schedule.state or "ENABLED"

    models.Schedule.update = update_with_default


PATCHES = [update_keeps_state]
