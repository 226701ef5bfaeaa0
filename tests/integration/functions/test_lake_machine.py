"""The machine that merges exports into tables: bounded, retried, caught, its statements those of the module."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tools.lake_module import LakeModule, lake_module


@pytest.fixture(scope="module")
def module() -> LakeModule:
    return lake_module()


def tasks(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task, of the machine and of what it does with each table."""
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield name, state
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])


def test_every_task_is_bounded_and_retried_and_every_failure_caught(module: LakeModule) -> None:
    machine = json.loads(module.machine())
    assert machine["TimeoutSeconds"] > 0
    found = dict(tasks(machine))
    assert {"Create", "LookBack", "FindFirstDay", "MergeTable", "CreateView", "Optimize", "Vacuum"} <= set(found)
    for name, state in found.items():
        assert state["TimeoutSeconds"] > 0, name
        assert {"States.TaskFailed", "States.Timeout"} <= set(state["Retry"][0]["ErrorEquals"]), name
    for name, state in machine["States"].items():
        if state["Type"] in ("Map", "Task"):
            assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Failed"}], (
                name
            )


def test_statements_have_places_for_what_the_machine_finds_and_no_others(module: LakeModule) -> None:
    """`States.Format` wants as many values as there are places, and a brace of SQL would be one."""
    places = {"create": 0, "since": 0, "first_day": 1, "merge": 2}
    for statement in module.statements:
        assert set(statement) == {"table", *places}
        for name, count in places.items():
            text = statement[name]
            assert (text.count("{}"), text.count("{"), text.count("}")) == (count, count, count), statement["table"]
            assert "\\" not in text


def test_every_column_of_the_catalogue_is_created_and_merged(module: LakeModule) -> None:
    for statement in module.statements:
        table = module.tables[statement["table"]]
        for column in table["columns"]:
            name = column["name"]
            assert f"`{name}` {column['type']}," in statement["create"]
            assert f"  {name} = s.{name}," in statement["merge"]
            assert f"  s.{name},\n" in statement["merge"]
        assert all(f"t.{name} = s.{name}\n" in statement["merge"] for name in table["key"])
