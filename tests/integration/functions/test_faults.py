"""The fault matrix: each task of each state machine fails for good, is throttled, or never answers.

It is made from the machines themselves: a task that has no case here fails the test. After each fault the machine is
started again without it, and ends as it would have.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mwaa_continuity import approval
from tests.conftest import is_long
from tests.integration.functions import faults
from tests.integration.functions.faults import BEFORE, FAULTS, FOR_GOOD, SILENT, THROTTLED, Environment, Flags
from tests.integration.functions.machines import (
    PARSED,
    PLAYED,
    Region,
    become,
    definition,
    fail,
    observe,
    runs_of,
    vanish,
)
from tests.integration.functions.two_regions import BothEnvironments, BothRegions, both
from tests.tools.state_machine_templates import MACHINES
from tests.unit.functions.conftest import NAME, PRIMARY, SECONDARY, SNAPSHOTS, environment

__all__ = ["both"]

NOTICES = Path(__file__).resolve().parents[3] / "modules" / "observability" / "main.notices.tf"
PAUSED: Flags = dict.fromkeys(BEFORE, True)
HIDDEN: Flags = {}
#: A DAG is parsed a moment after its environment is there, and answers a moment after it was started.
PATIENCE = {"parse_deadline_seconds": 30, "heartbeat_seconds": 20}


@dataclass(frozen=True)
class End:
    """How an execution leaves things: paused flags of the environment's DAGs (None: no environment), what the lease or
    the hibernation item says, and the error ("": that of the fault, or none)."""

    flags: Flags | None
    item: str
    error: str = ""


@dataclass
class World:
    """A Region, its environment, and what a test may change."""

    region: Any  #: a Region, or BothRegions
    environment: Environment
    patch: pytest.MonkeyPatch
    settings: Mapping[str, Any]

    def run(self, machine: str, name: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        done: dict[str, Any] = self.region.of(machine).run(machine, name, **(given or {}))
        return done

    def spoil(self, machine: str, task: str, fault: str) -> None:
        region = self.region.of(machine)
        region.update(machine, faults.spoilt(definition(machine, region.region, **self.settings), task, fault))

    def mend(self, machine: str) -> None:
        region = self.region.of(machine)
        region.update(machine, definition(machine, region.region, **self.settings))

    def play(self, function: str, answers: Mapping[str | None, dict[str, Any]]) -> None:
        """Answer for a function, by its action."""
        self.patch.setitem(PLAYED, function, lambda event, _context: answers[event.get("action")])


@dataclass(frozen=True)
class Way:
    """One way through a machine: what has to be there, its end without a fault, that of a fault in each task on it,
    and that of another execution afterwards without the fault (None: the same as `good`)."""

    machine: str
    prepare: Callable[[World], None]
    item: Callable[[Any], str]
    good: End
    cases: Mapping[str, End]
    again: End | None = None
    mend: Callable[[World], None] = lambda _world: None
    given: Mapping[str, Any] | None = None
    smoke: str = ""


def holder(region: Region) -> str:
    lease = region.account.lease()
    return f"{lease['holder']}{'' if lease['live'] else ', not live'}"


def who_runs(both: BothRegions) -> str:
    """The holder, and whether the primary went live; the flags are the secondary's."""
    return f"{holder(both.secondary)}{', runs' if both.runs else ''}"


def failovers(region: Region) -> str:
    """How many there were, when all have ended."""
    names = region.executions("failover")
    for name in names:
        region.wait(region.execution("failover", name))
    return f"failovers: {len(names)}"


def nothing(_region: Region) -> str:
    return ""


def lose_primary(world: World) -> None:
    create_as(world, "AVAILABLE")


def lose_nothing(world: World) -> None:
    observe(world.region.account)
    create_as(world, "AVAILABLE")


def stand_by_hot(world: World) -> None:
    account = world.region.account
    world.patch.setenv("DRILL_ARN", world.region.arns["drill"])
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags |= {f"continuity_{name}": dict(PARSED) for name in ("restore", "go_live")}
    world.environment.flags = {}  # its users' DAGs are hidden


