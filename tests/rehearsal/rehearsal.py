"""One run of the rehearsal: two Regions brought up and torn down, what its steps share, and what they collect."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.local_aws.airflow_command import run_airflow
from tests.local_aws.fixtures import RunningStandIn, start_stand_in
from tests.local_aws.inventory import Inventory, inventory, left
from tests.rehearsal import scenario
from tests.rehearsal.airflow_api import AirflowApi
from tests.rehearsal.comparator import Dump
from tests.rehearsal.effects import Cut
from tests.rehearsal.observe import Failover, Narrator, reason
from tests.rehearsal.processes import end_left_overs
from tests.rehearsal.progress import Progress
from tests.rehearsal.scenario import Planted, wait_until
from tests.rehearsal.terraform import Root

NAME = "rehearsal"
PRIMARY = "us-east-1"
SECONDARY = "us-west-2"
DAG_PREFIX = "dags/"


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

    def tear_down(self) -> None:
        """Bring the primary Region back and destroy both; what is left is evidence."""
        with self.progress.step("terraform destroy"):
            self.local.post("outage", region=PRIMARY, down=False)
            mwaa = self.local.client("mwaa", SECONDARY)
            # What a failover created belongs to no state: whoever gives up the secondary removes it first.
            mwaa.delete_environment(Name=NAME)
            self.wait(lambda: "the environment" if self._exists(SECONDARY) else "", 120, "the environment removed")
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
    def planning(self, label: str, *names: str) -> Iterator[dict[str, Future[str]]]:
        """Plans of roots in the background; an exception ends them."""
        with ThreadPoolExecutor(len(names)) as pool:
            try:
                yield {name: pool.submit(self.roots[name].pending_changes, label) for name in names}
            except BaseException:
                for name in names:
                    self.roots[name].stop()
                raise

    def start_machine(self, machine: str, region: str, root: str) -> str:
        """Start a state machine of a root by hand; the ARN of the execution."""
        client = self.local.client("stepfunctions", region)
        arn = self.outputs[root]["state_machine_arns"][machine]
        return str(client.start_execution(stateMachineArn=arn, input="{}")["executionArn"])

    def fire(self, machine: str, region: str) -> dict[str, Any]:
        """Fire the schedule of a machine now, and follow what it starts to its good end; its output."""
        since = time.time()
        name = f"{NAME}-{region}-{machine}"
        self.local.post("fire", region=region, name=name)
        started: list[str] = []

        def waiting() -> str:
            every = self.narrator.events
            started.extend(e["executionArn"] for e in every if e.get("machine") == name and e["at"] >= since)
            return "" if started else "the execution"

        self.wait(waiting, 60, f"{name} started by its schedule")
        return self.wait_for_execution(started[0], region, 180)

    def fail_if_ended(self, execution: str, region: str) -> None:
        """Raises RehearsalFailed, with the reason, for an execution that should still be under way."""
        shown = self.local.client("stepfunctions", region).describe_execution(executionArn=execution)
        if shown["status"] in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise RehearsalFailed(f"{execution} {shown['status']}: {reason(shown)}")
        if shown["status"] == "SUCCEEDED":
            raise RehearsalFailed(f"{execution} ended without a snapshot: {shown.get('output')}")

    def wait_for_execution(self, execution: str, region: str, seconds: float) -> dict[str, Any]:
        """Follow an execution to its good end; its output. Raises RehearsalFailed, or NotReached."""
        client = self.local.client("stepfunctions", region)

        def running() -> str:
            self.narrator.poll()
            return "its end" if client.describe_execution(executionArn=execution)["status"] == "RUNNING" else ""

        self.wait(running, seconds, execution)
        shown = client.describe_execution(executionArn=execution)
        if shown["status"] != "SUCCEEDED":
            raise RehearsalFailed(f"{execution} {shown['status']}: {reason(shown)}")
        return dict(json.loads(shown.get("output") or "{}"))

    def cut(self) -> Cut:
        """What the source's dump says of the cut."""
        if self.evidence.source_dump is None:
            raise RehearsalFailed("there is no dump of the cut")
        dump = Dump(self.evidence.source_dump)
        at = datetime.fromisoformat(self.evidence.manifest["cut_at"]).timestamp()
        return Cut.of(at, scenario.users_rows(dump, "dag_run"), scenario.users_rows(dump, "task_instance"), self.major)

    def environment(self, region: str) -> dict[str, Any]:
        """The environment of a Region as test equipment sees it."""
        return next(dict(e) for e in self.local.get("environments") if e["region"] == region)

    def _exists(self, region: str) -> bool:
        return any(e["region"] == region for e in self.local.get("environments"))

    def database_url(self, region: str) -> str:
        """Of the metadata database of a Region."""
        return str(self.environment(region)["database_url"])

    def api(self, region: str) -> AirflowApi:
        """Airflow's REST API in a Region."""
        return AirflowApi(self.local.client("mwaa", region), NAME, self.major)

    def command(self, region: str) -> Callable[..., None]:
        """Airflow's command line on the database of a Region."""
        environment = self.environment(region)
        return partial(run_airflow, self.airflow, environment["database_url"], environment["fernet_key"])

    def wait(self, reached: Callable[[], str], seconds: float, what: str) -> None:
        """Until `reached` answers nothing; it answers what is missing. Raises NotReached."""

        def checked() -> str:
            if self.stopping.is_set():
                raise RehearsalFailed("interrupted")
            self.narrator.poll()
            return reached()

        wait_until(checked, seconds, what, lambda missing: self.progress.doing(f"waits for {missing}"))

    def sleep(self, seconds: float) -> None:
        """Let so much time pass, and tell what happens meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stopping.wait(1):
            self.narrator.poll()
