"""Answer the state machine that started a DAG: heartbeats, then success or failure. The token goes nowhere else."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from continuity.errors import BAD_INPUT, BadInput, NobodyWaits
from continuity.storage import read_if_present

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 20.0
#: What Step Functions says when nobody waits for the answer any more.
NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
LONGEST_CAUSE = 32_000


class Answer:
    """What to tell the state machine; silent where nobody waits."""

    def __init__(self) -> None:
        self.output: Mapping[str, Any] | None = None


@contextmanager
def answering(
    s3: Any,
    states: Any,
    bucket: str,
    environment: str,
    *,
    request_id: str | None,
    failure: str,
    hand_on: bool = False,
    regardless: bool = False,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Iterator[Answer]:
    """Send heartbeats while the block works, then its `Answer.output`, or its error under the name `failure`.

    `hand_on`: success is for the next task of the run to tell; the token stays where that one finds it. Raises
    NobodyWaits before the block where Step Functions has given the token up, as it has when this run waited for its
    slot too long; with `regardless` the block is worth doing all the same.
    """
    answer = Answer()
    key = f"work/{environment}/{request_id}.json"
    token = read_token(s3, bucket, key) if request_id else None
    if token is None:
        yield answer
        return
    if not _heartbeat(states, token):
        _forget(s3, bucket, key)
        if not regardless:
            raise NobodyWaits(f"nobody waits for request {request_id} any more, so it is not done")
        yield answer
        return
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(states, token, stop, heartbeat_seconds), daemon=True)
    beating.start()
    try:
        yield answer
    except BaseException as error:
        stop.set()
        name = BAD_INPUT if isinstance(error, BadInput) else failure
        cause = (str(error) or type(error).__name__)[:LONGEST_CAUSE]
        _tell(states.send_task_failure, taskToken=token, error=name, cause=cause)
        _forget(s3, bucket, key)
        raise
    stop.set()
    if not hand_on:
        _tell(states.send_task_success, taskToken=token, output=json.dumps(answer.output))
        _forget(s3, bucket, key)


def read_token(s3: Any, bucket: str, key: str) -> str | None:
    """The task token, None when it was answered or has expired (the run was cleared by hand, say).

    Raises AccessRefused, and BadInput for an object that holds none.
    """
    body = read_if_present(s3, bucket, key)
    if body is None:
        log.warning("there is no s3://%s/%s: nobody waits for an answer", bucket, key)
        return None
    try:
        return str(json.loads(body)["task_token"])
    except (ValueError, KeyError, TypeError):
        raise BadInput(key, "it holds no task token", '{"task_token": "..."}') from None


def _beat(states: Any, token: str, stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
        if not _heartbeat(states, token):
            return


def _heartbeat(states: Any, token: str) -> bool:
    """Whether somebody may still wait; one heartbeat that is lost on the way says nothing about that."""
    try:
        states.send_task_heartbeat(taskToken=token)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        log.warning("heartbeat refused: %s", code)
        return code not in NOBODY_WAITS
    except BotoCoreError as error:
        log.warning("heartbeat not sent: %s", type(error).__name__)
    return True


def _forget(s3: Any, bucket: str, key: str) -> None:
    """Delete a token that was answered. It is worth nothing any more, and expires: no reason to fail what succeeded."""
    try:
        s3.delete_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError) as error:
        log.warning("s3://%s/%s is left to the bucket's lifecycle rule: %s", bucket, key, error)


def _tell(send: Any, **message: Any) -> None:
    try:
        send(**message)
    except ClientError as error:
        if error.response["Error"]["Code"] not in NOBODY_WAITS:
            raise
        log.warning("the answer comes too late, nobody waits for it: %s", error.response["Error"]["Code"])
