"""The rehearsal: bring two Regions up, lose one, follow the failover, compare every row, tear all down."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.local_aws.airflow_command import run_airflow
from tests.local_aws.fixtures import RunningStandIn, start_stand_in
from tests.local_aws.inventory import Inventory, inventory, left
from tests.rehearsal import database, scenario
from tests.rehearsal.airflow_api import AirflowApi
from tests.rehearsal.checks import SOON_SECONDS
from tests.rehearsal.comparator import Dump
from tests.rehearsal.effects import SCHEDULES, Cut, computed_replay, read_effects
from tests.rehearsal.observe import Failover, Narrator, Observer, read_ledger, reason
from tests.rehearsal.progress import Progress
from tests.rehearsal.scenario import Planted, wait_until
from tests.rehearsal.terraform import Root

NAME = "rehearsal"
PRIMARY = "us-east-1"
SECONDARY = "us-west-2"
DAG_PREFIX = "dags/"
#: How long the workload goes on between the snapshot and the outage, so that there is something to replay.
GOES_ON_SECONDS = 20


class RehearsalFailed(Exception):
    """The rehearsal could not go on; the message says at what and why."""


@dataclass
class Evidence:
    """What the rehearsal collects for the comparison and the checks."""

    source_dump: Path | None = None
    exported: str = ""
    source_key: str = ""
    target_key: str = ""
    state_dump: Path | None = None
    end_dump: Path | None = None
    target_since: datetime | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    snapshot_complete: float = 0.0
    failover: Failover | None = None
    second_plans: dict[str, str] = field(default_factory=dict)
    plan_without_primary: str = "not planned"
    runs_of_waiting_consumer: int = -1
    failed_execution: str = ""
    existed: Inventory = field(default_factory=dict)
    left_over: list[str] = field(default_factory=list)
    #: Output of the machines that the rehearsal started beside the failover, by name.
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    users_dags: list[str] = field(default_factory=list)


@dataclass
class Rehearsal:
    """One run. `folder` is made anew; everything that is written lies below it."""

    folder: Path
    airflow: str
    progress: Progress
    users_dags: Path | None = None
    planted: Planted = field(default_factory=Planted)
    evidence: Evidence = field(default_factory=Evidence)
    stand_in: RunningStandIn | None = None
    roots: dict[str, Root] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    #: Command lines of processes that were still there after the stand-in had stopped.
    outlived: list[str] = field(default_factory=list)

    @property
    def effects(self) -> Path:
        """Folder of what the tasks leave."""
        return self.folder / "effects"

    @property
    def major(self) -> int:
        """Of the Airflow that is rehearsed."""
        return int(self.airflow.split(".", maxsplit=1)[0])

    @property
    def local(self) -> RunningStandIn:
        """The stand-in, which runs."""
        if self.stand_in is None:
            raise RehearsalFailed("the stand-in does not run")
        return self.stand_in

    def bring_up(self) -> None:
        """Stand-in, then both Regions by Terraform, then a second plan of each."""
        with self.progress.step("start the stand-in"):
            (self.effects / "signals").mkdir(parents=True)
            self.stand_in = start_stand_in(self.folder / "stand-in", "--airflow", self.airflow)
            self.evidence.existed = inventory(self.stand_in, (PRIMARY, SECONDARY))
        self.narrator = Narrator(self.local, self.progress)
        common = {
            "name": NAME,
            "airflow_version": self.airflow,
            "airflow_configuration_options": {
                "rehearsal.effects_dir": str(self.effects),
                "core.parallelism": "16",
            },
        }
        with self.progress.step("terraform apply: secondary"):
            in_flight = dict.fromkeys(sorted(scenario.FAIL_IN_FLIGHT), "fail")
            self._apply("secondary", {**common, "region": SECONDARY, "primary_region": PRIMARY, "in_flight": in_flight})
        with self.progress.step("terraform apply: primary"):
            peer = self.outputs["secondary"]["peer"]
            self._apply("primary", {**common, "region": PRIMARY, "peer": peer})
            self.narrator.poll()

    def start_workload(self) -> None:
        """Upload the DAGs, plant secrets, unpause, start what is started by hand."""
        api, url = self._api(PRIMARY), self._database_url(PRIMARY)
        bucket = self.outputs["primary"]["dag_bucket"]["name"]
        s3 = self.local.client("s3", PRIMARY)
        with self.progress.step("upload the DAGs"):
            names = scenario.upload_folder(s3, bucket, DAG_PREFIX, scenario.WORKLOAD)
            if self.users_dags:
                self.evidence.users_dags = scenario.upload_folder(s3, bucket, DAG_PREFIX, self.users_dags, taken=names)
            scenario.plant(api, self.planted)
            scenario.let_look(api, self._command(PRIMARY), self.planted)
            self._wait(lambda: scenario.parsed(url, self._awaited_dags(), self.major), 120, "DAGs parsed")
        with self.progress.step("unpause and start the DAGs"):
            for dag_id in self._dag_ids(url):
                if dag_id not in scenario.STAYS_PAUSED:
                    api.pause(dag_id, paused=False)
            for dag_id in scenario.STARTED_BY_HAND:
                api.trigger(dag_id, f"by-hand-{dag_id}", note=f"started by hand: {dag_id}\r\nsecond line")
        self._fail_on_purpose()

    def run_workload(self) -> None:
        """Wait for the defined state in which the cut is taken; meanwhile a second plan of each root."""
        api, url = self._api(PRIMARY), self._database_url(PRIMARY)
        with (
            self.progress.step("let the workload run; terraform plan"),
            self._planning("second-plan", *self.roots) as plans,
        ):
            replication = self._start("replicate_existing", PRIMARY, "primary")
            self._wait(lambda: scenario.missing_instances(url, scenario.WANTED_AT_CUT), 300, "the state for the cut")
            self.evidence.second_plans = {name: plan.result() for name, plan in plans.items()}
            self.evidence.outputs["replicate_existing"] = self._wait_for_execution(replication, PRIMARY, 180)
            api.pause("stopped", paused=True)
            for dag_id in scenario.STARTED_LAST:
                api.trigger(dag_id, f"by-hand-{dag_id}")
            self._wait(lambda: scenario.missing_instances(url, scenario.WANTED_LAST), 90, "the state for the cut")

    def take_snapshot(self) -> None:
        """Start the snapshot machine and dump the database at its very cut."""
        url = self._database_url(PRIMARY)
        self.evidence.source_key = self._environment(PRIMARY)["fernet_key"]
        with self.progress.step("take a snapshot"):
            gate = database.Gate(url)
            try:
                execution = self._start("snapshot", PRIMARY, "primary")
                path = self.folder / "source-at-cut.sql"
                self.evidence.exported = gate.dump_cut(path, 120, lambda: self._fail_if_ended(execution, PRIMARY))
                self.evidence.source_dump = path
            finally:
                gate.open()
            rows = self._wait_for_execution(execution, PRIMARY, 180)["verified"]["rows"]
            self._wait(self._read_manifest, 60, "the snapshot complete in the secondary")
            self.evidence.snapshot_complete = time.time()
            self.progress.say(f"  snapshot {self.evidence.manifest['snapshot_id']}: {rows} rows")
        with self.progress.step("let the workload go on"):
            self._sleep(GOES_ON_SECONDS)

    def lose_primary(self) -> None:
        """Switch the Region off and follow the failover until it is live; both dumps of the target."""
        self.local.post("outage", region=PRIMARY, down=True)
        failover = Failover(outage=time.time())
        self.evidence.failover = failover
        machine = self.outputs["secondary"]["state_machine_arns"]["failover"].rsplit(":", 1)[-1]
        observer = Observer(self.narrator, SECONDARY, machine, self.folder, failover)
        with (
            self.progress.step("detection: the primary is gone"),
            self._planning("plan-without-primary", "secondary") as plans,
        ):
            observer.wait_for_start()
            self.evidence.plan_without_primary = plans["secondary"].result()
        with self.progress.step("creation: the environment in the secondary"):
            url = observer.wait_for_environment()
            environment = self._environment(SECONDARY)
            self.evidence.target_key = environment["fernet_key"]
            created = self.local.client("mwaa", SECONDARY).get_environment(Name=NAME)["Environment"]["CreatedAt"]
            self.evidence.target_since = created.astimezone(UTC)
        with self.progress.step("restore: the state"):
            self.evidence.state_dump = observer.dump_before_live(url)
        with self.progress.step("go live"):
            observer.wait_for_end()

    def look_after(self) -> None:
        """Let the target go on: signals, datasets, secrets; then the last dump."""
        api, url = self._api(SECONDARY), self._database_url(SECONDARY)
        with self.progress.step("let the secondary go on"):
            self._sleep(15)
            self.evidence.runs_of_waiting_consumer = len(
                database.query(url, "SELECT 1 FROM dag_run WHERE dag_id = 'both'")
            )
            for name in ("work_is_done", "external_job_is_done"):
                (self.effects / "signals" / name).touch()
            for dag_id in ("right", "secrets_reader"):
                api.trigger(dag_id, f"after-failover-{dag_id}")
            self._wait(
                lambda: scenario.missing_instances(url, scenario.WANTED_AFTER), 240, "the state after the failover"
            )
            self._wait(lambda: self._schedules_behind(url), 240, "a new run of every schedule")
            self._wait(self._replay_behind, 240, "everything replayed")
        with self.progress.step("history"):
            self._wait(lambda: self._history_behind(url), 240, "the history restored")
            self.evidence.end_dump = database.dump_of_now(url, self.folder / "target-at-end.sql")
            self.narrator.poll()
        with self.progress.step("the secondary watches and keeps itself"):
            for machine in ("heartbeat_check", "snapshot"):
                self.evidence.outputs[machine] = self._fire(machine, SECONDARY)

    def tear_down(self) -> None:
        """Bring the primary Region back and destroy both; what is left is evidence."""
        with self.progress.step("terraform destroy"):
            self.local.post("outage", region=PRIMARY, down=False)
            mwaa = self.local.client("mwaa", SECONDARY)
            # What a failover created belongs to no state: whoever gives up the secondary removes it first.
            mwaa.delete_environment(Name=NAME)
            self._wait(lambda: "the environment" if self._exists(SECONDARY) else "", 120, "the environment removed")
            for name in ("primary", "secondary"):
                self.roots[name].destroy()
                self.evidence.left_over += [f"{name}: {address}" for address in self.roots[name].resources()]
            self.evidence.left_over += left(self.evidence.existed, inventory(self.local, (PRIMARY, SECONDARY)))

    def stop(self) -> None:
        """Stop everything; safe at any moment and more than once."""
        self.stopping.set()
        for root in self.roots.values():
            root.stop()
        if self.stand_in:
            self.stand_in.stop()
        self.outlived += end_left_overs(self.folder)

    def _apply(self, name: str, variables: dict[str, Any]) -> None:
        root = Root(name, self.folder / name, self.local.terraform_env, variables)
        self.roots[name] = root
        root.init()
        root.apply()
        self.outputs[name] = root.outputs()

    @contextmanager
    def _planning(self, label: str, *names: str) -> Iterator[dict[str, Future[str]]]:
        """Plans of roots in the background; an exception ends them."""
        with ThreadPoolExecutor(len(names)) as pool:
            try:
                yield {name: pool.submit(self.roots[name].pending_changes, label) for name in names}
            except BaseException:
                for name in names:
                    self.roots[name].stop()
                raise

    def _fail_on_purpose(self) -> None:
        """Start a snapshot with bad input: nothing happens, except that people are told."""
        arn = self.outputs["primary"]["state_machine_arns"]["snapshot"]
        client = self.local.client("stepfunctions", PRIMARY)
        started = client.start_execution(stateMachineArn=arn, input=json.dumps({"scheduled_at": 42}))
        self.evidence.failed_execution = started["executionArn"]

    def _start(self, machine: str, region: str, root: str) -> str:
        client = self.local.client("stepfunctions", region)
        arn = self.outputs[root]["state_machine_arns"][machine]
        return str(client.start_execution(stateMachineArn=arn, input="{}")["executionArn"])

    def _fire(self, machine: str, region: str) -> dict[str, Any]:
        """Fire the schedule of a machine now, and follow what it starts to its good end; its output."""
        since = time.time()
        name = f"{NAME}-{region}-{machine}"
        self.local.post("fire", region=region, name=name)
        started: list[str] = []

        def waiting() -> str:
            every = self.narrator.events
            started.extend(e["executionArn"] for e in every if e.get("machine") == name and e["at"] >= since)
            return "" if started else "the execution"

        self._wait(waiting, 60, f"{name} started by its schedule")
        return self._wait_for_execution(started[0], region, 180)

    def _fail_if_ended(self, execution: str, region: str) -> None:
        shown = self.local.client("stepfunctions", region).describe_execution(executionArn=execution)
        if shown["status"] in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise RehearsalFailed(f"{execution} {shown['status']}: {reason(shown)}")
        if shown["status"] == "SUCCEEDED":
            raise RehearsalFailed(f"{execution} ended without a snapshot: {shown.get('output')}")

    def _wait_for_execution(self, execution: str, region: str, seconds: float) -> dict[str, Any]:
        client = self.local.client("stepfunctions", region)

        def running() -> str:
            self.narrator.poll()
            return "its end" if client.describe_execution(executionArn=execution)["status"] == "RUNNING" else ""

        self._wait(running, seconds, execution)
        shown = client.describe_execution(executionArn=execution)
        if shown["status"] != "SUCCEEDED":
            raise RehearsalFailed(f"{execution} {shown['status']}: {reason(shown)}")
        return dict(json.loads(shown.get("output") or "{}"))

    def _read_manifest(self) -> str:
        """The newest manifest of the secondary; answers what is missing."""
        s3 = self.local.client("s3", SECONDARY)
        bucket = self.outputs["secondary"]["snapshot_bucket"]["name"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"snapshots/{NAME}/").get("Contents", [])
        keys = sorted(entry["Key"] for entry in listed if entry["Key"].endswith("/manifest.json"))
        if not keys:
            return "a manifest"
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=keys[-1])["Body"].read())
        folder = keys[-1].rsplit("/", 1)[0]
        there = {entry["Key"] for entry in listed}
        wanted = {f"{folder}/{thing['name']}" for table in manifest["tables"] for thing in table["objects"]}
        self.evidence.manifest = manifest
        return ", ".join(sorted(wanted - there)[:5])

    def _schedules_behind(self, url: str) -> str:
        begun = {e.key[0] for e in read_effects(self.effects) if e.region == SECONDARY and e.kind == "start"}
        soon = {dag for dag, how in SCHEDULES.items() if how.seconds <= SOON_SECONDS}
        known = {row[0] for row in database.query(url, "SELECT dag_id FROM dag WHERE NOT is_paused")}
        return ", ".join(sorted((soon & known) - begun))

    def _replay_behind(self) -> str:
        if self.evidence.failover is None:
            raise RehearsalFailed("there was no failover")
        effects = read_effects(self.effects)
        begun = {effect.key for effect in effects if effect.region == SECONDARY and effect.kind == "start"}
        computed = computed_replay(self.cut(), effects, PRIMARY, self.evidence.failover.live, scenario.FAIL_IN_FLIGHT)
        return ", ".join(" ".join(map(str, key)) for key in sorted(computed - begun)[:3])

    def cut(self) -> Cut:
        """What the source's dump says of the cut."""
        if self.evidence.source_dump is None:
            raise RehearsalFailed("there is no dump of the cut")
        dump = Dump(self.evidence.source_dump)
        at = datetime.fromisoformat(self.evidence.manifest["cut_at"]).timestamp()
        return Cut.of(at, scenario.users_rows(dump, "dag_run"), scenario.users_rows(dump, "task_instance"), self.major)

    def _history_behind(self, url: str) -> str:
        done = set(read_ledger(url).get("done", []))
        wanted = {thing["name"] for table in self.evidence.manifest["tables"] for thing in table["objects"]}
        return ", ".join(sorted(wanted - done)[:5])

    def _awaited_dags(self) -> set[str]:
        named = {wanted[0] for wanted in (*scenario.WANTED_AT_CUT, *scenario.WANTED_LAST, *scenario.WANTED_AFTER)}
        return {*SCHEDULES, *scenario.STARTED_BY_HAND, *scenario.STARTED_LAST, *scenario.STAYS_PAUSED, *named, "right"}

    def _dag_ids(self, url: str) -> list[str]:
        rows = database.query(url, "SELECT dag_id FROM dag WHERE NOT starts_with(dag_id, %s)", (scenario.OWN_PREFIX,))
        return sorted(row[0] for row in rows)

    def _environment(self, region: str) -> dict[str, Any]:
        return next(dict(e) for e in self.local.get("environments") if e["region"] == region)

    def _exists(self, region: str) -> bool:
        return any(e["region"] == region for e in self.local.get("environments"))

    def _database_url(self, region: str) -> str:
        return str(self._environment(region)["database_url"])

    def _api(self, region: str) -> AirflowApi:
        return AirflowApi(self.local.client("mwaa", region), NAME, self.major)

    def _command(self, region: str) -> Callable[..., None]:
        environment = self._environment(region)
        return partial(run_airflow, self.airflow, environment["database_url"], environment["fernet_key"])

    def _wait(self, reached: Callable[[], str], seconds: float, what: str) -> None:
        def checked() -> str:
            if self.stopping.is_set():
                raise RehearsalFailed("interrupted")
            self.narrator.poll()
            return reached()

        wait_until(checked, seconds, what, lambda missing: self.progress.doing(f"waits for {missing}"))

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stopping.wait(1):
            self.narrator.poll()


def end_left_overs(folder: Path) -> list[str]:
    """Kill every process whose command line or environment names the run's folder; returns their command lines."""
    ended = []
    for pid in processes_of(folder):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):  # gone meanwhile
            continue
        ended.append(f"{pid} {command.strip()}")
    return ended


def processes_of(folder: Path) -> list[int]:
    """Ids of the processes, other than this one, whose command line or environment names a folder."""
    needle, found = str(folder).encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            named = needle in (entry / "cmdline").read_bytes() or needle in (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone meanwhile, or not ours
            continue
        if named:
            found.append(int(entry.name))
    return found