def fail_to_refresh(world: World) -> None:
    stand_by_hot(world)
    world.region.answer_dags({"continuity_restore": fail("Continuity.RestoreFailed")})


def create_as(world: World, status: str) -> None:
    """Whatever is created reaches this status, without DAGs of users."""
    become(world.region.account, status)
    world.environment = Environment(world.region)


def ask_a_person(world: World) -> None:
    """A lost primary, and somebody who agrees a moment after being asked."""
    lose_primary(world)
    world.play("heartbeat_check", {None: {"verdict": "unhealthy", "why": "as the test says", "status": None}})
    tell = approval.tell

    def tell_who_agrees(settings: Any, question: Any, reason: str, until: int) -> None:
        tell(settings, question, reason, until)
        agreed = {"action": "approve", "request_id": question.request_id}
        threading.Timer(0.5, approval.handler, (agreed, None)).start()

    world.patch.setattr(approval, "tell", tell_who_agrees)


def drill(world: World) -> None:
    world.patch.setenv("STRATEGY", "backup_restore")
    world.region.account.mwaa.dags["continuity_drill"] = dict(PARSED)
    vanish(world.region.account)
    create_as(world, "AVAILABLE")


def reported(region: Region) -> str:
    """What the newest report of a drill says."""
    keys = sorted(key for key in region.account.objects() if re.fullmatch("drills/.*/report.json", key))
    if not keys:
        return "no report"
    return str(json.loads(region.account.s3.get_object(Bucket=SNAPSHOTS, Key=keys[-1])["Body"].read())["outcome"])


def watch(world: World) -> None:
    world.region.account.beat(1, 2, 3, 4, 5)


def watch_a_dead_primary(world: World) -> None:
    verdict = {"verdict": "unhealthy", "why": "as the test says", "status": None}
    world.play("heartbeat_check", {None: verdict})
    create_as(world, "CREATE_FAILED")


def activate(world: World) -> None:
    account = world.region.account
    account.set_lease(holder=SECONDARY, token=2)
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags["continuity_snapshot"] = dict(PARSED)


def check_preflight(world: World) -> None:
    world.play("preflight", {"check": {"ok": True, "failed": [], "checks": []}})


def refuse(world: World) -> None:
    world.play("preflight", {"check": {"ok": False, "failed": ["key"], "checks": []}})


def fall_asleep(world: World) -> None:
    done = world.run("hibernate", "night")
    assert done["status"] == "SUCCEEDED", done


def fall_asleep_before_a_smoke_run(world: World) -> None:
    fall_asleep(world)
    mwaa = world.region.account.mwaa
    mwaa.dags["smoke_test"] = dict(PARSED)
    mwaa.ends["smoke_test"] = "success"


def stay_paused(world: World) -> None:
    refuse(world)
    world.spoil("hibernate", "PutBack", faults.FAILS)
    assert world.run("hibernate", "night")["error"] == "LeftPaused"
    check_preflight(world)


def tag(world: World) -> None:
    keeps = {"ALL_HOURS": "24", "DAILY": "7", "WEEKLY": "0", "MONTHLY": "0", "PEER_BUCKET": "", "PEER_REGION": ""}
    for name, value in keeps.items():
        world.patch.setenv(name, value)


def replicate(world: World) -> None:
    done = {"done": True, "failed": [], "why": ""}
    world.play("replicate_existing", {"start": {"jobs": []}, "status": done})


def be_gone(world: World) -> None:
    world.region.lose_environment()


def fail_to_restore(world: World) -> None:
    world.region.answers["continuity_restore"] = fail("Continuity.RestoreFailed")


def restore_again(world: World) -> None:
    world.region.answers["continuity_restore"] = world.environment.restore


def fail_to_drain(world: World) -> None:
    def drain() -> dict[str, Any]:
        world.environment.drain()
        return fail("Continuity.DrainFailed")()

    world.region.answers["continuity_drain"] = drain


def drain_again(world: World) -> None:
    world.region.answers["continuity_drain"] = world.environment.drain


def hand_over(world: World) -> None:
    assert world.run("hand_over", "before")["status"] == "SUCCEEDED"


