"""What going live does without asking Airflow or the database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from continuity import live
from continuity.ledger import Ledger
from continuity.settings import Settings
from tests.unit.engine.stored import ID, Stored

SETTINGS = replace(Settings("env", "us-east-1", "bucket", "key", "lease"), catchup_after_sleep="none")


class NoMarks:
    """A cursor that finds no marks."""

    def execute(self, statement: str, _values: tuple[str, ...]) -> None:
        assert "FROM dag_run" in statement, "nothing else is asked"

    def fetchall(self) -> list[Any]:
        return []


def test_what_fell_due_after_a_loss_is_made_up_for(stored: Stored) -> None:
    """Failure covered: a lost environment that is resumed from a snapshot skips what ran, or should have, after it."""
    ledger = Ledger(ID, "env", "us-east-1", "", inactive=["gone"])
    flags = {"paused": True, "hourly": False, "gone": False}
    manifest = stored.snapshot()
    assert manifest.drained_at is None
    live._skip(NoMarks(), None, ledger, SETTINGS, manifest=manifest, flags=flags, open_schedule=pytest.fail)
    assert (ledger.skipped, ledger.not_skipped) == ({}, {"hourly": "it was not put away"})
