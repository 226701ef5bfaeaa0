"""The environment of one Region is put away by its schedule, and brought back by another."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from tests.rehearsal import checks, clocks, database, source, target, wanted
from tests.rehearsal.checks import Facts
from tests.rehearsal.comparator import Dump
from tests.rehearsal.effects import InstanceKey
from tests.rehearsal.evidence import Place
from tests.rehearsal.observe import Arrival, Observer
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.report import Check, Figure, Part, Story
from tests.rehearsal.scenario import Scenario

REGION = "us-east-1"
BEFORE = Place(REGION, "standalone", "before the sleep")
AFTER = Place(REGION, "standalone", "after the sleep")
ITEM = {"pk": {"S": f"hibernation#{REGION}"}, "sk": {"S": "hibernation"}}


@dataclass(frozen=True)
class Moments:
    """When it happened, in epoch seconds."""

    decided: float
    cut: float
    snapshot_complete: float
    deleting: float
    gone: float
    resumed: float
    creating: float
    available: float
    state_restored: float
    live: float
    first_new_run: float | None

    def story(self, woken_by: str) -> Story:
        """From awake to gone, and from asleep to live."""
        first = self.first_new_run
        marks = [("schedule of hibernate", self.decided), ("cut", self.cut), ("gone", self.gone)]
        marks += [(woken_by, self.resumed), ("live", self.live)]
        return Story(
            lead=f"An environment was put away by its schedule; this is what the {woken_by} brought back.",
            title="From the schedule of hibernate to going live again",
            zero=self.decided,
            parts=[
                Part("drain", "amber", self.decided, self.cut),
                Part("snapshot, verified", "teal", self.cut, self.deleting),
                Part("removal", "rose", self.deleting, self.gone),
                Part("asleep", "grey", self.gone, self.resumed),
                Part("creation", "blue", self.resumed, self.available),
                Part("restore", "violet", self.available, self.state_restored),
                Part("go live", "green", self.state_restored, self.live),
            ],
            marks=[*marks, *([("first new run", first)] if first else [])],
            figures=[
                Figure(
                    "gone_seconds",
                    "hibernate",
                    self.gone - self.decided,
                    "from its schedule until the environment was gone",
                ),
                Figure(
                    "live_seconds",
                    "resume",
                    self.live - self.resumed,
                    f"from the {woken_by} until the environment was live",
                ),
                Figure(
                    "creation_seconds",
                    "creation",
                    self.available - self.creating,
                    "on the stand-in, a part of the resume",
                ),
            ],
            moments=asdict(self),
            more={"first_new_run_seconds": None if first is None else round(first - self.resumed, 1)},
        )


class Hibernate(Scenario):
    """One root; what runs is let end, so nothing is lost and nothing is replayed."""

    name = "hibernate"
    source = BEFORE
    target = AFTER
    soon_seconds = 60
    #: What brings the environment back.
    woken_by = "schedule of resume"

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        #: Of the root, beside those that every root has.
        self.variables: dict[str, Any] = {}
        self.decided = 0.0
        #: What executed when every DAG was paused.
        self.executing: list[InstanceKey] | None = None
        #: Faults of the sleep, by what was looked at.
        self.asleep: dict[str, str] = {}
        self.again: dict[str, str] = {}
        self.time_left: clocks.Clocks = {}

    def play(self) -> None:
        """The workload, the sleep, the return."""
        self.rehearsal.apply(BEFORE, **self.variables)
        self._create()
        source.start_workload(self.rehearsal)
        self._while_awake()
        source.run_workload(self.rehearsal)
        url = self.rehearsal.database_url(BEFORE)
        given = self._put_away()
        self._look_at_the_sleep(url, given)
        self._bring_back()
        target.look_after(self.rehearsal, wanted.AFTER, self.fail_dags, self.soon_seconds)
        self._after()

    def checks(self, facts: Facts) -> list[Check]:
        """What a sleep asks for."""
        return [
            self._drained(facts),
            _all_right("asleep, nothing is left but what brings it back", self.asleep),
            _all_right("a second start by the same schedule changes nothing", self.again),
            self._other_schedules(),
            self._time_left(facts),
            self._awake(),
            self._notices(),
        ]

    def story(self, first_new_run: float | None) -> Story:
        """How long each way took."""
        evidence, arrival = self.rehearsal.evidence, self.rehearsal.evidence.arrived
        narrator = self.rehearsal.narrator
        return Moments(
            decided=self.decided,
            cut=self.rehearsal.cut().at,
            snapshot_complete=evidence.snapshot_complete,
            deleting=narrator.status_at(REGION, "DELETING", self.decided),
            gone=narrator.status_at(REGION, "DELETED", self.decided),
            resumed=arrival.since,
            creating=arrival.creating,
            available=arrival.available,
            state_restored=arrival.state_restored,
            live=arrival.live,
            first_new_run=first_new_run,
        ).story(self.woken_by)

    def _create(self) -> None:
        """For the first time nobody creates it but a person, from the spec that Terraform published."""
        rehearsal = self.rehearsal
        with rehearsal.progress.step("create the environment"):
            bucket = rehearsal.outputs[BEFORE.root]["snapshot_bucket"]["name"]
            key = f"spec/{NAME}/published.{REGION}.json"
            spec = rehearsal.local.client("s3", REGION).get_object(Bucket=bucket, Key=key)["Body"].read()
            rehearsal.local.client("mwaa", REGION).create_environment(**json.loads(spec))
            available = partial(rehearsal.narrator.status_at, REGION, "AVAILABLE")
            rehearsal.wait(lambda: "" if available() else "AVAILABLE", 300, "the environment created")

    def _while_awake(self) -> None:
        """What else happens before the sleep: nothing."""

    def _wake(self) -> None:
        """End the sleep."""
        self.rehearsal.fire("resume", AFTER)

    def _after(self) -> None:
        """What else is waited for after the sleep: nothing."""

    def _put_away(self) -> str:
        """Fire the schedule and follow it until the environment is gone; the input of the execution."""
        rehearsal, evidence = self.rehearsal, self.rehearsal.evidence
        url = rehearsal.database_url(BEFORE)
        with rehearsal.progress.step("hibernate: drain"):
            evidence.paused = database.paused_flags(url)
            self.decided = time.time()
            fired = partial(rehearsal.fire, "hibernate", BEFORE)
            execution = source.dump_cut(rehearsal, fired, partial(self._executing, url))
        with rehearsal.progress.step("hibernate: snapshot, verify, remove"):
            source.await_snapshot(rehearsal, AFTER)
            evidence.outputs["hibernate"] = rehearsal.wait_for_execution(execution, BEFORE, 300)
        shown = rehearsal.local.client("stepfunctions", REGION).describe_execution(executionArn=execution)
        return str(shown["input"])

    def _executing(self, url: str) -> str:
        """What executes, or that not every DAG is paused. Once all are, what runs is given what it waits for."""
        if not all(database.paused_flags(url).values()):
            return "every DAG paused"
        rows = database.executing(url)
        if self.executing is None:
            self.executing = rows
            (self.rehearsal.effects_folder / "signals" / "work_is_done").touch()
        return f"the end of {checks.show(row[0] for row in rows)}" if rows else ""

    def _look_at_the_sleep(self, url: str, given: str) -> None:
        rehearsal = self.rehearsal
        with (
            rehearsal.progress.step("asleep; terraform plan"),
            rehearsal.planning("plan-asleep", BEFORE.root) as plans,
        ):
            before = self._item()
            snapshot_id = rehearsal.evidence.manifest["snapshot_id"]
            right = before.get("state") == "asleep" and before.get("snapshot_id") == snapshot_id
            self.asleep["environment"] = "still there" if rehearsal.exists(BEFORE) else ""
            self.asleep["metadata database"] = "still there" if database.exists(url) else ""
            self.asleep["item"] = "" if right else f"{before}, while the snapshot is {snapshot_id}"
            manifests = source.manifests(rehearsal, AFTER)
            execution = rehearsal.start_machine("hibernate", BEFORE, given)
            rehearsal.evidence.outputs["hibernate again"] = rehearsal.wait_for_execution(execution, BEFORE)
            self.again["item"] = "" if self._item() == before else f"{before} became {self._item()}"
            self.again["environment"] = "there" if rehearsal.exists(BEFORE) else ""
            for machine in ("snapshot", "retention"):
                rehearsal.fire_to_end(machine, AFTER)
            self.again["snapshots"] = "others" if source.manifests(rehearsal, AFTER) != manifests else ""
            self.asleep["plan of the root"] = plans[BEFORE.root].result()[-300:]

    def _bring_back(self) -> None:
        rehearsal, evidence = self.rehearsal, self.rehearsal.evidence
        arrival = evidence.arrival = Arrival(since=time.time())
        observer = Observer(rehearsal.narrator, REGION, f"{NAME}-{REGION}-resume", rehearsal.folder, arrival)
        self._wake()
        observer.wait_for_start()
        target.follow(rehearsal, observer)
        self.time_left = clocks.read(rehearsal.database_url(AFTER))

    def _item(self) -> dict[str, Any]:
        """The item that says who sleeps; empty where there is none."""
        table = self.rehearsal.outputs[BEFORE.root]["lease_table"]["name"]
        client = self.rehearsal.local.client("dynamodb", REGION)
        item = client.get_item(TableName=table, Key=ITEM, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def _drained(self, facts: Facts) -> Check:
        """Something ran when the DAGs were paused, and came to its end; nothing executed at the cut."""
        ran = set(self.executing or ())
        ended = ran & facts.cut.finished()
        executed = {key for key, state in facts.cut.instances.items() if state in database.EXECUTES}
        detail = f"{len(ran)} executed when the DAGs were paused, {len(ended)} of them had ended at the cut"
        detail += f"; executed at the cut: {checks.show(executed)}" if executed else ", and nothing executed then"
        return Check("the drain lets what runs end before the cut", bool(ended) and not executed, detail)

    def _other_schedules(self) -> Check:
        """Snapshots and retention go on by their schedules while it sleeps: one finds nothing, the other keeps."""
        outputs = self.rehearsal.evidence.outputs
        snapshot, kept = outputs["snapshot"]["snapshot"], outputs["retention"]["tagged"]
        passed = snapshot["outcome"] == "not_available" and kept["kept"] > 0 and not kept["superseded"]
        detail = f"snapshot: {snapshot['outcome']}; retention: {kept['outcome']}, {kept['kept']} kept"
        return Check("other schedules do no harm while it sleeps", passed, detail)

    def _time_left(self, facts: Facts) -> Check:
        dump = self.rehearsal.evidence.dumps[0]
        arrival = self.rehearsal.evidence.arrived
        at_least, at_most = arrival.state_restored - facts.cut.at, arrival.live - facts.cut.at
        return clocks.did_not_run(clocks.in_dump(Dump(dump)), self.time_left, at_least, at_most)

    def _awake(self) -> Check:
        """The item says so, and names no snapshot; the address of the web server is published."""
        item, environment = self._item(), self.rehearsal.environment(AFTER)
        name = self.rehearsal.outputs[AFTER.root]["webserver_url_parameter"]
        published = self.rehearsal.local.client("ssm", REGION).get_parameter(Name=name)["Parameter"]["Value"]
        shown = self.rehearsal.local.client("mwaa", REGION).get_environment(Name=NAME)["Environment"]
        right = {
            "item": "" if item.get("state") == "awake" and not item.get("snapshot_id") else str(item),
            "web server's address": "" if shown["WebserverUrl"] in published else f"{published} is published",
            "environment": "" if environment["status"] == "AVAILABLE" else environment["status"],
        }
        return _all_right("awake, the environment is found under its address", right)

    def _notices(self) -> Check:
        topic = self.rehearsal.outputs[AFTER.root]["topic_arn"]
        expected = [
            ("failure of a snapshot", topic, f"snapshot of the MWAA environment|FAILED|{REGION}|scheduled_at"),
            ("asleep", topic, f"MWAA environment {NAME} in {REGION} sleeps since|snapshot_id"),
            ("awake again", topic, f"MWAA environment {NAME} in {REGION} is back since|snapshot_id"),
        ]
        return checks.notices_arrived(self.rehearsal.local.get("sns"), expected)


def _all_right(name: str, found: dict[str, str]) -> Check:
    """Of what was looked at, nothing was wrong."""
    wrong = {what: why for what, why in found.items() if why}
    detail = "; ".join(f"{what}: {why}" for what, why in wrong.items()) or ", ".join(found)
    return Check(name, bool(found) and not wrong, detail)
