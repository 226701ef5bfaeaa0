"""The REST client of tasks: patience, pages, paths, and what its errors say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from continuity.errors import RestRefused
from continuity.rest import ATTEMPTS, LONGEST_PATH, RestApi

SECRET = "planted-secret"


class Mwaa:
    """Answers InvokeRestApi by a function of the call; remembers the calls."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.answer, self.calls = answer, list[dict[str, Any]]()

    def invoke_rest_api(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        return {"RestApiStatusCode": 200, "RestApiResponse": self.answer(call)}


def failure(code: str, status: int | None = None) -> ClientError:
    """An error of InvokeRestApi as botocore raises it; Airflow's answers repeat what they were sent."""
    response = {"Error": {"Code": code, "Message": SECRET}, "RestApiResponse": {"detail": [{"input": SECRET}]}}
    return ClientError(response | ({"RestApiStatusCode": status} if status else {}), "InvokeRestApi")  # type: ignore[arg-type]


def raising(error: Exception, times: int) -> Callable[[dict[str, Any]], Any]:
    """Raise the error so many times, then answer."""
    left = [error] * times

    def answer(_call: dict[str, Any]) -> Any:
        if left:
            raise left.pop()
        return {"ok": True}

    return answer


def api(mwaa: Mwaa) -> tuple[RestApi, list[float]]:
    slept: list[float] = []
    return RestApi(mwaa, "analytics", slept.append), slept


@pytest.mark.parametrize(
    "error",
    [
        failure("RestApiServerException", 503),
        failure("ThrottlingException"),
        ReadTimeoutError(endpoint_url="https://env.airflow.eu-west-1.amazonaws.com"),
    ],
)
def test_what_may_pass_is_tried_again_ever_slower(error: Exception) -> None:
    mwaa = Mwaa(raising(error, ATTEMPTS - 1))
    client, slept = api(mwaa)
    assert client.call("GET", "/dags") == {"ok": True}
    assert len(mwaa.calls) == ATTEMPTS
    assert slept == sorted(slept)
    mwaa.answer = raising(error, ATTEMPTS)
    with pytest.raises(RestRefused, match="GET /dags by InvokeRestApi"):
        client.call("GET", "/dags")


@pytest.mark.parametrize(
    ("code", "status"),
    [("RestApiClientException", 422), ("AccessDeniedException", None), ("ValidationException", None)],
)
def test_what_will_not_pass_is_not_tried_again_and_shows_no_value(code: str, status: int | None) -> None:
    """Failure covered: Airflow repeats what it refuses, passwords included."""
    mwaa = Mwaa(raising(failure(code, status), 1))
    with pytest.raises(RestRefused) as refused:
        api(mwaa)[0].call("PATCH", "/connections", body={"actions": [SECRET]})
    assert len(mwaa.calls) == 1
    assert refused.value.status == (status or 0)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def collection(size: int, largest_page: int = 100) -> Callable[[dict[str, Any]], Any]:
    """A collection that cannot answer more than so many entries at once."""

    def answer(call: dict[str, Any]) -> Any:
        limit, offset = call["QueryParameters"]["limit"], call["QueryParameters"].get("offset", 0)
        if limit > largest_page:
            raise failure("RestApiClientException", 413)
        return {"pools": [{"name": n} for n in range(size)][offset : offset + limit], "total_entries": size}

    return answer


@pytest.mark.parametrize(("size", "largest"), [(0, 100), (1, 100), (100, 100), (250, 100), (25, 10), (3, 1)])
def test_every_page_is_read_in_smaller_ones_where_they_are_too_large(size: int, largest: int) -> None:
    client, _ = api(Mwaa(collection(size, largest)))
    assert [entry["name"] for entry in client.every("/pools", "pools", "name")] == list(range(size))


@pytest.mark.parametrize(("size", "places"), [(1, {0}), (3, {0, 2}), (14, {12}), (14, {13})])
def test_an_entry_that_airflow_cannot_show_is_told_by_its_place(size: int, places: set[int]) -> None:
    """Failure covered: Airflow 3.0 fails to list pools where one has endless slots, and no snapshot is taken."""
    whole = collection(size)

    def failing(call: dict[str, Any]) -> Any:
        limit, offset = call["QueryParameters"]["limit"], call["QueryParameters"].get("offset", 0)
        if places & set(range(offset, offset + limit)):
            raise failure("RestApiServerException", 500)
        return whole(call)

    client, _ = api(Mwaa(failing))
    broken: list[str] = []
    found = [entry["name"] for entry in client.every("/pools", "pools", "name", broken=broken)]
    assert found == [number for number in range(size) if number not in places]
    assert broken == [f"number {place + 1} of {size}" for place in sorted(places)]
    with pytest.raises(RestRefused, match="HTTP status 500"):
        client.every("/pools", "pools", "name")


def test_a_collection_that_never_stands_still_is_refused() -> None:
    """Failure covered: pages shift while they are read, and an entry is left out silently."""
    size = [0]

    def growing(call: dict[str, Any]) -> Any:
        size[0] += 1
        return collection(size[0])(call)

    with pytest.raises(RestRefused, match="changes while it is read"):
        api(Mwaa(growing))[0].every("/pools", "pools", "name")


def dags(*dag_ids: str) -> Callable[[dict[str, Any]], Any]:
    def answer(call: dict[str, Any]) -> Any:
        assert len(call["Path"]) <= LONGEST_PATH
        like = call.get("QueryParameters", {}).get("dag_id_pattern", "")
        return {"dags": [{"dag_id": dag_id} for dag_id in dag_ids if like in dag_id]}

    return answer


def test_a_dag_with_a_long_id_is_paused_only_where_it_alone_is_meant() -> None:
    """Failure covered: a pattern in place of an id pauses, or unpauses, other DAGs."""
    long, longer = "d" * 60, "d" * 61
    for known, done in (((long,), True), ((long, longer), False), ((longer,), False)):
        mwaa = Mwaa(dags(*known))
        assert api(mwaa)[0].set_paused(long, True) is done
        assert [call["Method"] for call in mwaa.calls] == ["GET", "PATCH"][: 1 + done]
    mwaa = Mwaa(dags("short"))
    assert api(mwaa)[0].set_paused("short", False)
    assert [(call["Method"], call["Path"], call["Body"]) for call in mwaa.calls] == [
        ("PATCH", "/dags/short", {"is_paused": False})
    ]
