"""The item of the question whether to fail over ("The lease table"): one at a time, answered once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from mwaa_continuity.items import notation, write_if_unchanged

KEY: Final = {"pk": {"S": "approval"}, "sk": {"S": "approval"}}

OPEN: Final = "open"
APPROVED: Final = "approved"
REFUSED: Final = "refused"

#: An approved failover looks at the primary again and takes the lease; meanwhile nobody is asked about the next one.
APPROVED_REST_SECONDS: Final = 300
#: Asking takes a few seconds, its repetitions included; a question without a notice after that never had one.
UNTOLD_SECONDS: Final = 120


@dataclass(frozen=True)
class Question:
    """Who asked, and what was answered."""

    request_id: str  #: name of the failover's execution, by which it is answered
    state: str  #: open, approved, refused; one that nobody answered stays open
    asked_at: int  #: epoch seconds
    again_at: int  #: epoch seconds before which nobody is asked again
    told: bool  #: whether its notice went out
    handed_over: bool = False  #: whether the failover took the answer


def read_question(dynamodb: Any, table: str) -> Question | None:
    """The last question, or none where nobody ever asked."""
    item = dynamodb.get_item(TableName=table, Key=KEY, ConsistentRead=True).get("Item")
    if item is None:
        return None
    return Question(
        request_id=item["request_id"]["S"],
        state=item["state"]["S"],
        asked_at=int(item["asked_at"]["N"]),
        again_at=int(item["again_at"]["N"]),
        told=item["told"]["BOOL"],
        handed_over="handed_over" in item,
    )


def stands(question: Question | None, now: float) -> bool:
    """Whether the question, or the answer to it, keeps the heartbeat check from having another one asked. One that
    nobody was told of cannot be answered, and keeps it for a moment only."""
    if question is None:
        return False
    untold = question.state == OPEN and not question.told
    return now < (question.asked_at + UNTOLD_SECONDS if untold else question.again_at)


def asked(seen: Question | None, request_id: str, now: int, *, seconds: int, rest_seconds: int) -> Question | None:
    """The question to write for a request, none where another one is open or was refused a short while ago.

    A request that asks again keeps its own. What was approved and came to nothing may be asked at once.
    """
    if seen is not None and seen.request_id == request_id and seen.state == OPEN:
        return seen
    if seen is not None and seen.state != APPROVED and stands(seen, now):
        return None
    return Question(request_id, OPEN, now, now + seconds + rest_seconds, told=False)


def answered(seen: Question, state: str, now: int, rest_seconds: int) -> Question:
    """The question with its answer. Who approves is asked again soon where it came to nothing."""
    return replace(seen, state=state, again_at=now + (rest_seconds if state == REFUSED else APPROVED_REST_SECONDS))


def write_question(dynamodb: Any, table: str, seen: Question | None, wanted: Question) -> bool:
    """Write the item if it still is what was seen. False if somebody else was faster."""
    return write_if_unchanged(dynamodb, table, KEY, attributes(seen) if seen else None, attributes(wanted))


def attributes(question: Question) -> dict[str, dict[str, Any]]:
    """The attributes of the item in DynamoDB's notation. `handed_over` is there or not."""
    values = asdict(question)
    if not question.handed_over:
        del values["handed_over"]
    return notation(values)
