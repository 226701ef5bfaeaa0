"""The primary Region is lost; the environment stands by in the secondary, where only its state is restored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from functools import partial
from typing import Any

from tests.rehearsal import checks, database
from tests.rehearsal.checks import Facts
from tests.rehearsal.comparator import OWN_PREFIX
from tests.rehearsal.evidence import Place
from tests.rehearsal.observe import Observer
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.report import Check, Figure, Story
from tests.rehearsal.scenarios.backup_restore import PRIMARY, SECONDARY, BackupRestore

#: What is changed in the primary while the secondary stands by.
CHANGED = {"rehearsal.changed": "in the primary"}
#: What an environment in which nobody's DAGs run changes outside of itself: its metrics, and the beats.
OWN_CHANGES = frozenset({"cloudwatch:PutMetricData", "dynamodb:PutItem"})
#: What only looks, by the first word of an action's name.
LOOKS = ("Get", "List", "Head", "Describe", "Decrypt")


class WarmStandby(BackupRestore):
    """As `backup_restore`, but the environment of the secondary is there before, and was kept in step."""

    name = "warm_standby"
    own_changes = OWN_CHANGES

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.inside: dict[str, list[str]] = {}
        self.outside: set[str] = set()

    def checks(self, facts: Facts) -> list[Check]:
        """What a standby is for, beside what a lost Region asks for."""
        return [*super().checks(facts), self._followed(), self._was_inert(facts), self._nothing_created()]

    def story(self, first_new_run: float | None) -> Story:
        """RPO, RTO, and what is ours of it: all but the detection, as nothing is created."""
        story, arrival = super().story(first_new_run), self.rehearsal.evidence.arrived
        ours = Figure(
            "decision_to_live_seconds",
            "decision to live",
            arrival.live - arrival.started,
            "from the start of the failover to going live, lease and snapshot included",
        )
        return replace(story, figures=[*story.figures, ours])

    def _apply(self) -> None:
        """The primary's spec arrives, and the standby comes by itself; then the primary is changed."""
        super()._apply()
        rehearsal = self.rehearsal
        with rehearsal.progress.step("the environment of the secondary comes, to stand by"):
            rehearsal.wait(partial(self._behind, {}), 420, "the standby in step")
        rehearsal.apply(
            PRIMARY, **self._variables(PRIMARY), airflow_configuration_options=rehearsal.airflow_options | CHANGED
        )
        with rehearsal.progress.step("the standby follows a change of the primary"):
            rehearsal.wait(partial(self._behind, CHANGED), 420, "the standby in step")
        database.install_audit(rehearsal.database_url(SECONDARY))

    def _variables(self, place: Place) -> dict[str, Any]:
        return super()._variables(place) | {"strategy": self.name}

    def _lose_primary(self) -> None:
        """Look what the standby did so far, at the last moment at which it is one."""
        rehearsal = self.rehearsal
        rehearsal.fire_to_end("standby", SECONDARY)
        self.inside = self._look_inside(rehearsal.database_url(SECONDARY))
        role = f"role/{NAME}-{SECONDARY.region}-execution"
        self.outside = {
            call["action"]
            for call in rehearsal.local.get("authz")
            if call["role"].endswith(role) and not call["action"].split(":")[1].startswith(LOOKS)
        }
        super()._lose_primary()

    def _look_inside(self, url: str) -> dict[str, list[str]]:
        """What there should be nothing of in the database of a standby: DAGs of the user, by what they are found in."""
        inside = {}
        for table in ("dag", "serialized_dag", "dag_run", "task_instance"):
            found = database.query(
                url,
                f"SELECT DISTINCT dag_id FROM {table} WHERE NOT starts_with(dag_id, %s)",  # noqa: S608
                (OWN_PREFIX,),
            )
            inside[table] = sorted(row[0] for row in found)
        return inside

    def _observer(self) -> Observer:
        """The environment is there, and audited."""
        observer = super()._observer()
        observer.standing_by = self.rehearsal.database_url(SECONDARY)
        return observer

    def _behind(self, options: dict[str, str]) -> str:
        """What is missing until the standby is available with these options, and known to be in step."""
        rehearsal = self.rehearsal
        if not rehearsal.exists(SECONDARY):
            return "the environment"
        shown = rehearsal.local.client("mwaa", SECONDARY.region).get_environment(Name=NAME)["Environment"]
        if shown["Status"] != "AVAILABLE":
            return f"AVAILABLE instead of {shown['Status']}"
        if not options.items() <= shown["AirflowConfigurationOptions"].items():
            return "the changed options"
        return "" if self._notices_of_standby() > len(options) else "the notice that it is in step"

    def _notices_of_standby(self) -> int:
        topic = self.rehearsal.outputs["secondary"]["topic_arn"]
        told = self.rehearsal.local.get("sns")
        return sum(n["topic"] == topic and "was created or updated, and is in step" in n["message"] for n in told)

    def _followed(self) -> Check:
        said = self.rehearsal.evidence.outputs["standby"]
        detail = f"the last look found it {said.get('outcome')}; {self._notices_of_standby()} notices"
        in_step = said.get("outcome") == "in_step" and len(said.get("applied_spec_hash") or "") == 64
        return Check("the standby was created, and followed a change of the primary", in_step, detail)

    def _was_inert(self, facts: Facts) -> Check:
        """Nobody's DAG was parsed, ran, or left a trace outside before the failover began."""
        began = self.rehearsal.evidence.arrived.started
        early = [effect.key for effect in facts.effects if effect.where == facts.target and effect.at < began]
        wrong = [f"{table}: {checks.show(dags)}" for table, dags in self.inside.items() if dags]
        wrong += [f"ran: {checks.show(early)}"] if early else []
        others = self.outside - self.own_changes
        wrong += [f"changed outside: {checks.show(others)}"] if others else []
        looked = self.inside.keys() and self.outside
        detail = (
            "; ".join(wrong) or f"no DAG in {', '.join(self.inside)}; calls that change: {checks.show(self.outside)}"
        )
        return Check("nothing of the user's acted in the standby", bool(looked) and not wrong, detail)

    def _nothing_created(self) -> Check:
        arrival = self.rehearsal.evidence.arrived
        changed = [
            f"{event['status']}"
            for event in self.rehearsal.narrator.events
            if event["kind"] == "environment_status"
            and event["region"] == SECONDARY.region
            and arrival.since < event["at"] < arrival.live
        ]
        since = self.rehearsal.evidence.target_since
        stood = since is not None and since.astimezone(UTC).timestamp() < arrival.since
        detail = checks.show(changed) or "its environment was there before the outage, and stayed as it was"
        return Check("the failover created and changed no environment", stood and not changed, detail)