def be_live_elsewhere(world: World) -> None:
    hand_over(world)
    snapshot_id = runs_of(world.region, "continuity_snapshot")[-1]["snapshot_id"]
    world.region.account.set_lease(holder=PRIMARY, token=3, snapshot_id=snapshot_id)


ASLEEP, PUT_BACK = End(None, "asleep"), End(BEFORE, "awake")
ACTIVE = End(BEFORE, SECONDARY)
BACK = End(None, f"{PRIMARY}, runs")
TAKEN = f"{SECONDARY}, not live"
NOT_YET = {
    **dict.fromkeys(("SelectSnapshot", "HideDags", "EnsureEnvironment"), None),
    **dict.fromkeys(("GetEnvironment", "Ready", "HideDagsAgain", "Restore"), HIDDEN),
    **dict.fromkeys(("RevealDags", "GoLive"), PAUSED),
}
RESTORES = ("SelectSnapshot", "HideDags", "EnsureEnvironment", "GetEnvironment", "Ready", "HideDagsAgain", "Restore")

WAYS = {
    "drill": Way(
        "drill",
        drill,
        reported,
        End(None, "passed"),
        {
            "Begin": End(None, "no report"),
            **dict.fromkeys((*RESTORES, "Look"), End(None, "failed", "DrillNotPassed")),
            "Report": End(None, "no report"),
            "Remove": End(PAUSED, "passed"),
            "Removal": End(None, "passed"),
        },
    ),
    "failover": Way(
        "failover",
        lose_primary,
        holder,
        ACTIVE,
        {
            "TakeLease": End(None, PRIMARY),
            "RecordSnapshot": End(None, TAKEN),
            "Commit": End(PAUSED, TAKEN),
            **{task: End(flags, TAKEN) for task, flags in NOT_YET.items()},
            "MarkLive": End(BEFORE, TAKEN),
        },
    ),
    "failover that asks a person": Way(
        "failover",
        ask_a_person,
        holder,
        ACTIVE,
        dict.fromkeys(("AskApproval", "LookAgain"), End(None, PRIMARY)),
        given={"ask": True},
    ),
    "failover that is a dry run": Way(
        "failover", lose_primary, holder, End(None, PRIMARY), {"DryRun": End(None, PRIMARY)}, given={"dry_run": True}
    ),
    "failback": Way(
        "failback",
        lambda _world: None,
        who_runs,
        BACK,
        {
            **dict.fromkeys(("Begin", "HandOver", "CopySnapshot", "CopyDags", "SelectSnapshot"), ACTIVE),
            **dict.fromkeys(("EnsureEnvironment", "GetEnvironment", "Ready", "Restore", "TakeLease"), ACTIVE),
            **dict.fromkeys(("RevealDags", "GoLive"), End(PAUSED, f"{PRIMARY}, not live")),
            "MarkLive": End(PAUSED, f"{PRIMARY}, not live, runs"),
        },
    ),
    "failback to an environment that is gone": Way(
        "failback", be_gone, who_runs, BACK, dict.fromkeys(("HideDags", "HideDagsAgain"), ACTIVE)
    ),
    "failback that leaves the secondary's environment": Way(
        "failback",
        lambda _world: None,
        who_runs,
        BACK,
        {"StandDown": End(PAUSED, f"{PRIMARY}, runs", "NotStoodDown")},
        again=End(PAUSED, f"{PRIMARY}, runs"),
    ),
    "failback that is put back": Way(
        "failback",
        fail_to_restore,
        who_runs,
        End(BEFORE, SECONDARY, "Continuity.RestoreFailed"),
        {"PutBackThere": End(PAUSED, SECONDARY, "LeftPaused")},
        again=BACK,
        mend=restore_again,
    ),
    "hand_over": Way(
        "hand_over",
        lambda _world: None,
        who_runs,
        End(PAUSED, SECONDARY),
        dict.fromkeys(("ReadLease", "Drain", "PrepareSnapshot", "TakeSnapshot", "Verify"), ACTIVE),
    ),
    "hand_over that fails": Way(
        "hand_over",
        fail_to_drain,
        who_runs,
        End(BEFORE, SECONDARY, "Continuity.DrainFailed"),
        {"PutBack": End(PAUSED, SECONDARY, "LeftPaused")},
        again=End(PAUSED, SECONDARY),
        mend=drain_again,
    ),
    "hand_over that is to put back": Way(
        "hand_over", hand_over, who_runs, ACTIVE, {"RevealDags": ACTIVE}, given={"operation": "put_back"}
    ),
    "stand_down": Way(
        "stand_down",
        be_live_elsewhere,
        who_runs,
        End(None, PRIMARY),
        {
            **dict.fromkeys(("ReadLease", "SelectSnapshot", "Remove"), End(PAUSED, PRIMARY)),
            **dict.fromkeys(("Removal", "HideDags"), End(None, PRIMARY)),
        },
    ),
    "heartbeat_check of a healthy primary": Way(
        "heartbeat_check",
        watch,
        failovers,
        End(None, "failovers: 0"),
        dict.fromkeys(("ReadLease", "Check", "StoreSpec"), End(None, "failovers: 0")),
    ),
    "heartbeat_check of a lost primary": Way(
        "heartbeat_check",
        watch_a_dead_primary,
        failovers,
        End(HIDDEN, "failovers: 1"),
        {"StartFailover": End(None, "failovers: 0")},
    ),
    "hibernate": Way(
        "hibernate",
        check_preflight,
        faults.sleeping,
        ASLEEP,
        {
            "Begin": PUT_BACK,
            **dict.fromkeys(("Preflight", "Drain", "PrepareSnapshot", "TakeSnapshot", "Verify"), PUT_BACK),
            **dict.fromkeys(("RecordSnapshot", "Remove"), PUT_BACK),
            **dict.fromkeys(("Removal", "MarkAsleep"), End(None, "hibernating")),
        },
    ),
    "hibernate that is refused": Way(
        "hibernate",
        refuse,
        faults.sleeping,
        End(BEFORE, "awake", "PreflightFailed"),
        {
            "PutBack": End(BEFORE, "hibernating", "LeftPaused"),
            "MarkAwake": End(BEFORE, "hibernating", "PreflightFailed"),
        },
        again=ASLEEP,
        mend=check_preflight,
    ),
    "resume": Way(
        "resume",
        fall_asleep,
        faults.sleeping,
        PUT_BACK,
        {
            "Begin": ASLEEP,
            **{task: End(flags, "resuming") for task, flags in NOT_YET.items()},
            **dict.fromkeys(("PublishUrl", "MarkAwake"), End(BEFORE, "resuming")),
        },
    ),
    "resume with a smoke run": Way(
        "resume", fall_asleep_before_a_smoke_run, faults.sleeping, PUT_BACK, {"Smoke": PUT_BACK}, smoke="smoke_test"
    ),
    "resume of what was left paused": Way(
        "resume",
        stay_paused,
        faults.sleeping,
        PUT_BACK,
        {"PutBack": End(BEFORE, "hibernating")},
    ),
    "preflight": Way("preflight", check_preflight, nothing, End(None, ""), {"Check": End(None, "")}),
    "replicate_existing": Way(
        "replicate_existing", replicate, nothing, End(None, ""), dict.fromkeys(("Start", "Status"), End(None, ""))
    ),
    "standby": Way(
        "standby",
        lose_nothing,
        holder,
        End(HIDDEN, PRIMARY),
        {
            **dict.fromkeys(("ReadLease", "HideDags", "EnsureEnvironment"), End(None, PRIMARY)),
            "GetEnvironment": End(HIDDEN, PRIMARY),
        },
    ),
    "refresh": Way(
        "refresh",
        stand_by_hot,
        holder,
        End(PAUSED, PRIMARY),
        {
            **dict.fromkeys(("Refresh", "Restore"), End(HIDDEN, PRIMARY)),
            "Refreshed": End(PAUSED, PRIMARY),
        },
    ),
    "refresh that fails": Way(
        "refresh",
        fail_to_refresh,
        holder,
        End(HIDDEN, PRIMARY, "Continuity.RestoreFailed"),
        {"Interrupted": End(HIDDEN, PRIMARY, "Continuity.RestoreFailed")},
        again=End(PAUSED, PRIMARY),
        mend=lambda world: world.region.answer_dags({"continuity_restore": world.environment.restore}),
    ),
    "retention": Way("retention", tag, nothing, End(None, ""), {"Tag": End(None, "")}),
    "snapshot": Way("snapshot", activate, holder, ACTIVE, dict.fromkeys(("Prepare", "TakeSnapshot", "Verify"), ACTIVE)),
}
#: Where a task that never answers leads elsewhere: to what proves the snapshot, which is not there; to what is done
#: without a person's answer.
SILENT_ERRORS = {
    ("failover", "AskApproval"): "FailoverNotApproved",
    ("hand_over", "TakeSnapshot"): "SnapshotIncomplete",
    ("hibernate", "TakeSnapshot"): "SnapshotIncomplete",
    ("snapshot", "TakeSnapshot"): "SnapshotIncomplete",
}


