"""What every handler does around its action: check the event, log, translate errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import aws, events
from mwaa_continuity.errors import BadInput
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log

Result = dict[str, Any]
Action = Callable[[Event, Log], Result]


def run(function: str, actions: Mapping[str, Action], raw_event: object, context: object) -> Result:
    """Run the action that the event asks for.

    `actions` maps names to actions; a function with one nameless action has the key "". Raises `BadInput` for an
    event that is no object or asks for an unknown action, and whatever the action raises; errors of AWS arrive as
    `Transient` or `AwsRefused`.
    """
    event = events.as_event(raw_event)
    log = Log(function, correlation_id(event, context))
    try:
        action = choose(event, actions)
        log.context["action"] = action
        started = time.monotonic()
        result = actions[action](event, log)
    except (BotoCoreError, ClientError) as error:
        translated = aws.translated(error)
        log.failure("failed", error_type=type(translated).__name__, error=str(translated))
        raise translated from None
    except Exception as error:
        log.failure("failed", error_type=type(error).__name__, error=str(error))
        raise
    log.info("done", seconds=round(time.monotonic() - started, 3))
    return result


def choose(event: Event, actions: Mapping[str, Action]) -> str:
    """The name of the action, which must be one of the function's."""
    if set(actions) == {""}:
        return ""
    accepted = "one of " + ", ".join(sorted(actions))
    name = events.text(event, "action", accepted)
    if name not in actions:
        raise BadInput(f"action is {name[:60]!r}; accepted: {accepted}")
    return name


def correlation_id(event: Event, context: object) -> str:
    """The caller's `request_id`, else the id of the invocation."""
    if event.get("request_id") is not None:
        return events.request_id(event)
    return str(getattr(context, "aws_request_id", "") or "local")
