"""The trigger queue and its dead-letter queue, as one batch of messages sees them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws, events
from mwaa_continuity.errors import BadInput
from mwaa_continuity.events import Event
from mwaa_continuity.settings import variable
from mwaa_continuity.trigger_events import BadEvent

#: A message that waited for so long is sent again: the queue keeps it for 14 days, and lets it be received 1000 times,
#: which one that is looked at every half `LATER` at the least reaches after 5.2 days.
RENEWED_AFTER_SECONDS: Final = 5 * 86400
#: A Region that does not deliver forgets a message that was first sent so long ago.
FORGOTTEN_AFTER_SECONDS: Final = 14 * 86400
FIRST_WAIT_SECONDS: Final = 15
#: The longest that a message waits before it is looked at again, in seconds.
SOON: Final = 120
LATER: Final = 900
OFTEN: Final = 60
FIRST_SENT: Final = "first_sent"
LONGEST_ATTRIBUTE: Final = 1000
#: Characters of a body that fit into a message however they are written.
SHORTENED: Final = 10_000


@dataclass(frozen=True)
class Message:
    """One message of the queue."""

    id: str
    receipt: str
    body: str
    receives: int
    sent: float  #: epoch seconds when the queue took it
    first_sent: float  #: when it was sent for the first time

    def wait(self, longest: int) -> int:
        """Seconds until it is looked at again: twice as long each time, up to `longest`, not all at once.

        What was looked at often waits `LATER`, or it would be received 1000 times before it is sent again.
        """
        if self.receives > OFTEN:
            longest = LATER
        grown: int = min(longest, FIRST_WAIT_SECONDS * 2 ** min(self.receives - 1, 10))
        return random.randint(max(1, grown // 2), max(1, grown))  # noqa: S311 - spreads load, keeps no secret


def messages_of(event: Event) -> list[Message]:
    """The messages that Lambda hands over. Raises `BadInput` for an event that is none of SQS."""
    records = event.get("Records")
    if not isinstance(records, list):
        raise BadInput(
            f"Records is {events.kind(records)}; accepted: the messages of a queue, as Lambda hands them over"
        )
    try:
        return [message_of(record) for record in records]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadInput("a record is no message of a queue; accepted: what Lambda hands over") from None


def message_of(record: Mapping[str, Any]) -> Message:
    """One message."""
    sent = int(record["attributes"]["SentTimestamp"]) / 1000
    first = (record.get("messageAttributes") or {}).get(FIRST_SENT) or {}
    return Message(
        id=str(record["messageId"]),
        receipt=str(record["receiptHandle"]),
        body=str(record["body"]),
        receives=int(record["attributes"]["ApproximateReceiveCount"]),
        sent=sent,
        first_sent=instant(first.get("stringValue"), sent),
    )


def instant(text: object, otherwise: float) -> float:
    """Epoch seconds that an attribute holds; whoever may send to the queue may have written something else there."""
    try:
        found = float(str(text))
    except ValueError:
        return otherwise
    return found if 0 < found < otherwise else otherwise


class Queues:
    """What is done with messages, beside their deletion, which is Lambda's."""

    def __init__(self) -> None:
        self.sqs = aws.client("sqs")
        self.url = variable("QUEUE_URL")
        self.dead_letter_url = variable("DEAD_LETTER_URL")

    def put_back(self, message: Message, seconds: int) -> None:
        """Show a message again after some seconds."""
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds)

    def renew(self, message: Message) -> None:
        """Send a message again, so that the queue keeps it as long as a new one."""
        first_sent = {"DataType": "Number", "StringValue": f"{message.first_sent:.3f}"}
        self.sqs.send_message(
            QueueUrl=self.url, MessageBody=message.body, DelaySeconds=0, MessageAttributes={FIRST_SENT: first_sent}
        )

    def dead_letter(self, message: Message, bad: BadEvent, raw: Mapping[str, Any] | None, rule: str) -> None:
        """Send what cannot be delivered to the dead-letter queue, and say why; `raw` none: the message as it is."""
        told = {"reason": bad.reason, "why": str(bad), "rule": rule, "message_id": message.id}
        body = message.body if raw is None else as_text(raw)
        try:
            self._refuse(body, told)
        except ClientError as error:
            if not any(said in aws.code(error) for said in ("InvalidParameterValue", "InvalidMessageContents")):
                raise
            # With the reason it is too long, or it holds what SQS takes in no message: then as much as surely fits.
            self._refuse(json.dumps({"shortened": body[:SHORTENED]}), told)

    def _refuse(self, body: str, told: Mapping[str, str]) -> None:
        self.sqs.send_message(
            QueueUrl=self.dead_letter_url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": printable(value)[:LONGEST_ATTRIBUTE]}
                for name, value in told.items()
                if value
            },
        )


def as_text(document: Mapping[str, Any]) -> str:
    """JSON, no longer than the message that it came in."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text if printable(text) == text else json.dumps(document)


def printable(text: str) -> str:
    """Without what SQS refuses, such as control characters and halves of characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
