"""docs/cost.md: the worked numbers follow from its formula and its prices; none is only written down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[3]
_PAGE = (_PROJECT / "docs" / "cost.md").read_text(encoding="utf-8")
_WEEK, _MONTH = 168, 730


def _table(mark: str) -> list[list[str]]:
    """Rows of the table below a mark, without its head."""
    text = _PAGE.split(f"<!-- {mark} -->", 1)[1]
    rows = re.match(r"\s*((?:\|.*\n)+)", text)
    assert rows is not None, f"no table below {mark}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.group(1).splitlines()[2:]]


_PRICES = {row[0].strip("`"): float(row[1]) for row in _table("prices")}


def _number(cell: str) -> float:
    return float(re.sub(r"[^0-9.]", "", cell))


def _share_asleep(awake: float, sleeps: float = 0, minutes: float = 0) -> float:
    """Of a week in percent: hours in which there is no environment, without those in which it comes and goes."""
    return 100 * (1 - (awake + sleeps * minutes / 60) / _WEEK)


@pytest.mark.parametrize("row", _table("asleep"), ids=lambda row: row[0])
def test_a_week_asleep_costs_what_the_formula_says(row: list[str]) -> None:
    _, awake_cell, sleeps_cell, share, worst_share, month = row
    awake, sleeps = _number(awake_cell), _number(sleeps_cell)
    assert _number(share) == pytest.approx(_share_asleep(awake), abs=0.05)
    assert _number(worst_share) == pytest.approx(_share_asleep(awake, sleeps, 45), abs=0.05)
    assert _number(month) == pytest.approx(_MONTH * awake / _WEEK * _PRICES["environment"], abs=0.006)


def test_the_case_of_seven_eighths_is_exact() -> None:
    """21 of 168 hours awake is an eighth."""
    assert _share_asleep(21) == 87.5
    assert [row[3] for row in _table("asleep") if row[1] == "21"] == ["87.5 %"]


def test_the_whole_bill_is_the_sum_of_its_parts() -> None:
    rows = {row[0]: [_number(cell) if cell else 0.0 for cell in row[1:]] for row in _table("bill")}
    always, asleep = zip(*(rows[name] for name in rows if name not in ("sum", "saved")), strict=True)
    assert rows["environment"] == pytest.approx(
        [_MONTH * _PRICES["environment"], _MONTH * 21 / _WEEK * _PRICES["environment"]], abs=0.006
    )
    assert rows["metadata database"] == pytest.approx(
        [10 * _PRICES["database_gb"], 10 * 21 / _WEEK * _PRICES["database_gb"]], abs=0.006
    )
    assert rows["NAT gateway"] == pytest.approx([_MONTH * _PRICES["nat"]] * 2, abs=0.006)
    assert rows["keys"] == pytest.approx([2 * _PRICES["key"]] * 2, abs=0.006)
    assert rows["snapshots"] == pytest.approx([5 * _PRICES["s3_gb"]] * 2, abs=0.006)
    assert rows["sum"] == pytest.approx([sum(always), sum(asleep)], abs=0.006)
    assert rows["saved"][1] == pytest.approx(100 * (1 - sum(asleep) / sum(always)), abs=0.05)


def test_parts_of_a_strategy_cost_what_they_say() -> None:
    rows = {row[0]: _number(row[2]) for row in _table("strategy")}
    checks = _MONTH * 60 * _healthy_states() / 1000 * _PRICES["transitions_thousand"]
    services = _interface_services()
    assert rows["heartbeat check, every minute"] == pytest.approx(checks, abs=0.006)
    assert rows["interface endpoints"] == pytest.approx(_MONTH * 2 * services * _PRICES["endpoint"], abs=0.006)
    assert rows["one NAT gateway"] == pytest.approx(_MONTH * _PRICES["nat"], abs=0.006)
    assert rows["standby environment"] == pytest.approx(_MONTH * _PRICES["environment"], abs=0.006)
    assert rows["snapshots, kept twice"] == pytest.approx(2 * 5 * _PRICES["s3_gb"], abs=0.006)
    assert rows["snapshots, sent over"] == pytest.approx(20 * _PRICES["transfer_gb"], abs=0.006)


def test_a_container_costs_what_it_runs() -> None:
    [row] = _table("container")
    hours = 30 * 20 / 60
    expected = hours * (0.5 * _PRICES["fargate_vcpu"] + 1 * _PRICES["fargate_gb"])
    assert _number(row[-1]) == pytest.approx(expected, abs=0.006)


def _healthy_states() -> int:
    """States that a check of a healthy primary goes through, by the machine itself."""
    text = (_PROJECT / "modules" / "continuity" / "heartbeat_check.asl.json").read_text(encoding="utf-8")
    states = json.loads(re.sub(r"\$\{(automatic|ask)\}", "false", text))["States"]
    at, passed = "Defaults", 1
    while states[at]["Type"] != "Succeed":
        state = states[at]
        choices = {"Lease": state.get("Default"), "Verdict": "StoreSpec"}
        at = choices[at] if state["Type"] == "Choice" else state["Next"]
        passed += 1
    assert at == "Healthy"
    return passed


def _interface_services() -> int:
    """Interface endpoints of a network without a way out, by the module itself."""
    text = (_PROJECT / "modules" / "network" / "endpoints.tf").read_text(encoding="utf-8")
    blocks = re.findall(r"^  (?:mwaa|continuity)_endpoints = \{\n(.*?)^  \}", text, re.MULTILINE | re.DOTALL)
    return sum(block.count(" = ") for block in blocks)
