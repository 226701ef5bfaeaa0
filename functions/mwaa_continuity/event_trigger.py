"""event_trigger: messages of the trigger queue become dataset events or DAG runs, each good event once.

A bad event goes to the dead-letter queue with its reason. Every other one stays in the queue until it is delivered,
however long the environment is away: docs/events.md says how and what is promised.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import app, aws, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.errors import RestApiRefused, RestApiUnavailable
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable, whole_number
from mwaa_continuity.trigger_delivery import Delivery, Pace, PacedApi
from mwaa_continuity.trigger_events import BadEvent, TriggerEvent, unwrap
from mwaa_continuity.trigger_gate import Gate
from mwaa_continuity.trigger_ledger import Ledger
from mwaa_continuity.trigger_queue import (
    FORGOTTEN_AFTER_SECONDS,
    LATER,
    RENEWED_AFTER_SECONDS,
    SOON,
    Message,
    Queues,
    messages_of,
)
from mwaa_continuity.trigger_rules import Rule, read_rules, rules_for

#: No delivery is begun later in an invocation, which may last two minutes.
BATCH_SECONDS: Final = 60
#: A Region that does not deliver forgets an event so long after the other one delivered it: longer ago than the cut of
#: any snapshot that a failover would still restore.
SETTLED_SECONDS: Final = 7 * 86400
#: HTTP statuses that say something of the caller, not of the event; 0: refused before it got to Airflow, 405: an
#: Airflow that takes no dataset events.
NOT_THE_EVENTS_FAULT: Final = frozenset({0, 401, 403, 405, 429})
#: So long Airflow may not know a DAG or dataset yet: its files come, or are parsed.
UNKNOWN_SECONDS: Final = 900


class NotNow(Exception):
    """A delivery is to be tried again: after at most `longest` seconds, or after exactly `seconds`.

    `kept`: for as long as it takes, else until `FORGOTTEN_AFTER_SECONDS`.
    """

    def __init__(self, why: str, longest: int = LATER, seconds: int = 0, *, kept: bool = True) -> None:
        super().__init__(why)
        self.longest = longest
        self.seconds = seconds
        self.kept = kept


@dataclass(frozen=True)
class Bad:
    """What of a message goes to the dead-letter queue; `raw` none: all of it."""

    error: BadEvent
    raw: Mapping[str, Any] | None = None
    rule: str = ""


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what it answers."""
    return app.run("event_trigger", {"": take}, event, context)


def take(event: Event, log: Log) -> Result:
    """Deliver a batch of messages; the answer names those that stay in the queue."""
    batch = Batch(log)
    messages = messages_of(event)
    left = [message.id for message in messages if not batch.handle(message)]
    batch.publish()
    log.info("batch", objects=len(messages), left=len(left), outcome=batch.told())
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in left]}


