"""The primary Region is lost, and the environment comes back in the secondary by itself."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.rehearsal import checks, source, target, wanted
from tests.rehearsal.checks import Facts
from tests.rehearsal.evidence import Place
from tests.rehearsal.observe import Arrival, Observer
from tests.rehearsal.rehearsal import Rehearsal
from tests.rehearsal.report import Check, Figure, Part, Story
from tests.rehearsal.scenario import Scenario

PRIMARY = Place("us-east-1", "primary", "us-east-1")
SECONDARY = Place("us-west-2", "secondary", "us-west-2")
#: How long the workload goes on between the snapshot and the outage, so that there is something to replay.
GOES_ON_SECONDS = 20
#: Grants that only a drill uses.
NO_DRILL = Path(__file__).with_name("no_drill.unused_grants.json")
#: Grants that only a failback uses.
NO_FAILBACK = Path(__file__).with_name("no_failback.unused_grants.json")


@dataclass(frozen=True)
class Moments:
    """When it happened, in epoch seconds."""

    cut: float
    snapshot_complete: float
    outage: float
    failover_started: float
    available: float
    state_restored: float
    live: float
    first_new_run: float | None

    def story(self) -> Story:
        """RPO, RTO and its parts."""
        rto = [
            Part("detection", "amber", self.outage, self.failover_started),
            Part("creation", "blue", self.failover_started, self.available),
            Part("restore", "violet", self.available, self.state_restored),
            Part("go live", "green", self.state_restored, self.live),
        ]
        rto = [part for part in rto if part.seconds > 0]  # what stands by is not created
        marks = [("cut", self.cut), ("snapshot complete", self.snapshot_complete), ("outage", self.outage)]
        marks.append(("live", self.live))
        first = self.first_new_run
        return Story(
            lead="One Region was lost; this is what came back in the other.",
            title="From the cut to going live",
            zero=self.outage,
            parts=[Part("exposed (RPO)", "grey", self.cut, self.outage), *rto],
            marks=[*marks, *([("first new run", first)] if first else [])],
            figures=[
                Figure("rpo_seconds", "RPO", self.outage - self.cut, "from the cut to the outage"),
                Figure("rto_seconds", "RTO", self.live - self.outage, "from the outage to going live"),
            ],
            moments=asdict(self),
            more={
                "rto_parts": {part.label.replace(" ", "_"): round(part.seconds, 1) for part in rto},
                "first_new_run_seconds": None if first is None else round(first - self.outage, 1),
            },
        )


class BackupRestore(Scenario):
    """Two roots; what is lost is everything after the cut."""

    name = "backup_restore"
    source = PRIMARY
    target = SECONDARY
    fail_dags = wanted.FAIL_IN_FLIGHT
    local_variables = ("local_*",)
    soon_seconds = 180
    unpublished: ClassVar[frozenset[str]] = frozenset(
        {"DrillRpoSeconds", "DrillRtoSeconds", "DrillsFailed"}
    )  # by a drill

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.plan_without_primary = "not planned"

    def play(self) -> None:
        """Both Regions, the workload, a snapshot, the outage, the failover, the secondary that goes on."""
        rehearsal = self.rehearsal
        self._apply()
        source.start_workload(rehearsal)
        replication = rehearsal.start_machine("replicate_existing", PRIMARY)
        self._run_workload()
        rehearsal.wait_for_execution(replication, PRIMARY)
        self._take_snapshot()
        self._lose_primary()
        after = (*wanted.AFTER, *((dag_id, "work", "failed", 1) for dag_id in self.fail_dags))
        target.look_after(rehearsal, after, self.fail_dags, self.soon_seconds)
        with rehearsal.progress.step("the secondary watches and keeps itself"):
            for machine in ("heartbeat_check", "snapshot"):
                rehearsal.fire_to_end(machine, SECONDARY)

    @classmethod
    def unused_grants(cls) -> list[Path]:
        """No drill is held and no failback made, unless a scenario says so."""
        return [*super().unused_grants(), NO_DRILL, NO_FAILBACK]

    def checks(self, facts: Facts) -> list[Check]:
        """What a lost Region asks for."""
        return [
            checks.in_flight_failed(facts),
            self._detected_in_time(),
            self._planned_without_primary(),
            self._standby_ready(),
            self._notices(),
            self._goes_on_watched(),
            self._nothing_superseded(),
        ]

    def story(self, first_new_run: float | None) -> Story:
        """RPO and RTO."""
        evidence, arrival = self.rehearsal.evidence, self.rehearsal.evidence.arrived
        return Moments(
            cut=self.rehearsal.cut().at,
            snapshot_complete=evidence.snapshot_complete,
            outage=arrival.since,
            failover_started=arrival.started,
            available=arrival.available,
            state_restored=arrival.state_restored,
            live=arrival.live,
            first_new_run=first_new_run,
        ).story()

    def tear_down(self) -> None:
        """Terraform deletes what the primary Region holds, so it is brought back first."""
        self.rehearsal.local.post("outage", region=PRIMARY.region, down=False)
        super().tear_down()

    def _apply(self) -> None:
        """The secondary first: it owns what must outlive the primary."""
        for place in (SECONDARY, PRIMARY):
            self.rehearsal.apply(place, **self._variables(place))

    def _variables(self, place: Place) -> dict[str, Any]:
        """Those of a place's root, beside the common ones."""
        if place == SECONDARY:
            return {"primary_region": PRIMARY.region, "in_flight": dict.fromkeys(sorted(self.fail_dags), "fail")}
        return {"peer": self.rehearsal.outputs["secondary"]["peer"]}

    def _run_workload(self) -> None:
        """Until the state in which the cut is taken: some of it passes within a minute."""
        source.run_workload(self.rehearsal)

    def _take_snapshot(self) -> None:
        rehearsal = self.rehearsal
        with rehearsal.progress.step("take a snapshot"):
            execution = source.dump_cut(rehearsal, lambda: rehearsal.start_machine("snapshot", PRIMARY))
            rehearsal.wait_for_execution(execution, PRIMARY)
            source.await_snapshot(rehearsal, SECONDARY)
            for place in (PRIMARY, SECONDARY):
                rehearsal.fire_to_end("retention", place, f"retention {place.region}")
            rehearsal.fire_to_end("preflight", SECONDARY)
        with rehearsal.progress.step("let the workload go on"):
            rehearsal.sleep(GOES_ON_SECONDS)

    def _lose_primary(self) -> None:
        """Switch the Region off; the failover runs by itself."""
        rehearsal = self.rehearsal
        rehearsal.local.post("outage", region=PRIMARY.region, down=True)
        rehearsal.evidence.arrival = Arrival(since=time.time())
        observer = self._observer()
        with (
            rehearsal.progress.step("detection: the primary is gone"),
            rehearsal.planning("plan-without-primary", "secondary") as plans,
        ):
            observer.wait_for_start()
            self.plan_without_primary = plans["secondary"].result()
        target.follow(rehearsal, observer)

    def _observer(self) -> Observer:
        rehearsal = self.rehearsal
        arrival = rehearsal.evidence.arrived
        return Observer(rehearsal.narrator, SECONDARY.region, self._failover, rehearsal.folder, arrival)

    @property
    def _failover(self) -> str:
        """Name of the machine."""
        return str(self.rehearsal.outputs["secondary"]["state_machine_arns"]["failover"]).rsplit(":", 1)[-1]

    def _detected_in_time(self) -> Check:
        arrival = self.rehearsal.evidence.arrived
        configured = float(self.rehearsal.outputs[SECONDARY.root]["detection_seconds"])
        return checks.detected_in_time(arrival.since, arrival.started, configured)

    def _planned_without_primary(self) -> Check:
        plan = self.plan_without_primary
        return Check("the secondary plans with the primary Region dead", plan == "", plan[-300:] or "no changes")

    def _standby_ready(self) -> Check:
        """What the secondary's preflight said before the primary was lost: it is this Region that was then used."""
        said = self.rehearsal.evidence.outputs["preflight"]["preflight"]
        detail = checks.show(said["failed"]) or f"{len(said['checks'])} checks passed"
        return Check("the preflight of the secondary found it ready", bool(said["ok"]), detail)

    def _goes_on_watched(self) -> Check:
        """Once live, the secondary is let alone by the heartbeat check and takes snapshots of its own."""
        evidence = self.rehearsal.evidence
        started = {
            event["executionArn"]
            for event in self.rehearsal.narrator.events
            if event["kind"] == "execution" and event["machine"] == self._failover
        }
        check: dict[str, Any] = evidence.outputs["heartbeat_check"]
        active = check["lease"]["live"] and "health" not in check
        taken = evidence.outputs["snapshot"].get("verified", {})
        newer = taken.get("snapshot_id", "") > evidence.manifest["snapshot_id"]
        detail = f"{len(started)} failover; snapshot {taken.get('snapshot_id', 'none')}: {taken.get('rows', 0)} rows"
        passed = len(started) == 1 and active and newer
        return Check("the active secondary is watched and keeps snapshots", passed, detail)

    def _nothing_superseded(self) -> Check:
        """Retention of either Region finds the snapshot good in both, and nothing old enough to go."""
        outputs = self.rehearsal.evidence.outputs
        tagged = {p.region: outputs[f"retention {p.region}"]["tagged"] for p in (PRIMARY, SECONDARY)}
        looked = all(
            found["outcome"] == "done" and found["kept"] and not found["superseded"] for found in tagged.values()
        )
        detail = "; ".join(f"{region}: {found['outcome']}, {found['kept']} kept" for region, found in tagged.items())
        return Check("each Region's retention sees that the other has the snapshot", looked, detail)

    def _notices(self) -> Check:
        return checks.notices_arrived(self.rehearsal.local.get("sns"), self._expected_notices())

    def _expected_notices(self) -> list[tuple[str, str, str]]:
        """What, topic, words that the notice holds."""
        topics = {name: outputs["topic_arn"] for name, outputs in self.rehearsal.outputs.items()}
        failure = f"snapshot of the MWAA environment|FAILED|{PRIMARY.region}|scheduled_at"
        success = f"failover of the MWAA environment|is complete|{SECONDARY.region}"
        return [
            ("failure of a snapshot", topics["primary"], failure),
            ("success of the failover", topics["secondary"], success),
        ]
