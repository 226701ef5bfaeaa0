"""Airflow's REST API (3.x) by InvokeRestApi, from within a task. What it says of secrets is masked, and never used.

Answers and errors may show values of variables, so that no message repeats them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from continuity.errors import RestRefused

#: InvokeRestApi takes no longer path, and answers no more entries at a time.
LONGEST_PATH = 64
PAGES: tuple[int, ...] = (
    100,
    10,
    1,
)  # an answer has at most 6 MB: a page that is too large is asked for in smaller ones
#: Past the end of any collection.
BEYOND = 1_000_000_000
#: It takes 10 calls a second, of which the functions need some too.
SECONDS_PER_CALL = 0.2
ATTEMPTS = 5


class RestApi:
    """The REST API of one environment; slow enough for its limit, and patient with a web server that is busy."""

    def __init__(self, mwaa: Any, environment: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._mwaa, self._environment, self._sleep = mwaa, environment, sleep

    def call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """What Airflow answers. Raises RestRefused with the HTTP status (0: there was no answer).

        Every call we make may be repeated: one that fails for a reason that may pass is.
        """
        arguments: dict[str, Any] = {"Name": self._environment, "Method": method, "Path": path}
        if query:
            arguments["QueryParameters"] = dict(query)
        if body is not None:
            arguments["Body"] = dict(body)
        for attempt in range(1, ATTEMPTS + 1):
            self._sleep(SECONDS_PER_CALL * (1 if attempt == 1 else 2**attempt))
            refused = self._refusal(method, path, arguments)
            if not isinstance(refused, RestRefused):
                return refused
            if not refused.may_pass or attempt == ATTEMPTS:
                break
        raise refused

    def _refusal(self, method: str, path: str, arguments: Mapping[str, Any]) -> Any:
        """The answer, or the RestRefused to raise; made outside of the handlers, whose errors may show values."""
        try:
            return self._mwaa.invoke_rest_api(**arguments).get("RestApiResponse", {})
        except ClientError as error:
            status = int(error.response.get("RestApiStatusCode") or 0)  # type: ignore[call-overload]
            code = error.response["Error"]["Code"]
        except BotoCoreError as error:
            status, code = 0, type(error).__name__
        return RestRefused(f"{method} {path}", code, status)

    def every(
        self, path: str, key: str, order_by: str, *, broken: list[str] | None = None, **query: Any
    ) -> list[dict[str, Any]]:
        """Every entry of a collection: `key` is its member in the answer, `order_by` keeps the pages in order.

        One that Airflow fails to show even alone is told in `broken`, by its place, where that is given. Raises
        RestRefused, also where the collection changes too fast to be read whole.
        """
        for _ in range(ATTEMPTS):
            failed: list[str] = []
            entries = list(self._paged(path, key, {**query, "order_by": order_by}, None if broken is None else failed))
            if len(entries) + len(failed) == self._total(path, query):
                if broken is not None:
                    broken += failed
                return entries
        raise RestRefused(f"GET {path}", "the collection changes while it is read", 0)

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        """Set a DAG's paused flag; False where its id is too long for a path and not the only one of its like."""
        path = f"/dags/{quote(dag_id, safe='')}"
        if len(path) <= LONGEST_PATH:
            self.call("PATCH", path, body={"is_paused": paused})
            return True
        like = {"dag_id_pattern": dag_id, "limit": 2}
        alike = self.call("GET", "/dags", query=like)["dags"]
        if [dag["dag_id"] for dag in alike] != [dag_id]:
            return False
        self.call("PATCH", "/dags", query=like, body={"is_paused": paused})
        return True

    def task_instances(self, states: Sequence[str]) -> list[list[Any]]:
        """[dag_id, run_id, task_id, map_index, state] of every task instance in one of these states, in order."""
        found: list[list[Any]] = []
        query = {"state": list(states), "page_limit": 100, "page_offset": 0, "order_by": "id"}
        while True:
            answer = self.call("POST", "/dags/~/dagRuns/~/taskInstances/list", body=query)
            page = answer["task_instances"]
            found += [
                [entry[name] for name in ("dag_id", "dag_run_id", "task_id", "map_index", "state")] for entry in page
            ]
            query["page_offset"] += len(page)  # type: ignore[operator]
            if not page or query["page_offset"] >= answer["total_entries"]:
                return sorted(found, key=lambda entry: entry[:4])

    def _paged(
        self, path: str, key: str, query: Mapping[str, Any], failed: list[str] | None
    ) -> Iterator[dict[str, Any]]:
        offset, total, sizes = 0, 1, PAGES
        while offset < total:
            try:
                answer, sizes = self._page(path, {**query, "offset": offset}, sizes)
            except RestRefused as refused:
                if failed is None or refused.status != 500:
                    raise
                offset, total, sizes = offset + 1, self._total(path, query), PAGES[-1:]
                failed.append(f"number {offset} of {total}")
                continue
            total = int(answer["total_entries"])
            found = answer[key]
            if not found:
                return
            yield from found
            offset += len(found)

    def _total(self, path: str, query: Mapping[str, Any]) -> int:
        """How many entries there are, told without showing any."""
        return int(self.call("GET", path, query={**query, "limit": 1, "offset": BEYOND})["total_entries"])

    def _page(self, path: str, query: Mapping[str, Any], sizes: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        """A page of the largest of these sizes that Airflow can answer, and the sizes to go on with."""
        for place, limit in enumerate(sizes[:-1]):
            try:
                return self.call("GET", path, query={**query, "limit": limit}), sizes[place:]
            except RestRefused as refused:
                if not refused.may_be_size:
                    raise
        return self.call("GET", path, query={**query, "limit": sizes[-1]}), sizes[-1:]
