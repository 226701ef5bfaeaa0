"""One run: the stand-in and the roots brought up and torn down, and what the steps of every scenario share."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.local_aws.airflow_command import run_airflow
from tests.local_aws.fixtures import RunningStandIn, start_stand_in
from tests.local_aws.inventory import inventory, left
from tests.rehearsal import history
from tests.rehearsal.airflow_api import AirflowApi
from tests.rehearsal.comparator import Dump, users_rows
from tests.rehearsal.effects import Cut, Effect, read_effects
from tests.rehearsal.evidence import Evidence, Place, RehearsalFailed
from tests.rehearsal.observe import Narrator, reason
from tests.rehearsal.planted import Planted
from tests.rehearsal.processes import end_left_overs
from tests.rehearsal.progress import Progress
from tests.rehearsal.terraform import Root
from tests.rehearsal.waiting import wait_until

NAME = "rehearsal"


@dataclass
class Rehearsal:
    """One run. `folder` is made anew; everything that is written lies below it."""

    folder: Path
    airflow: str
    progress: Progress
    source: Place
    target: Place
    users_dags: Path | None = None
    #: How many task instances of DAGs that are gone the source has beside its workload.
    history: int = 0
    planted: Planted = field(default_factory=Planted)
    evidence: Evidence = field(default_factory=Evidence)
    stand_in: RunningStandIn | None = None
    roots: dict[str, Root] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    #: Command lines of processes that were still there after the stand-in had stopped.
    outlived: list[str] = field(default_factory=list)

    @property
    def effects_folder(self) -> Path:
        """Folder of what the tasks leave."""
        return self.folder / "effects"

    @property
    def airflow_options(self) -> dict[str, str]:
        """Options of Airflow, the same in every place."""
        return {"rehearsal.effects_dir": str(self.effects_folder), "core.parallelism": "16"}

    @property
    def regions(self) -> tuple[str, ...]:
        """Of the source and the target."""
        return tuple(dict.fromkeys((self.source.region, self.target.region)))

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

    def start(self) -> None:
        """The stand-in, and what its account holds before anything is applied."""
        with self.progress.step("start the stand-in"):
            (self.effects_folder / "signals").mkdir(parents=True)
            self.stand_in = start_stand_in(self.folder / "stand-in", "--airflow", self.airflow)
            self.evidence.existed = inventory(self.stand_in, self.regions)
        self.narrator = Narrator(self.local, self.progress)

    def apply(self, place: Place, **variables: Any) -> None:
        """Apply the root of a place by Terraform, with the variables that every root has beside those given."""
        common = {
            "name": NAME,
            "region": place.region,
            "airflow_version": self.airflow,
            "airflow_configuration_options": self.airflow_options,
        }
        with self.progress.step(f"terraform apply: {place.root}"):
            root = Root(place.root, self.folder / place.root, self.local.terraform_env, {**common, **variables})
            self.roots[place.root] = root
            root.init()
            root.apply()
            self.outputs[place.root] = root.outputs()
            self.narrator.poll()

    def remove_target(self) -> None:
        """Remove the environment of the target, where it belongs to no state."""
        client = self.local.client("mwaa", self.target.region)
        client.delete_environment(Name=NAME)
        self.wait(lambda: "its end" if self.exists(self.target) else "", 120, "the environment removed")

    def destroy(self) -> None:
        """Destroy every root, the last one first; what is left is evidence."""
        for name in reversed(self.roots):
            self.roots[name].destroy()
            self.evidence.left_over += [f"{name}: {address}" for address in self.roots[name].resources()]
        self.evidence.left_over += left(self.evidence.existed, inventory(self.local, self.regions))

    def stop(self) -> None:
        """Stop everything; safe at any moment and more than once."""
        self.stopping.set()
        for root in self.roots.values():
            root.stop()
        if self.stand_in:
            self.stand_in.stop()
        self.outlived += end_left_overs(self.folder)

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

    def start_machine(self, machine: str, place: Place, given: str = "{}") -> str:
        """Start a state machine by hand, with JSON; the ARN of the execution."""
        client = self.local.client("stepfunctions", place.region)
        arn = self.outputs[place.root]["state_machine_arns"][machine]
        return str(client.start_execution(stateMachineArn=arn, input=given)["executionArn"])

    def fire(self, machine: str, place: Place) -> str:
        """Fire the schedule of a machine now; the ARN of the execution that it starts."""
        since = time.time()
        name = f"{NAME}-{place.region}-{machine}"
        self.local.post("fire", region=place.region, name=name)
        started: list[str] = []

        def waiting() -> str:
            every = self.narrator.events
            started.extend(e["executionArn"] for e in every if e.get("machine") == name and e["at"] >= since)
            return "" if started else "the execution"

        self.wait(waiting, 60, f"{name} started by its schedule")
        return started[0]

    def fire_to_end(self, machine: str, place: Place, name: str = "") -> None:
        """Fire the schedule of a machine and follow its execution; the output is evidence, under the machine's name or
        another one."""
        self.evidence.outputs[name or machine] = self.wait_for_execution(self.fire(machine, place), place)

    def fail_if_ended(self, execution: str) -> None:
        """Raises RehearsalFailed, with the reason, for an execution that should still be under way."""
        region = execution.split(":")[3]
        shown = self.local.client("stepfunctions", region).describe_execution(executionArn=execution)
        if shown["status"] in ("FAILED", "TIMED_OUT", "ABORTED"):
            raise RehearsalFailed(f"{execution} {shown['status']}: {reason(shown)}")
        if shown["status"] == "SUCCEEDED":
            raise RehearsalFailed(f"{execution} ended without a snapshot: {shown.get('output')}")

    def wait_for_execution(self, execution: str, place: Place, seconds: float = 180) -> dict[str, Any]:
        """Follow an execution to its good end; its output. Raises RehearsalFailed, or NotReached."""
        client = self.local.client("stepfunctions", place.region)

        def running() -> str:
            self.narrator.poll()
            return "its end" if client.describe_execution(executionArn=execution)["status"] == "RUNNING" else ""

        self.wait(running, seconds, f"the end of {execution}")
        shown = client.describe_execution(executionArn=execution)
        if shown["status"] != "SUCCEEDED":
            raise RehearsalFailed(f"{execution} {shown['status']}: {reason(shown)}")
        return dict(json.loads(shown.get("output") or "{}"))

    def effects(self) -> list[Effect]:
        """What the tasks left so far; `where` is that of the source or of the target."""
        found = [replace(e, where=self._place_of(e).where) for e in read_effects(self.effects_folder)]
        return [e for e in found if e.where != self.target.where or e.at >= self.evidence.effects_since]

    def _place_of(self, effect: Effect) -> Place:
        """Two Regions are told by their names, two lives in one Region by when the second one began."""
        since = self.evidence.target_since
        if self.source.region != self.target.region:
            return self.source if effect.where == self.source.region else self.target
        return self.source if since is None or effect.at < since.timestamp() else self.target

    @staticmethod
    def dump(path: Path) -> Dump:
        """A dump of the source or the target, without a long history."""
        return Dump(path, without=history.PREFIX)

    def cut(self) -> Cut:
        """What the source's dump says of the cut."""
        if self.evidence.source_dump is None:
            raise RehearsalFailed("there is no dump of the cut")
        dump = self.dump(self.evidence.source_dump)
        at = datetime.fromisoformat(self.evidence.manifest["cut_at"]).timestamp()
        return Cut.of(at, users_rows(dump, "dag_run"), users_rows(dump, "task_instance"), self.major)

    def environment(self, place: Place) -> dict[str, Any]:
        """The environment of a place as test equipment sees it."""
        return next(dict(e) for e in self.local.get("environments") if e["region"] == place.region)

    def exists(self, place: Place) -> bool:
        """Whether there is an environment."""
        return any(e["region"] == place.region for e in self.local.get("environments"))

    def database_url(self, place: Place) -> str:
        """Of the metadata database of a place."""
        return str(self.environment(place)["database_url"])

    def api(self, place: Place) -> AirflowApi:
        """Airflow's REST API of a place."""
        return AirflowApi(self.local.client("mwaa", place.region), NAME, self.major)

    def command(self, place: Place) -> Callable[..., None]:
        """Airflow's command line on the database of a place."""
        environment = self.environment(place)
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
