"""What a run collects for the comparison and the checks, whatever its scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.local_aws.inventory import Inventory
from tests.rehearsal.dashboard import Shown
from tests.rehearsal.observe import Arrival


class RehearsalFailed(Exception):
    """The rehearsal could not go on; the message says at what and why."""


@dataclass(frozen=True)
class Place:
    """Where an environment lives, or lived."""

    region: str
    #: Name of the Terraform root whose state machines and buckets it has.
    root: str
    #: What is said of a task that ran there: the Region, or which life of an environment that slept.
    where: str


@dataclass
class Evidence:
    """Filled step by step."""

    source_dump: Path | None = None
    #: The source's database, where a long history of it is to be compared.
    source_url: str = ""
    exported: str = ""
    source_key: str = ""
    target_key: str = ""
    state_dump: Path | None = None
    end_dump: Path | None = None
    target_since: datetime | None = None
    #: What ran in the target before this moment (epoch seconds) belongs to an earlier life of it, and is not judged.
    effects_since: float = 0.0
    #: Paused flag by DAG, where it is not the one that the source has at the cut: a drain pauses before it.
    paused: dict[str, bool] | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    snapshot_complete: float = 0.0
    arrival: Arrival | None = None
    second_plans: dict[str, str] = field(default_factory=dict)
    runs_of_waiting_consumer: int = -1
    existed: Inventory = field(default_factory=dict)
    left_over: list[str] = field(default_factory=list)
    #: Output of the machines that the rehearsal fired or started, by name.
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    users_dags: list[str] = field(default_factory=list)
    #: What the target's dashboard shows at the end.
    dashboard: list[Shown] = field(default_factory=list)

    @property
    def arrived(self) -> Arrival:
        """How the environment came to the target. Raises RehearsalFailed before that."""
        if self.arrival is None:
            raise RehearsalFailed("no environment was brought to the target")
        return self.arrival

    @property
    def dumps(self) -> tuple[Path, Path, Path]:
        """Of the source at the cut, of the target before it went live, and at the end. Raises RehearsalFailed."""
        if not (self.source_dump and self.state_dump and self.end_dump):
            raise RehearsalFailed("not every dump was taken")
        return self.source_dump, self.state_dump, self.end_dump
