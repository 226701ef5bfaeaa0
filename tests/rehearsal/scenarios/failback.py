"""The lost Region comes back, and becomes the active one again, with everything that the other did meanwhile."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.rehearsal import checks, database, source, target, wanted
from tests.rehearsal.checks import Facts
from tests.rehearsal.evidence import Evidence, Place
from tests.rehearsal.observe import Arrival, Observer
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.report import Check, Figure, Part, Story
from tests.rehearsal.scenarios.backup_restore import NO_FAILBACK, PRIMARY, SECONDARY, BackupRestore

LEASE = {"pk": {"S": "lease"}, "sk": {"S": "lease"}}
FAILBACK, HAND_OVER, STAND_DOWN = (
    f"{NAME}-{place.region}-{machine}"
    for place, machine in ((PRIMARY, "failback"), (SECONDARY, "hand_over"), (SECONDARY, "stand_down"))
)
#: Changed in the secondary while that is active, and added there.
CHANGED = "rehearsal_paused.py"
ADDED = "rehearsal_added.py"
ADDED_DAG = "added_there"
ADDED_SOURCE = f'''"""Added while the secondary was active."""

from datetime import UTC, datetime

from rehearsal_airflow import dag, task
from rehearsal_effects import counted


@dag(schedule="* * * * *", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False)
def {ADDED_DAG}() -> None:
    @task
    @counted
    def work() -> None: ...

    work()


{ADDED_DAG}()
'''
#: What ends in the secondary before it hands over; what waits for a signal, or for its next poke, crosses as it is.
ENDED: tuple[wanted.Wanted, ...] = (
    ("half_done", "pull", "success", 1),
    ("mapped_half_done", "total", "success", 1),
    ("long_task", "after", "success", 1),
    (ADDED_DAG, "work", "success", 1),
)
#: Started in the secondary, so that a retry is waited for at the cut.
AGAIN = "again-second_try"


@dataclass(frozen=True)
class Moments:
    """When it happened, in epoch seconds."""

    back: float
    started: float
    cut: float
    handed_over: float
    state_restored: float
    live: float
    ended: float
    first_new_run: float | None

    def story(self) -> Story:
        """From the start of the failback to its end."""
        first = self.first_new_run
        marks = [("the Region is back", self.back), ("failback", self.started), ("cut", self.cut), ("live", self.live)]
        still = self.live - self.started
        whole = self.ended - self.started
        return Story(
            lead="A Region that had been lost is the active one again; this is what it took over from the other.",
            title="From the start of the failback to its end",
            zero=self.started,
            parts=[
                Part("drain", "amber", self.started, self.cut),
                Part("snapshot, verified", "teal", self.cut, self.handed_over),
                Part("copy and restore", "violet", self.handed_over, self.state_restored),
                Part("go live", "green", self.state_restored, self.live),
                Part("stand down", "rose", self.live, self.ended),
            ],
            marks=[*marks, *([("first new run", first)] if first else [])],
            figures=[
                Figure("still_seconds", "still", still, "from the start of the failback until the primary was live"),
                Figure("failback_seconds", "failback", whole, "until the secondary's environment was gone as well"),
            ],
            moments=asdict(self),
            more={"first_new_run_seconds": None if first is None else round(first - self.live, 1)},
        )


@dataclass
class Returned:
    """What was seen of the primary that came back, and of what was changed meanwhile."""

    at: float = 0.0
    fenced: list[str] = field(default_factory=list)
    ran: int = 0
    changed: bytes = b""
    lease: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)


class Failback(BackupRestore):
    """As `backup_restore` until the secondary is live; what is compared is the way back, secondary to primary."""

    name = "failback"
    soon_seconds = 120

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.returned = Returned()

    @classmethod
    def unused_grants(cls) -> list[Path]:
        """A failback uses what else is there for nothing."""
        return [path for path in super().unused_grants() if path != NO_FAILBACK]

    def play(self) -> None:
        """There, and back again."""
        rehearsal = self.rehearsal
        self._apply()
        source.start_workload(rehearsal)
        replication = rehearsal.start_machine("replicate_existing", PRIMARY)
        source.run_workload(rehearsal)
        rehearsal.wait_for_execution(replication, PRIMARY)
        self._take_snapshot()
        self._lose_primary()
        self._turn_round()
        self._go_on_in_secondary()
        self._await_fence()
        self._fail_back()
        with rehearsal.planning("plan-after-failback", *rehearsal.roots) as plans:
            after = tuple(state for state in wanted.AFTER if state[0] != "second_try")
            target.look_after(rehearsal, (*after, ("second_try", "work", "success", 2)), frozenset(), self.soon_seconds)
            rehearsal.evidence.second_plans = {name: plan.result() for name, plan in plans.items()}

    def checks(self, facts: Facts) -> list[Check]:
        """What a failback is for."""
        return [
            self._drained(facts),
            self._fenced(),
            self._active(),
            self._stood_down(),
            self._dags_came_along(facts),
            self._notices(),
        ]

    def story(self, first_new_run: float | None) -> Story:
        """How long nothing ran, and what that was spent on."""
        arrival = self.rehearsal.evidence.arrived
        return Moments(
            back=self.returned.at,
            started=arrival.started,
            cut=self.rehearsal.cut().at,
            handed_over=self._at(HAND_OVER, "SUCCEEDED"),
            state_restored=arrival.state_restored,
            live=self._at(STAND_DOWN, "RUNNING"),
            ended=arrival.live,
            first_new_run=first_new_run,
        ).story()

    def remove_stateless(self) -> None:
        """The environment that belonged to no state is gone."""

    def _lose_primary(self) -> None:
        """The failover is started by hand: how it starts by itself is another scenario's."""
        rehearsal = self.rehearsal
        rehearsal.local.post("outage", region=PRIMARY.region, down=True)
        rehearsal.evidence.arrival = Arrival(since=time.time())
        observer = self._observer()
        rehearsal.start_machine("failover", SECONDARY, json.dumps({"reason": "rehearsal"}))
        observer.wait_for_start()
        target.follow(rehearsal, observer)

    def _turn_round(self) -> None:
        """From here on the secondary is what is compared, with the primary, which is there again."""
        rehearsal = self.rehearsal
        rehearsal.local.post("outage", region=PRIMARY.region, down=False)
        self.returned.at = time.time()
        rehearsal.source, rehearsal.target = SECONDARY, PRIMARY
        before = rehearsal.evidence
        rehearsal.evidence = Evidence(existed=before.existed, users_dags=before.users_dags, outputs=before.outputs)

    def _go_on_in_secondary(self) -> None:
        """The secondary works, and people change its DAGs; in the end it is in a state worth handing over."""
        rehearsal = self.rehearsal
        url, api = rehearsal.database_url(SECONDARY), rehearsal.api(SECONDARY)
        s3, bucket = self._dags(SECONDARY)
        with rehearsal.progress.step("let the secondary go on; its DAGs are changed"):
            self.returned.changed = (wanted.WORKLOAD / CHANGED).read_bytes() + b"\n# changed in the secondary\n"
            s3.put_object(Bucket=bucket, Key=f"{source.DAG_PREFIX}{CHANGED}", Body=self.returned.changed)
            s3.put_object(Bucket=bucket, Key=f"{source.DAG_PREFIX}{ADDED}", Body=ADDED_SOURCE.encode())
            (rehearsal.effects_folder / "signals" / "work_is_done").touch()
            rehearsal.wait(lambda: wanted.parsed(url, [ADDED_DAG], rehearsal.major), 240, "the added DAG parsed")
            api.pause(ADDED_DAG, paused=False)
            rehearsal.wait(lambda: wanted.missing_instances(url, ENDED), 240, "the state for the hand-over")
            api.trigger("second_try", AGAIN)
            rehearsal.wait(lambda: self._no_retry(url), 120, "a retry that is waited for")

    def _await_fence(self) -> None:
        """Until the guard has paused what came back, and what ran there has ended."""
        rehearsal = self.rehearsal
        url = rehearsal.database_url(PRIMARY)

        def unfenced() -> str:
            free = [dag_id for dag_id, paused in database.paused_flags(url).items() if not paused]
            at_work = [instance[0] for instance in database.executing(url)]
            return checks.show(free) or (f"the end of {checks.show(at_work)}" if at_work else "")

        with rehearsal.progress.step("the guard fences the primary"):
            rehearsal.wait(unfenced, 420, "the primary fenced")
            record = database.query(url, "SELECT val FROM variable WHERE key = 'continuity_guard'")
            self.returned.fenced = json.loads(record[0][0])["paused"]
            self.returned.ran = sum(
                effect.where == PRIMARY.where and effect.kind == "start" and effect.at > self.returned.at
                for effect in rehearsal.effects()
            )

    def _fail_back(self) -> None:
        rehearsal, evidence = self.rehearsal, self.rehearsal.evidence
        urls = {place: rehearsal.database_url(place) for place in (PRIMARY, SECONDARY)}
        before = source.manifests(rehearsal, SECONDARY)
        database.install_audit(urls[PRIMARY])
        given = json.dumps({"force": True, "reason": "rehearsal"})
        evidence.effects_since = time.time()
        evidence.arrival = Arrival(since=evidence.effects_since)
        observer = Observer(rehearsal.narrator, PRIMARY.region, FAILBACK, rehearsal.folder, evidence.arrival)
        observer.standing_by = urls[PRIMARY]
        with rehearsal.progress.step("failback: the secondary drains, and is snapshotted"):
            evidence.paused = database.paused_flags(urls[SECONDARY])
            execution = source.dump_cut(
                rehearsal,
                lambda: rehearsal.start_machine("failback", PRIMARY, given),
                lambda: _at_work(urls[SECONDARY]),
            )
            rehearsal.wait(lambda: self._no_newer(before), 120, "the snapshot that is handed over")
            source.await_snapshot(rehearsal, SECONDARY)
            observer.wait_for_start()
        target.follow(rehearsal, observer)
        self.returned.output = rehearsal.wait_for_execution(execution, PRIMARY)
        self.returned.lease = self._lease()
        # Nothing that was made in the primary before it came back may be left.
        evidence.target_since = datetime.fromtimestamp(self.returned.at, UTC)

    def _no_newer(self, before: list[str]) -> str:
        return "its manifest" if source.manifests(self.rehearsal, SECONDARY) == before else ""

    def _no_retry(self, url: str) -> str:
        statement = "SELECT 1 FROM task_instance WHERE run_id = %s AND state = 'up_for_retry'"
        return "" if database.query(url, statement, (AGAIN,)) else "the first try's end"

    def _dags(self, place: Place) -> tuple[Any, str]:
        """A client, and the DAG bucket of a place."""
        bucket = self.rehearsal.outputs[place.root]["dag_bucket"]["name"]
        return self.rehearsal.local.client("s3", place.region), bucket

    def _lease(self) -> dict[str, Any]:
        table = self.rehearsal.outputs[SECONDARY.root]["lease_table"]["name"]
        client = self.rehearsal.local.client("dynamodb", SECONDARY.region)
        item = client.get_item(TableName=table, Key=LEASE, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def _at(self, machine: str, status: str) -> float:
        """When an execution of a machine first had a status."""
        return min(
            float(event["at"])
            for event in self.rehearsal.narrator.events
            if event["kind"] == "execution" and event["machine"] == machine and event["status"] == status
        )

    def _drained(self, facts: Facts) -> Check:
        executed = {key for key, state in facts.cut.instances.items() if state in database.EXECUTES}
        detail = checks.show(executed) or f"{len(facts.cut.finished())} task instances had ended, nothing executed"
        return Check("nothing executed when the secondary was handed over", not executed, detail)

    def _fenced(self) -> Check:
        fenced = self.returned.fenced
        detail = f"{len(fenced)} DAGs paused; {self.returned.ran} task instances began before that"
        return Check("the primary that came back was fenced", bool(fenced), detail)

    def _active(self) -> Check:
        lease, snapshot_id = self.returned.lease, self.rehearsal.evidence.manifest["snapshot_id"]
        right = lease.get("holder") == PRIMARY.region and lease.get("live") is True
        same = lease.get("snapshot_id") == snapshot_id == self.returned.output["failed_back"]["snapshot_id"]
        detail = f"{lease.get('holder')} holds the lease, live: {lease.get('live')}, from {lease.get('snapshot_id')}"
        return Check("the primary is active, from the snapshot that was compared", right and same, detail)

    def _stood_down(self) -> Check:
        there = self.rehearsal.exists(SECONDARY)
        return Check("the secondary has stood down", not there, "its environment is " + ("there" if there else "gone"))

    def _dags_came_along(self, facts: Facts) -> Check:
        """The file that was changed, and the one that was added, whose DAG goes on."""
        s3, bucket = self._dags(PRIMARY)
        expected = {CHANGED: self.returned.changed, ADDED: ADDED_SOURCE.encode()}
        wrong = [
            name
            for name, body in expected.items()
            if s3.get_object(Bucket=bucket, Key=f"{source.DAG_PREFIX}{name}")["Body"].read() != body
        ]
        told = self.returned.output["failed_back"]
        runs = {effect.key[1] for effect in facts.of(facts.target, "start") if effect.key[0] == ADDED_DAG}
        fine = not wrong and runs and (told["dags_copied"], told["dags_in_conflict"]) == (len(expected), [])
        detail = checks.show(wrong) or f"{told['dags_copied']} files; {ADDED_DAG} ran {len(runs)} times in the primary"
        return Check("changes of DAGs came along", bool(fine), detail)

    def _expected_notices(self) -> list[tuple[str, str, str]]:
        topic = self.rehearsal.outputs["primary"]["topic_arn"]
        words = f"failback of the MWAA environment|is complete|{PRIMARY.region}|snapshot_id"
        return [*super()._expected_notices(), ("success of the failback", topic, words)]


def _at_work(url: str) -> str:
    """What executes still, or that not every DAG is paused."""
    if not all(database.paused_flags(url).values()):
        return "every DAG paused"
    return ", ".join(instance[0] for instance in database.executing(url))
