"""What a drain decides, and how it pauses without the database."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from continuity import drain as drains
from continuity.drain import ByRest, Drained, Record, Undrained
from continuity.errors import BadInput, ContinuityError, RecordUnreadable, StillExecuting
from continuity.settings import DrainConf, refuse_more_than_request

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNNING = ["dag", "run", "task", -1, "running"]
MAPPED = ["dag", "run", "mapped", 7, "queued"]
HOUR = DrainConf(60, "cancel")


@dataclass
class Place:
    """An environment in which these execute, look by look."""

    looked: list[list[Any]]
    looks: int = 1
    done: list[str] = field(default_factory=list)

    def pause(self) -> Record:
        self.done.append("pause")
        return Record("", ["a", "b"])

    def executing(self) -> list[list[Any]]:
        self.done.append("look")
        return self.looked.pop(0)

    def put_back(self) -> Undrained:
        self.done.append("put back")
        return Undrained(2, [])


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it slept, which also is what the clock says."""
    naps: list[float] = []
    monkeypatch.setattr(drains.time, "sleep", naps.append)
    monkeypatch.setattr(drains.time, "monotonic", lambda: sum(naps))
    return naps


def test_it_pauses_before_every_look(slept: list[float]) -> None:
    """Failure covered: a DAG that appears while the drain waits is never paused."""
    place = Place([[RUNNING, MAPPED], [RUNNING], []])
    assert drains.drain(place, HOUR) == Drained(2, [])
    assert place.done == ["pause", "look"] * 3
    assert slept == [5.0, 5.0]


def test_where_one_look_is_not_enough_it_looks_again(slept: list[float]) -> None:
    place = Place([[], [RUNNING], [], []], looks=2)
    assert drains.drain(place, DrainConf(0, "snapshot"), poll_seconds=7.0) == Drained(2, [RUNNING])
    assert slept == [7.0]
    place = Place([[], [RUNNING], [], []], looks=2)
    assert drains.drain(place, HOUR, poll_seconds=7.0) == Drained(2, [])
    assert slept == [7.0] * 4


def test_the_last_look_is_when_the_time_is_over(slept: list[float]) -> None:
    place = Place([[RUNNING]] * 3)
    assert drains.drain(place, DrainConf(1, "snapshot"), poll_seconds=40.0).executing == [RUNNING]
    assert slept == [40.0, 20.0]


def test_late_it_puts_back_and_names_what_executes() -> None:
    place = Place([[RUNNING, MAPPED]])
    wanted = (
        r"after 0 minutes 2 task instances executed, so 2 DAGs were unpaused again: "
        r"dag run task \(running\), dag run mapped\[7\] \(queued\)$"
    )
    with pytest.raises(StillExecuting, match=wanted):
        drains.drain(place, DrainConf(0, "cancel"))
    assert place.done == ["pause", "look", "put back"]


def test_late_it_goes_on_and_lists_a_bounded_number() -> None:
    place = Place([[RUNNING] * 1000])
    assert drains.drain(place, DrainConf(0, "snapshot")) == Drained(2, [RUNNING] * 50)
    assert "put back" not in place.done


def test_the_record_keeps_what_was_paused_before() -> None:
    first = drains.merged(None, ["b"], NOW)
    assert first == Record("2026-01-02T03:04:05+00:00", ["b"])
    assert drains.merged(first, ["a", "b"]) == Record("2026-01-02T03:04:05+00:00", ["a", "b"])
    assert drains.merged(first, []) == first


def test_flags_are_told_as_they_were_before() -> None:
    flags = {"drained": True, "paused": True, "unpaused": False, "gone": True}
    assert drains.flags_before(flags, None) == flags
    record = Record("", ["drained", "never seen"])
    assert drains.flags_before(flags, record) == {**flags, "drained": False}


@pytest.mark.parametrize("minutes", [None, -1, 1441, 1.5, True, "5"])
def test_minutes_are_a_whole_number(minutes: Any) -> None:
    with pytest.raises(BadInput, match=r"conf\.minutes: .* accepted: a whole number from 0 to 1440"):
        DrainConf.parse({"minutes": minutes, "when_late": "cancel"})


