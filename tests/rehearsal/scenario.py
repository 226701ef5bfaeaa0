"""What a scenario answers: where its source and target are, what happens to them, and what of that is judged and told.

A scenario is a module below `scenarios`. Everything else here is shared: one stand-in, one workload, one comparator,
one set of common checks, one report.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from tests.rehearsal.checks import Facts
from tests.rehearsal.evidence import Place
from tests.rehearsal.rehearsal import Rehearsal
from tests.rehearsal.report import Check, Story


class Scenario(ABC):
    """One way in which an environment is lost and comes back."""

    name: ClassVar[str]
    source: ClassVar[Place]
    target: ClassVar[Place]
    #: DAGs whose work in flight at the cut is failed, by policy.
    fail_dags: ClassVar[frozenset[str]] = frozenset()
    #: fnmatch patterns of variables that never cross to the target.
    local_variables: ClassVar[tuple[str, ...]] = ()
    #: Longest interval of a schedule whose next run must have come when the target is looked at last.
    soon_seconds: ClassVar[float]
    #: Metrics of the target's dashboard that nothing of the scenario publishes.
    unpublished: ClassVar[frozenset[str]] = frozenset()
    #: Whether the source can be given a long history.
    takes_history: ClassVar[bool] = False

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal

    @classmethod
    def unused_grants(cls) -> list[Path]:
        """Grants that this scenario, and those it builds on, do not use, each with the reason why it stays."""
        names = dict.fromkeys(kind.name for kind in cls.__mro__ if issubclass(kind, Scenario) and "name" in vars(kind))
        return [Path(__file__).parent / "scenarios" / f"{name}.unused_grants.json" for name in names]

    @abstractmethod
    def play(self) -> None:
        """From the first apply until the target was looked at last: fills the rehearsal's evidence."""

    @abstractmethod
    def checks(self, facts: Facts) -> list[Check]:
        """What is judged beside the checks that every scenario has (`verdict.py`)."""

    @abstractmethod
    def story(self, first_new_run: float | None) -> Story:
        """What is told of its time; `first_new_run` of the target, in epoch seconds."""

    def tear_down(self) -> None:
        """Remove everything; what is left is evidence."""
        with self.rehearsal.progress.step("terraform destroy"):
            self.remove_stateless()
            self.rehearsal.destroy()

    def remove_stateless(self) -> None:
        """Remove what belongs to no state of Terraform."""
        self.rehearsal.remove_target()
