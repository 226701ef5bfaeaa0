"""What a drill finds in an environment that was restored: nothing where all is there, and whatever is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from continuity import drill
from continuity.errors import ContinuityError
from continuity.manifest import read_manifest
from tests.integration.engine.oracle import ask
from tests.integration.engine.worker import Side

SNAPSHOT = "20260401T000000Z-000000d1"


def looked(side: Side) -> drill.Found:
    """What it finds at once."""
    with side.connection() as connection:
        return drill.look(connection, read_manifest(side.store, SNAPSHOT), side.parsed(), 0)


Sides = Callable[..., Side]


@pytest.fixture
def drilled(sides: Sides) -> Side:
    """Restored whole, and not live."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    target = sides("empty", environment=source.environment)
    target.restore_state(SNAPSHOT)
    target.restore_history(SNAPSHOT)
    return target


def test_what_is_whole_and_paused_passes(drilled: Side) -> None:
    found = looked(drilled)
    assert found.differences == []
    assert found.tables > 20
    assert found.rows > 100


@pytest.mark.usually_once
@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("DELETE FROM xcom WHERE ctid IN (SELECT ctid FROM xcom LIMIT 1)", "xcom: "),
        ("DELETE FROM slot_pool WHERE pool <> 'default_pool'", "slot_pool: "),
        ("UPDATE dag SET is_paused = false WHERE dag_id = (SELECT min(dag_id) FROM dag)", " is not paused"),
        (
            "UPDATE task_instance SET state = 'running' WHERE ctid IN (SELECT ctid FROM task_instance LIMIT 1)",
            " is running",
        ),
    ],
)
def test_what_is_missing_or_acts_is_named(drilled: Side, change: str, difference: str) -> None:
    """Failure covered: a drill that passes because the restore says that it is done."""
    ask(drilled, change)
    (named,) = looked(drilled).differences
    assert difference in named


@pytest.mark.usually_once
def test_history_is_waited_for(sides: Sides) -> None:
    source = sides("source")
    source.snapshot(SNAPSHOT)
    target = sides("empty", environment=source.environment)
    with pytest.raises(ContinuityError, match="has not been restored here"):
        looked(target)
    target.restore_state(SNAPSHOT)
    with pytest.raises(ContinuityError, match=r"the history is not restored in time; still to come: .*task_instance"):
        looked(target)


@pytest.mark.usually_once
def test_a_live_environment_is_no_drill(drilled: Side) -> None:
    drilled.go_live(SNAPSHOT)
    with pytest.raises(ContinuityError, match="it is no drill's any more"):
        looked(drilled)
