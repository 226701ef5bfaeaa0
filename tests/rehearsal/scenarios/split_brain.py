"""The primary is cut off, not lost: it works on while the secondary takes over, and is fenced when it is back."""

from __future__ import annotations

import json
import runpy
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.rehearsal import checks, database, target
from tests.rehearsal.checks import Facts
from tests.rehearsal.comparator import OWN_PREFIX
from tests.rehearsal.effects import SCHEDULES, logical_date
from tests.rehearsal.observe import Arrival
from tests.rehearsal.rehearsal import Rehearsal
from tests.rehearsal.report import Check, Figure, Part, Story
from tests.rehearsal.scenarios.backup_restore import PRIMARY, SECONDARY, BackupRestore

#: What is promised; of the metadata DAGs, which are not on this path.
PRIORITY = Path(__file__).parents[3] / "dags" / "continuity" / "priority.py"
FENCE_SECONDS: int = runpy.run_path(str(PRIORITY))["FENCE_SECONDS"]
#: Of whose runs one must begin in both Regions while nobody is fenced.
BOTH = "every_minute"
#: How long the primary is watched after the promise fell due.
SILENCE_SECONDS = 60
#: What a task leaves when it begins, goes on after a deferral, or looks once more.
BEGINS = ("start", "resumed", "poked")


@dataclass(frozen=True)
class Start:
    """A task instance that began, in the database or outside of it (epoch seconds)."""

    at: float
    what: str


@dataclass
class Fence:
    """What was seen of the primary after it was back, in epoch seconds."""

    back: float = 0.0
    fenced: float = 0.0
    paused: int = 0
    last: Start | None = None

    def story(self, told: Story, live: float) -> Story:
        """What is told of a lost Region, and what came after the other one was live."""
        last = self.last.at if self.last else self.back
        return replace(
            told,
            lead="One Region was cut off and worked on; the other took over, and then the first was fenced.",
            title="From the cut to the fence",
            parts=[
                *told.parts,
                Part("both ran", "rose", live, self.back),
                Part("fencing", "teal", self.back, self.fenced),
            ],
            marks=[*told.marks, ("back", self.back), ("fenced", self.fenced), ("last start in the primary", last)],
            figures=[
                *told.figures,
                Figure(
                    "fence_seconds", "fence, promised", FENCE_SECONDS, "from the primary's return to its last start"
                ),
                Figure("last_start_seconds", "fence, measured", last - self.back, "the same, as it was"),
            ],
            moments={**told.moments, "back": self.back, "fenced": self.fenced, "last_start": last},
        )