def test_what_a_drain_takes() -> None:
    conf = {"minutes": 1440, "when_late": "snapshot", "request_id": "r-1"}
    assert DrainConf.parse(conf) == DrainConf(1440, "snapshot")
    with pytest.raises(BadInput, match=r"conf\.when_late: None is unknown; accepted: 'cancel' or 'snapshot'"):
        DrainConf.parse({"minutes": 1})
    with pytest.raises(BadInput, match=r"conf\.snapshot_id: unknown field"):
        DrainConf.parse({**conf, "snapshot_id": "x"})
    refuse_more_than_request({"request_id": "r-1"})
    refuse_more_than_request({})
    with pytest.raises(BadInput, match=r"conf\.minutes: unknown field; accepted: request_id"):
        refuse_more_than_request(conf)


# -- without the database ----------------------------------------------------------------------------------------------


class Sdk:
    """Variables that a task can read and write."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables

    def find_variable(self, key: str) -> str | None:
        return self.variables.get(key)

    def remember(self, key: str, value: Any, description: str) -> None:
        self.variables[key] = json.dumps(value)
        assert "continuity_undrain" in description

    def forget(self, key: str) -> None:
        del self.variables[key]


class Api:
    """The REST API of an environment with these DAGs; `record` is what the drain remembers at each change."""

    def __init__(self, sdk: Sdk, **paused: bool) -> None:
        self.sdk, self.paused = sdk, paused
        self.unreachable: set[str] = set()
        self.instances: list[list[Any]] = []
        self.record: dict[str, list[str]] = {}

    def every(self, path: str, key: str, order_by: str, **query: Any) -> list[dict[str, Any]]:
        assert (path, key, order_by) == ("/dags", "dags", "dag_id")
        assert query in ({"paused": False}, {"exclude_stale": False})
        return [{"dag_id": name} for name, flag in self.paused.items() if flag == query.get("paused", flag)]

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        self.record[dag_id] = json.loads(self.sdk.variables["continuity_drain"])["paused"]
        if dag_id in self.unreachable:
            return False
        self.paused[dag_id] = paused
        return True

    def task_instances(self, states: tuple[str, ...]) -> list[list[Any]]:
        return [instance for instance in self.instances if instance[4] in states]


@pytest.mark.usefixtures("slept")
def test_without_the_database_each_dag_is_recorded_first_and_comes_back() -> None:
    """Failure covered: DAGs left disabled, because a drain was cut short between pausing and recording."""
    before = {"a": False, "b": False, "was": True, "continuity_guard": False}
    sdk = Sdk()
    api = Api(sdk, **before)
    api.instances = [
        ["continuity_drain", "run", "drain", -1, "running"],
        ["a", "run", "next", -1, "scheduled"],
        ["a", "run", "waits", -1, "deferred"],
    ]
    place = ByRest(api, sdk)  # type: ignore[arg-type]
    assert drains.drain(place, HOUR) == Drained(2, [])
    assert api.paused == {"a": True, "b": True, "was": True, "continuity_guard": False}
    assert api.record == {"a": ["a", "b"], "b": ["a", "b"]}

    api.instances.append(["b", "run", "task", -1, "restarting"])
    api.paused["late"] = False
    assert drains.drain(place, DrainConf(0, "snapshot")) == Drained(3, [["b", "run", "task", -1, "restarting"]])
    assert json.loads(sdk.variables["continuity_drain"])["paused"] == ["a", "b", "late"]

    del api.paused["late"]
    assert place.put_back() == Undrained(2, ["late"])
    assert api.paused == before
    assert sdk.variables == {}
    assert place.put_back() == Undrained(0, [])


def test_without_the_database_what_cannot_be_reached_keeps_the_record() -> None:
    sdk = Sdk()
    api = Api(sdk, a=False, unreachable=False, z=False)
    api.unreachable = {"unreachable"}
    place = ByRest(api, sdk)  # type: ignore[arg-type]
    with pytest.raises(ContinuityError, match="these DAGs cannot be paused without the database: unreachable"):
        place.pause()
    with pytest.raises(ContinuityError, match="these DAGs cannot be unpaused without the database: unreachable"):
        place.put_back()
    assert api.paused == {"a": False, "unreachable": False, "z": False}
    assert "continuity_drain" in sdk.variables
    api.unreachable = set()
    assert place.put_back() == Undrained(3, [])


@pytest.mark.parametrize("value", ["no JSON", "null", '{"drained_at": 1, "paused": []}', '{"paused": []}'])
def test_a_record_that_nobody_can_read_is_told(value: str) -> None:
    sdk = Sdk(continuity_drain=value)
    api = Api(sdk, a=False)
    place = ByRest(api, sdk)  # type: ignore[arg-type]
    for act in (place.pause, place.put_back):
        with pytest.raises(RecordUnreadable, match="variable continuity_drain is no record of a drain"):
            act()
    assert api.paused == {"a": False}
