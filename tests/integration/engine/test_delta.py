"""A delta restores to exactly what the database held at its cut, whatever happened since its base."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from continuity import delta, layout
from tests.integration.engine.history import KINDS, History
from tests.integration.engine.oracle import assert_restores
from tests.integration.engine.worker import Side

Make = Callable[..., Side]


@pytest.fixture(autouse=True)
def finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for a million rows is done for a hundred."""
    monkeypatch.setattr(layout, "LARGE_PAGES", 1)
    monkeypatch.setattr(layout, "RANGE_PAGES", 1)
    monkeypatch.setattr(delta, "WORTHWHILE", 1.0)


def nth(number: int) -> str:
    """The id of a snapshot of now: a base is looked for among those of late."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{number:08x}"


def test_any_history_ends_in_what_the_database_holds(sides: Make, request: pytest.FixtureRequest) -> None:
    """Failures covered: a row stamped before the cut and committed after it is lost; what was deleted comes back; what
    was cleared stands twice."""
    deltas = 0

    @settings(
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # an example takes seconds: shrinking it takes minutes
        max_examples=request.config.getoption("--seeds"),
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        st.lists(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 999)), max_size=8), min_size=2, max_size=4)
    )
    def check(periods: list[list[tuple[str, int]]]) -> None:
        nonlocal deltas
        source = sides("source")
        history = History(source)
        source.proven_snapshot(nth(0))
        for number, period in enumerate(periods, start=1):
            for kind, lot in period:
                history.happen(kind, lot)
            taken = source.proven_snapshot(nth(number))
            deltas += taken.base is not None
        history.give_up()
        assert_restores(source, sides("target", environment=source.environment), taken.snapshot_id)

    check()
    assert deltas, "no delta was taken, so nothing was shown"