class SplitBrain(BackupRestore):
    """As `backup_restore`, but the primary's scheduler, workers and database never stop."""

    name = "split_brain"

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.fence = Fence()

    def play(self) -> None:
        """Then wait until nothing may have begun in the primary for a while, and look whether anything did."""
        super().play()
        silent = self.fence.back + FENCE_SECONDS + SILENCE_SECONDS
        with self.rehearsal.progress.step("the primary stays silent"):
            self.rehearsal.wait(lambda: "" if time.time() > silent else "its silence", 300, "the primary was watched")
            self.fence.last = max(self._starts(), key=lambda start: start.at)

    def checks(self, facts: Facts) -> list[Check]:
        """What a Region that was cut off asks for."""
        return [
            checks.in_flight_failed(facts),
            self._both_ran(facts),
            self._fenced(),
            self._silent(),
            self._notices(),
            self._goes_on_watched(),
            self._nothing_superseded(),
        ]

    def story(self, first_new_run: float | None) -> Story:
        """As after a lost Region, and how long the one that came back still began something."""
        return self.fence.story(super().story(first_new_run), self.rehearsal.evidence.arrived.live)

    def _lose_primary(self) -> None:
        """Cut it off. The failover is started by hand: how it starts by itself is another scenario's."""
        rehearsal = self.rehearsal
        rehearsal.local.post("outage", region=PRIMARY.region, down=True, cut_off=True)
        rehearsal.evidence.arrival = Arrival(since=time.time())
        observer = self._observer()
        rehearsal.start_machine("failover", SECONDARY, json.dumps({"reason": "rehearsal"}))
        observer.wait_for_start()
        target.follow(rehearsal, observer)
        with rehearsal.progress.step("both Regions run"):
            rehearsal.wait(lambda: "" if self._run_of_both() else f"a run of {BOTH} in both", 300, "both ran")
        self._come_back()

    def _come_back(self) -> None:
        rehearsal = self.rehearsal
        url = rehearsal.database_url(PRIMARY)

        def unfenced() -> str:
            return checks.show(dag_id for dag_id, paused in database.paused_flags(url).items() if not paused)

        rehearsal.local.post("outage", region=PRIMARY.region, down=False)
        self.fence.back = time.time()
        with rehearsal.progress.step("the primary is back, and the guard fences it"):
            rehearsal.wait(unfenced, 300, "the primary fenced")
            ((record,),) = database.query(url, "SELECT val FROM variable WHERE key = 'continuity_guard'")
            found: dict[str, Any] = json.loads(record)
            self.fence.fenced = datetime.fromisoformat(found["fenced_at"]).timestamp()
            self.fence.paused = len(found["paused"])

    def _run_of_both(self) -> set[str]:
        """Names of the runs of one DAG that were due, and began in both Regions, while both ran."""
        live = self.rehearsal.evidence.arrived.live
        begun: dict[str, set[str]] = {PRIMARY.where: set(), SECONDARY.where: set()}
        for effect in self.rehearsal.effects():
            if effect.kind == "start" and effect.key[0] == BOTH and effect.at > live:
                begun[effect.where].add(effect.key[1])
        return {
            run_id
            for run_id in begun[PRIMARY.where] & begun[SECONDARY.where]
            if run_id.startswith("scheduled__") and logical_date(run_id) + SCHEDULES[BOTH].seconds > live
        }

    def _starts(self) -> list[Start]:
        """Everything that began in the primary: as its database has it, and as it was counted outside."""
        rows = database.query(
            self.rehearsal.database_url(PRIMARY),
            """SELECT extract(epoch FROM start_date), dag_id, run_id, task_id, map_index FROM task_instance
            WHERE start_date IS NOT NULL AND NOT starts_with(dag_id, %s)""",
            (OWN_PREFIX,),
        )
        inside = [Start(float(row[0]), "database: " + " ".join(map(str, row[1:]))) for row in rows]
        outside = [
            Start(effect.at, "outside: " + " ".join(map(str, effect.key)))
            for effect in self.rehearsal.effects()
            if effect.where == PRIMARY.where and effect.kind in BEGINS
        ]
        return inside + outside

    def _both_ran(self, facts: Facts) -> Check:
        """The primary worked on through the failover, so that there was something to fence."""
        live, back = facts.live_at, self.fence.back
        ran = [effect for effect in facts.of(facts.source, "start") if live < effect.at < back]
        died = [e for e in self.rehearsal.narrator.events if e["kind"] == "airflow_component_ended"]
        shared = self._run_of_both()
        detail = (
            checks.show({(e["region"], e["component"]) for e in died})
            or f"{len(ran)} task instances began in it after the secondary was live; {len(shared)} runs in both"
        )
        return Check("the primary's scheduler ran all the time", bool(ran and shared) and not died, detail)

    def _fenced(self) -> Check:
        fence = self.fence
        free = [
            dag for dag, paused in database.paused_flags(self.rehearsal.database_url(PRIMARY)).items() if not paused
        ]
        after = fence.fenced - fence.back
        detail = checks.show(free) or f"{fence.paused} DAGs paused {after:.0f} s after it was back"
        return Check("the primary was fenced when it was back", after > 0 and fence.paused > 0 and not free, detail)

    def _silent(self) -> Check:
        last = self.fence.last
        after = last.at - self.fence.back if last else 0.0
        detail = f"the last one {after:.0f} s after it was back, {last.what if last else 'none'}"
        name = f"nothing began in the primary later than fence_seconds ({FENCE_SECONDS}) after it was back"
        return Check(name, last is not None and after <= FENCE_SECONDS, detail)