def tasks_of(machine: str) -> list[str]:
    """The tasks of a machine, from its definition."""
    return [name for name, state in definition(machine)["States"].items() if state["Type"] == "Task"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case for every task and fault; in the usual run one in ten of them."""
    if "fault" not in metafunc.fixturenames:
        return
    every = is_long(metafunc.config)
    cases = [
        pytest.param(way, task, fault, id=f"{way}-{task}-{fault}")
        for way, found in WAYS.items()
        for task in found.cases
        for fault in FAULTS
    ]
    if not every:  # ten cases further is another task and another fault
        cases = cases[::10]
    metafunc.parametrize(("way", "task", "fault"), cases)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_task_has_its_case(machine: str) -> None:
    """Failure covered: a new state, and nobody has thought of what happens when it fails."""
    cases = {task for way in WAYS.values() if way.machine == machine for task in way.cases}
    assert cases == set(tasks_of(machine))


@pytest.mark.parametrize("machine", MACHINES)
def test_every_failure_is_told(machine: str) -> None:
    """Failure covered: a machine whose failure reaches nobody, or without a word on what to do."""
    advice = re.search(r"failure_advice = {\n(.*?)\n  }", NOTICES.read_text(), re.DOTALL)
    assert advice
    assert re.search(rf'^ +{machine} += ".+"$', advice.group(1), re.MULTILINE)


def test_a_fault_leaves_a_defined_state(
    place: Any, monkeypatch: pytest.MonkeyPatch, way: str, task: str, fault: str
) -> None:
    """Failures covered: paused for ever, deleted without a snapshot, half live, silent."""
    region, expected = place, WAYS[way]
    machine, case = expected.machine, expected.cases[task]
    kind = BothEnvironments if isinstance(region, BothRegions) else Environment
    world = World(region, kind(region), monkeypatch, {**PATIENCE, "smoke_dag_id": expected.smoke})
    check_preflight(world)
    region.deploy(**world.settings)
    faults.Lambda(monkeypatch)
    expected.prepare(world)

    def seen() -> tuple[Flags | None, str]:
        item = expected.item(region)
        return world.environment.seen(), item

    world.spoil(machine, task, fault)
    done = world.run(machine, "spoilt", expected.given)
    if fault == THROTTLED:
        assert (*seen(), done.get("error", "")) == (expected.good.flags, expected.good.item, expected.good.error), done
        return
    own = {FOR_GOOD, "StepFunctions.AccessDeniedException"} if fault != SILENT else {
        SILENT_ERRORS.get((machine, task), "States.Timeout"), "States.HeartbeatTimeout"
    }  # fmt: skip
    assert done["status"] == "FAILED", done
    assert done["error"] in ({case.error} if case.error else own), (done["error"], done["cause"])
    assert seen() == (case.flags, case.item)
    world.mend(machine)
    expected.mend(world)
    after = expected.again or expected.good
    done = world.run(machine, "again", expected.given)
    assert (*seen(), done.get("error", "")) == (after.flags, after.item, after.error), done


@pytest.fixture
def place(request: pytest.FixtureRequest, way: str) -> Any:
    """Where the machine runs: a Region, or both."""
    machine = WAYS[way].machine
    if machine in ("failback", "hand_over", "stand_down"):
        return request.getfixturevalue("both")
    return request.getfixturevalue("standalone" if machine in ("hibernate", "resume") else "region")
