"""Follows from outside how an environment is brought back: events as they come, and the first dump of the target."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from tests.local_aws.fixtures import RunningStandIn
from tests.rehearsal import database
from tests.rehearsal.progress import Progress

LEDGER = "continuity_restore"


class DidNotArrive(Exception):
    """The environment did not go live; the message says why."""


@dataclass
class Arrival:
    """What was seen of it; times in epoch seconds. `since`: the outage, or what else it began with."""

    since: float
    started: float = 0.0
    creating: float = 0.0
    available: float = 0.0
    state_restored: float = 0.0
    live: float = 0.0
    execution: str = ""
    ledger: dict[str, Any] = field(default_factory=dict)


@dataclass
class Narrator:
    """Reads the stand-in's time line and tells a person what matters of it."""

    stand_in: RunningStandIn
    progress: Progress
    seen: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def poll(self) -> list[dict[str, Any]]:
        """Events since the last call."""
        every: list[dict[str, Any]] = self.stand_in.get("events")
        new, self.seen = every[self.seen :], len(every)
        self.events = every
        for event in new:
            if line := self._line(event):
                self.progress.say(f"  {line}")
        return new

    def status_at(self, region: str, status: str, since: float = 0.0) -> float:
        """When the environment of a Region first had a status after `since`; 0 where it had not yet."""
        times = [
            float(event["at"])
            for event in self.events
            if event["kind"] == "environment_status" and event["region"] == region and event["status"] == status
        ]
        return min((at for at in times if at > since), default=0.0)

    def _line(self, event: dict[str, Any]) -> str:
        kind, region = event["kind"], event["region"]
        if kind == "environment_status":
            return (
                f"{region}: environment {event['environment']} is {event['status']} {event.get('error', '')}".rstrip()
            )
        if kind == "outage":
            return f"{region}: {'the Region is gone' if event['down'] else 'the Region is back'}"
        if kind == "execution" and not event["machine"].endswith("-heartbeat_check"):
            return f"{region}: {event['machine']} {event['status']} {reason(event)}".rstrip()
        if kind == "execution" and event["status"] not in ("RUNNING", "SUCCEEDED"):
            return f"{region}: {event['machine']} {event['status']} {reason(event)}".rstrip()
        if kind in ("denied", "airflow_component_ended", "replication_failed", "event_lost", "schedule_failed"):
            return (
                f"{region}: {kind} {json.dumps({k: v for k, v in event.items() if k not in ('kind', 'region', 'at')})}"
            )
        return ""


@dataclass
class Observer:
    """Watches how one execution of `machine` brings an environment into `region`."""

    narrator: Narrator
    region: str
    machine: str
    folder: Path
    arrival: Arrival
    start_seconds: float = 420.0
    arrival_seconds: float = 600.0
    #: URL of the database of an environment that is there already, with the audit in it.
    standing_by: str = ""

    def wait_for_start(self) -> None:
        """Until the machine runs."""

        def started() -> bool:
            self.narrator.poll()
            for event in self.narrator.events:
                ours = event["kind"] == "execution" and event["machine"] == self.machine
                if ours and event["at"] > self.arrival.since:
                    self.arrival.started, self.arrival.execution = event["at"], event["executionArn"]
                    return True
            return False

        self._wait(started, self.start_seconds, f"{self.machine} started")

    def wait_for_environment(self) -> str:
        """Until the environment is available; installs the audit on the way. Returns the URL of its database."""
        if self.standing_by:
            self.arrival.available = self.arrival.started
            return self.standing_by
        audited = ""

        def available() -> bool:
            nonlocal audited
            self.narrator.poll()
            self._fail_if_ended()
            environment = self.environment()
            if environment and not audited and self._has_schema(environment["database_url"]):
                database.install_audit(environment["database_url"])
                audited = environment["database_url"]
            return bool(audited) and self._available()

        self._wait(available, self.arrival_seconds, "the environment was available")
        return audited

    def dump_before_live(self, database_url: str) -> Path:
        """Until the state is restored; then at once a dump."""

        def restored() -> bool:
            self.arrival.ledger = read_ledger(database_url)
            done = bool(self.arrival.ledger.get("state_at"))  # empty while what was there before is deleted
            if not done:
                self.narrator.poll()
                self._fail_if_ended()
            return done

        self._wait(restored, self.arrival_seconds, "the state was restored", pause=0.2)
        self.arrival.state_restored = time.time()
        return database.dump_of_now(database_url, self.folder / "target-before-live.sql")

    def wait_for_end(self) -> None:
        """Until the machine ended well."""

        def ended() -> bool:
            self.narrator.poll()
            self._fail_if_ended()
            for event in self._executions("SUCCEEDED"):
                self.arrival.live = event["at"]
            return bool(self.arrival.live)

        self._wait(ended, self.arrival_seconds, f"{self.machine} ended")

    def environment(self) -> dict[str, Any] | None:
        """The environment of the watched Region as test equipment sees it."""
        found = [e for e in self.narrator.stand_in.get("environments") if e["region"] == self.region]
        return found[0] if found and found[0]["database_url"] else None

    def _available(self) -> bool:
        since = self.arrival.since
        self.arrival.creating = self.narrator.status_at(self.region, "CREATING", since)
        self.arrival.available = self.narrator.status_at(self.region, "AVAILABLE", since)
        return bool(self.arrival.available)

    def _executions(self, *statuses: str) -> list[dict[str, Any]]:
        return [
            event
            for event in self.narrator.events
            if event["kind"] == "execution"
            and event["executionArn"] == self.arrival.execution
            and event["status"] in statuses
        ]

    def _fail_if_ended(self) -> None:
        for event in self._executions("FAILED", "TIMED_OUT", "ABORTED"):
            raise DidNotArrive(f"{self.machine} {event['status']}: {reason(event)}")

    @staticmethod
    def _has_schema(database_url: str) -> bool:
        try:
            tables = database.query(
                database_url, "SELECT to_regclass('public.trigger'), to_regclass('public.task_instance')"
            )
        except psycopg2.OperationalError:  # the database is being made
            return False
        return None not in tables[0]

    def _wait(self, reached: Callable[[], bool], seconds: float, what: str, pause: float = 0.5) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                raise DidNotArrive(f"{seconds:.0f} s passed before {what}")
            time.sleep(pause)


def reason(event: dict[str, Any]) -> str:
    """Why an execution failed, in a line; a function's stack trace stays in the logs."""
    cause = event.get("cause") or ""
    if cause.startswith("{"):
        told = json.loads(cause)
        return f"{told.get('errorType', event.get('error'))}: {told.get('errorMessage', cause)}"
    return f"{event.get('error')}: {cause}" if event.get("error") else cause


def read_ledger(database_url: str) -> dict[str, Any]:
    """The restore's ledger, empty where there is none."""
    rows = database.query(database_url, "SELECT val FROM variable WHERE key = %s", (LEDGER,))
    return dict(json.loads(rows[0][0])) if rows else {}