class Batch:
    """One invocation."""

    def __init__(self, log: Log) -> None:
        settings = Settings.read()
        self.log = log
        self.rules = read_rules()
        self.queues = Queues()
        self.gate = Gate(settings, log)
        self.ledger = Ledger(aws.client("dynamodb"), variable("LEDGER_TABLE"), uuid.uuid4().hex, settings.region)
        self.settings = settings
        self.until = time.monotonic() + BATCH_SECONDS
        self.stopped: NotNow | None = None
        self.counts = {"EventsDelivered": 0, "EventsRefused": 0}
        self.waited = 0.0
        self._delivery: Delivery | None = None

    def handle(self, message: Message) -> bool:
        """Whether the message is finished with. One that is not is shown again after a while."""
        try:
            for bad in self._deliver_all(message):
                self._refuse(message, bad)
        except NotNow as later:
            return self._put_back(message, later)
        except (BotoCoreError, ClientError) as error:
            self.log.failure("not delivered", error=str(aws.translated(error)), key=message.id)
            self._note_waiting(message)
            return self._put_back(message, NotNow("an error of AWS"))
        except Exception as error:  # noqa: BLE001 - one message must not fail its batch; its text could hold the event's
            self.log.failure("not delivered", error=type(error).__name__, key=message.id)
            self._note_waiting(message)
            return self._put_back(message, NotNow("an error of the function"))
        return True

    def _refuse(self, message: Message, bad: Bad) -> None:
        self.queues.dead_letter(message, bad.error, bad.raw, bad.rule)
        self.counts["EventsRefused"] += 1
        self.log.warning("refused", key=message.id, why=f"{bad.error.reason}: {bad.error}"[:300])

    def _deliver_all(self, message: Message) -> list[Bad]:
        """Deliver every good event of a message; answer the bad ones. Raises `NotNow` if one is to be tried again.

        Then no bad one is dealt with either: all of them come again with the message.
        """
        try:
            found = unwrap(message.body)
        except BadEvent as error:
            return [Bad(error)]
        bad: list[Bad] = [Bad(event) for event in found if isinstance(event, BadEvent)]
        alone = len(found) == 1
        later: NotNow | None = None
        for event in found:
            if isinstance(event, BadEvent):
                continue
            try:
                rules = rules_for(event, self.rules)
            except BadEvent as error:
                bad.append(Bad(error, None if alone else event.raw, event.rule))
                continue
            for rule in rules:
                try:
                    self._deliver(event, rule, message)
                except BadEvent as error:
                    bad.append(Bad(error, None if alone else event.raw, rule.name))
                except NotNow as error:
                    later = error
        if later:
            raise later
        return bad

    def _deliver(self, event: TriggerEvent, rule: Rule, message: Message) -> None:
        """Deliver one event by one rule, once. Raises `BadEvent` or `NotNow`."""
        if self.stopped:
            self._note_waiting(message)
            raise self.stopped
        if time.monotonic() > self.until:
            raise NotNow("this invocation took long enough", seconds=1)
        closed = self.gate.closed()
        if closed:
            if closed.elsewhere and self._is_settled(event, rule):
                return
            if not closed.expected:
                self._note_waiting(message)
            raise NotNow(closed.why, closed.longest, kept=not closed.elsewhere)
        self._deliver_claimed(event, rule, message)

    def _deliver_claimed(self, event: TriggerEvent, rule: Rule, message: Message) -> None:
        claim = self.ledger.claim(event.id, rule.name, self.gate.lost)
        if claim.done:
            return
        if not claim.owned:
            raise NotNow("another invocation is at work on it", seconds=claim.busy_seconds)
        try:
            outcome = self._airflow().deliver(event, rule, claim.doubt_since)
        except BadEvent as error:
            self.ledger.release(claim)
            if self._may_come(rule, message):
                raise NotNow(str(error), SOON) from None
            raise
        except RestApiRefused as error:
            self.ledger.release(claim)
            if error.status in NOT_THE_EVENTS_FAULT and not error.invalid:
                raise self._stop(f"refused: {error}", LATER, message) from None
            raise BadEvent("refused", str(error)) from None
        except RestApiUnavailable as error:
            if error.throttled:
                self.ledger.release(claim)
            raise self._stop(f"unavailable: {error}", SOON if error.throttled else LATER, message) from None
        self.ledger.done(claim)
        self.counts["EventsDelivered"] += outcome == "delivered"
        self.log.debug("delivered", outcome=outcome, key=event.id, dag_id=rule.dag_id or None)

    def _airflow(self) -> Delivery:
        if self._delivery is None:
            pace = Pace(whole_number("PACE_MILLISECONDS") / 1000)
            api = PacedApi(self.settings.environment, self.gate.airflow_version, pace)
            self._delivery = Delivery(api, self.until)
        return self._delivery

    def _stop(self, why: str, longest: int, message: Message) -> NotNow:
        """Nothing more is tried in this invocation: what failed would fail again, and add to the load."""
        self.log.warning("stopped", why=why[:300])
        self._note_waiting(message)
        self.stopped = NotNow(why, longest)
        return self.stopped

    def _note_waiting(self, message: Message) -> None:
        self.waited = max(self.waited, time.time() - message.first_sent)

    def _may_come(self, rule: Rule, message: Message) -> bool:
        """Whether Airflow may get to know the DAG or dataset of a rule yet: it was not unknown for long."""
        unknown_for = self.ledger.unknown_for(rule.name)
        return min(unknown_for, time.time() - message.first_sent) < UNKNOWN_SECONDS

    def _is_settled(self, event: TriggerEvent, rule: Rule) -> bool:
        """Whether the other Region delivered it so long ago that no failover would lose it again."""
        done_at = self.ledger.done_at(event.id, rule.name)
        return bool(done_at) and time.time() - done_at > SETTLED_SECONDS

    def _put_back(self, message: Message, later: NotNow) -> bool:
        now = time.time()
        if not later.kept and now - message.first_sent > FORGOTTEN_AFTER_SECONDS:
            self.log.warning("forgotten", why=str(later), key=message.id)
            return True
        try:
            if now - message.sent > RENEWED_AFTER_SECONDS:
                self._renew(message)
                return True
            self.queues.put_back(message, later.seconds or message.wait(later.longest))
        except Exception as error:  # noqa: BLE001 - then it is shown when the queue's own time is over
            self.log.warning("not put back", error=type(error).__name__, key=message.id)
        return False

    def _renew(self, message: Message) -> None:
        """Send a message again, and keep what the ledger knows of it as long as a new one."""
        for event, rule in self._told_by(message):
            self.ledger.keep(event.id, rule.name)
        self.queues.renew(message)

    def _told_by(self, message: Message) -> Iterator[tuple[TriggerEvent, Rule]]:
        with contextlib.suppress(BadEvent):  # what no rule takes was told to nobody
            for event in unwrap(message.body):
                if isinstance(event, TriggerEvent):
                    with contextlib.suppress(BadEvent):
                        yield from ((event, rule) for rule in rules_for(event, self.rules))

    def publish(self) -> None:
        """Publish what was done, and how long the oldest event has waited for Airflow."""
        values = {**self.counts, "EventWaitSeconds": self.waited}
        metrics.try_to_publish(self.settings.environment, values, self.log)

    def told(self) -> str:
        """What was done, in a few words."""
        return f"{self.counts['EventsDelivered']} delivered, {self.counts['EventsRefused']} refused"
