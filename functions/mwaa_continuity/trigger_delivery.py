"""Telling Airflow of an event: one dataset event, or one DAG run, at a bounded rate."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.config import Config

from mwaa_continuity import aws
from mwaa_continuity.errors import RestApiUnavailable
from mwaa_continuity.rest import CONFLICT, NOT_FOUND, RestApi
from mwaa_continuity.trigger_events import BadEvent, TriggerEvent
from mwaa_continuity.trigger_rules import Rule

#: One attempt: an SDK that repeats a call whose answer was lost would tell Airflow twice.
ONCE: Final = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1, "mode": "standard"})
PAGE: Final = 100
#: Clocks of Airflow and of the function differ by less.
CLOCK_SECONDS: Final = 300
#: The member of a dataset event's `extra` that says which event it tells of.
EXTRA_MEMBER: Final = "continuity_event"


class Pace:
    """Keeps calls apart by at least an interval, in seconds, over invocations in the same process too."""

    last = 0.0

    def __init__(self, interval: float) -> None:
        self.interval = interval

    def wait(self) -> None:
        """Return when the next call may be made."""
        due = Pace.last + self.interval - time.monotonic()
        if due > 0:
            time.sleep(due)
        Pace.last = time.monotonic()


class PacedApi(RestApi):
    """The REST API at a bounded rate."""

    def __init__(self, environment: str, airflow_version: str, pace: Pace) -> None:
        super().__init__(aws.client("mwaa", config=ONCE), environment, airflow_version)
        self.pace = pace

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        """As in the base class, when it is due."""
        self.pace.wait()
        return super().call(method, path, body, query)


class Delivery:
    """Tells one environment, in one invocation, until an instant of `time.monotonic`."""

    def __init__(self, api: RestApi, until: float) -> None:
        self.api = api
        self.until = until
        self.word = "dataset" if api.major < 3 else "asset"
        self._ids: dict[str, int] = {}
        self._told: dict[str, tuple[float, set[str]]] = {}

    def deliver(self, event: TriggerEvent, rule: Rule, doubt_since: int) -> str:
        """Tell Airflow once: "delivered", or "found" where it was told before.

        `doubt_since`: epoch seconds of an earlier attempt that nobody knows the outcome of, or 0. Raises `BadEvent`
        where Airflow does not know dataset or DAG, `RestApiRefused` or `RestApiUnavailable`.
        """
        if rule.dag_id:
            return self._start(event, rule)
        if doubt_since and self._is_there(event, rule, doubt_since - CLOCK_SECONDS):
            return "found"
        self._tell(event, rule)
        return "delivered"

    def _start(self, event: TriggerEvent, rule: Rule) -> str:
        run_id = f"event__{rule.name}__{event.id}"
        conf = {"rule": rule.name, "event": dict(event.content)}
        status, answer = self.api.post_run(rule.dag_id, run_id, conf)
        if status == NOT_FOUND:
            raise BadEvent("unknown_dag", f"Airflow knows no DAG {rule.dag_id}")
        if status != CONFLICT:
            return "delivered"
        if self.api.major < 3 and run_id not in str(answer):
            # Airflow 2 allows one run of a DAG per microsecond: another one had this instant.
            raise RestApiUnavailable(f"another run of {rule.dag_id} was created at the same instant", throttled=True)
        return "found"

    def _tell(self, event: TriggerEvent, rule: Rule) -> None:
        extra = {EXTRA_MEMBER: name_of(event, rule), "rule": rule.name, **event.content}
        told: dict[str, Any] = {"dataset_uri": rule.dataset}
        if self.api.major >= 3:
            told = {"asset_id": self._id_of(rule.dataset)}
        status, _ = self.api.call("POST", f"/{self.word}s/events", {**told, "extra": extra})
        if status == NOT_FOUND:
            raise self._unknown(rule.dataset)
        if status == CONFLICT:
            raise RestApiUnavailable(f"POST /{self.word}s/events: HTTP status {CONFLICT}")

    def _id_of(self, uri: str) -> int:
        """Airflow's number of a dataset. By a list, because a URI in the path could be too long."""
        if uri not in self._ids:
            for found in self._listed(f"/{self.word}s", f"{self.word}s", {"uri_pattern": uri}):
                self._ids[found["uri"]] = int(found["id"])
        if uri not in self._ids:
            raise self._unknown(uri)
        return self._ids[uri]

    def _unknown(self, uri: str) -> BadEvent:
        return BadEvent("unknown_dataset", f"Airflow knows no {self.word} {uri}")

    def _is_there(self, event: TriggerEvent, rule: Rule, since: float) -> bool:
        """Whether a dataset event tells of the event already, among those since an instant (epoch seconds)."""
        return name_of(event, rule) in self._told_since(rule.dataset, since)

    def _told_since(self, uri: str, since: float) -> set[str]:
        """The names of the events that a dataset was told of, read once in an invocation: nobody else delivers what
        it has claimed.

        Raises `RestApiUnavailable` where reading takes longer than there is time: what is in doubt stays so.
        """
        read_since, told = self._told.get(uri, (math.inf, set()))
        if read_since <= since:
            return told
        told = set()
        of: dict[str, Any] = {f"{self.word}_id": self._id_of(uri), "order_by": "-timestamp"}
        if self.api.major >= 3:
            of["timestamp_gte"] = datetime.fromtimestamp(since, UTC).isoformat()
        for found in self._listed(f"/{self.word}s/events", f"{self.word}_events", of):
            if epoch(found["timestamp"]) < since:
                break
            if time.monotonic() > self.until:
                raise RestApiUnavailable(
                    f"the events of {self.word} {uri} are too many to look through", throttled=True
                )
            told.add(str((found.get("extra") or {}).get(EXTRA_MEMBER)))
        self._told[uri] = (since, told)
        return told

    def _listed(self, path: str, member: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page by page. Airflow may be set to shorter pages than are asked for."""
        seen, total = 0, 1
        while seen < total:
            status, listed = self.api.call("GET", path, query={**query, "limit": PAGE, "offset": seen})
            if status in (NOT_FOUND, CONFLICT) or not listed[member]:
                return
            yield from listed[member]
            seen, total = seen + len(listed[member]), int(listed["total_entries"])


def name_of(event: TriggerEvent, rule: Rule) -> str:
    """What tells dataset events of the same event by the same rule."""
    return f"{rule.name}/{event.id}"


def epoch(instant: str) -> float:
    """Epoch seconds of an instant as Airflow writes it."""
    parsed = datetime.fromisoformat(instant)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
