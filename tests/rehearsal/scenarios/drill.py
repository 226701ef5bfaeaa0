"""A drill while the primary works; then it is lost after all, and all comes back as if no drill had been."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rehearsal import checks, database, source
from tests.rehearsal.checks import Facts
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.report import Check
from tests.rehearsal.scenarios.backup_restore import NO_DRILL, PRIMARY, SECONDARY, BackupRestore

#: Roles of what a drill starts in the secondary, by the end of their names.
ROLES = ("drill", "drill-function", "recreate-function", "restore-function", "execution")
#: The report's times are whole seconds.
ROUNDED = 1.0


@dataclass
class Held:
    """What was seen of the drill."""

    began: float = 0.0
    ended: float = 0.0
    output: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    left: str = ""
    flags: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)


class Drill(BackupRestore):
    """As `backup_restore`, with a drill before the outage."""

    name = "drill"
    unpublished = frozenset()

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.held = Held()

    @classmethod
    def unused_grants(cls) -> list[Path]:
        """A drill uses what else is there for nothing."""
        return [path for path in super().unused_grants() if path != NO_DRILL]

    def checks(self, facts: Facts) -> list[Check]:
        """What a drill is for, beside what a lost Region asks for."""
        return [
            *super().checks(facts),
            self._passed(),
            self._as_measured(),
            self._primary_untouched(),
            self._nothing_acted(facts),
        ]

    def _lose_primary(self) -> None:
        self._hold()
        super()._lose_primary()

    def _hold(self) -> None:
        rehearsal, held = self.rehearsal, self.held
        url = rehearsal.database_url(PRIMARY)
        with rehearsal.progress.step("a drill in the secondary, while the primary works"):
            flags = database.query(url, "SELECT dag_id, is_paused FROM dag ORDER BY 1")
            held.began = time.time()
            execution = rehearsal.start_machine("drill", SECONDARY)
            held.output = rehearsal.wait_for_execution(execution, SECONDARY, 420)
            held.ended = time.time()
            again = database.query(url, "SELECT dag_id, is_paused FROM dag ORDER BY 1")
            held.flags = "" if again == flags else "flags of DAGs changed"
            held.left = "an environment" if rehearsal.exists(SECONDARY) else ""
        held.calls = [
            call
            for call in rehearsal.local.get("authz")
            if held.began <= call["at"] <= held.ended and self._is_of_drill(call["role"])
        ]
        s3 = rehearsal.local.client("s3", SECONDARY.region)
        bucket, _, key = held.output["drilled"]["report"].removeprefix("s3://").partition("/")
        held.report = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        held.page = s3.get_object(Bucket=bucket, Key=key.replace(".json", ".html"))["Body"].read().decode()
        (rehearsal.folder / "drill.html").write_text(held.page)

    def _is_of_drill(self, role: str) -> bool:
        return any(role.endswith(f"{NAME}-{SECONDARY.region}-{end}") for end in ROLES)

    def _passed(self) -> Check:
        report, manifest = self.held.report, self.rehearsal.evidence.manifest
        newest = source.manifests(self.rehearsal, SECONDARY)[-1].split("/")[-2]
        there = report["outcome"] == "passed" and report["snapshot_id"] in {manifest["snapshot_id"], newest}
        whole = report["rows"] >= sum(table["rows"] for table in manifest["tables"]) * 0.5 and not report["differences"]
        detail = self.held.left or f"{report['outcome']}: {report['rows']} rows in {report['tables']} tables"
        passed = there and whole and not self.held.left
        return Check("the drill restored the newest snapshot, and left nothing", passed, detail)

    def _as_measured(self) -> Check:
        """The report's times are when it happened: the drill goes on some time after the environment is there,
        since it looks now and then, and at the latest when it asks whether that is ready."""
        during = [
            event
            for event in self.rehearsal.narrator.events
            if event.get("region") == SECONDARY.region and self.held.began <= event["at"] <= self.held.ended
        ]
        there = next(event["at"] for event in during if event.get("status") == "AVAILABLE")
        asked = next(
            event["at"]
            for event in during
            if event["kind"] == "invocation" and event["function"].endswith("-restore") and event["at"] > there
        )
        report = self.held.report
        told = report["parts"]["environment_seconds"]
        parts = told + report["parts"]["restore_seconds"]
        seen = (there - self.held.began, asked - self.held.began)
        near = seen[0] - ROUNDED <= told <= seen[1] + ROUNDED and abs(parts - report["rto_seconds"]) <= ROUNDED
        detail = (
            f"RPO {report['rpo_seconds']} s, RTO {report['rto_seconds']} s, creation {told} s; "
            f"seen: {seen[0]:.1f} s, gone on at {seen[1]:.1f} s"
        )
        return Check("the drill's report tells the times that were seen", near, detail)

    def _primary_untouched(self) -> Check:
        """No call of a drill reaches the primary's Region, and its DAGs run as before."""
        there = {f"{call['action']} {call['resource']}" for call in self.held.calls if _is_of_primary(call)}
        wrong = checks.show(there) if there else self.held.flags
        detail = wrong or f"{len(self.held.calls)} calls, none of them there"
        return Check("the drill did not touch the primary", bool(self.held.calls) and not wrong, detail)

    def _nothing_acted(self, facts: Facts) -> Check:
        began = self.rehearsal.evidence.arrived.started
        early = [effect.key for effect in facts.effects if effect.where == facts.target and effect.at < began]
        detail = checks.show(early) or "no task of a user ran in the secondary before the failover"
        return Check("nothing of the drill acted", not early, detail)

    def _expected_notices(self) -> list[tuple[str, str, str]]:
        topic = self.rehearsal.outputs["secondary"]["topic_arn"]
        words = f"A drill of the MWAA environment|passed in {SECONDARY.region}"
        return [*super()._expected_notices(), ("success of the drill", topic, words)]


def _is_of_primary(call: dict[str, Any]) -> bool:
    """Whether a call reaches the primary's Region; how its environment is, the heartbeat check looks every minute."""
    _, _, service, region, _, name = f"{call['resource']}:::::".split(":", 5)  # some calls name no resource but "*"
    place = name.split("/")[0] if service == "s3" else region
    return PRIMARY.region in place and call["action"] != "airflow:GetEnvironment"
