"""Both Regions after a failover, each with its own machines; a function sees the Region whose machine called it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3 import models

from mwaa_continuity import aws, settings, spec
from tests.integration.functions.faults import Environment
from tests.integration.functions.machines import (
    CURRENT_REGION,
    PARSED,
    Answers,
    Region,
    become,
    gone_live,
    restored,
    take_snapshot,
)
from tests.local_aws.patches import s3 as s3_patches
from tests.unit.functions.conftest import BINDING, NAME, PRIMARY, SECONDARY, VARIABLES, environment
from tests.unit.functions.two_regions import DAGS_HERE, PRIMARY_VARIABLES, SNAPSHOTS_HERE, Primary


class BothRegions:
    """The secondary is active; the primary, fenced, has its environment."""

    def __init__(self, secondary: Region) -> None:
        self.account = secondary.account
        self.secondary = secondary
        self.storage = Primary(self.account)
        self.primary = Region(self.account, PRIMARY, SNAPSHOTS_HERE)
        self.drained = False  #: whether the secondary's DAGs are paused
        self.runs = False  #: whether the primary went live
        self.account.set_lease(holder=SECONDARY, token=2, since=int(time.time()) - 100_000)
        for region in (PRIMARY, SECONDARY):
            self.account.mwaa.environments[region, NAME] = environment(region)
        names = ("snapshot", "drain", "undrain", "restore", "go_live")
        self.account.mwaa.dags |= {f"continuity_{name}": dict(PARSED) for name in names}
        for file in ("requirements.txt", "startup.sh"):
            self.storage.put(file, "x")
        published = json.dumps(spec.from_environment(environment(PRIMARY))).encode()
        key = f"spec/{NAME}/published.{PRIMARY}.json"
        self.storage.s3.put_object(Bucket=SNAPSHOTS_HERE, Key=key, Body=published)
        self.answers: Answers = {
            "continuity_drain": self.drain,
            "continuity_undrain": self.undrain,
            "continuity_snapshot": lambda: take_snapshot(self.secondary),
            "continuity_restore": restored,
            "continuity_go_live": gone_live,
        }
        self.account.mwaa.on_run = self.start_dag
        self.account.mwaa.on_delete = lambda _environment: self.forget()
        become(self.account, "AVAILABLE")

    def deploy(self, **given: Any) -> None:
        """Create the machines of a failback where they are."""
        given = {"parse_deadline_seconds": 30} | given
        self.primary.deploy("failback", **given)
        self.secondary.deploy("hand_over", "stand_down", **given)

    def of(self, machine: str) -> Region:
        """The Region that has a machine."""
        return self.primary if machine == "failback" else self.secondary

    def answer_dags(self, answers: Answers) -> None:
        """Let other DAGs answer."""
        self.answers |= answers

    def start_dag(self, dag_id: str, conf: dict[str, Any]) -> None:
        """A DAG answers where its task token is."""

        def answer() -> None:
            for region, s3 in ((self.primary, self.storage.s3), (self.secondary, self.account.s3)):
                try:
                    s3.head_object(Bucket=region.bucket, Key=f"work/{NAME}/{conf['request_id']}.json")
                except ClientError:
                    continue
                region.answer(self.answers[dag_id], conf)

        threading.Timer(0.3, answer).start()

    def drain(self) -> dict[str, Any]:
        """Every DAG of the secondary is paused."""
        self.drained = True
        return {"paused": 3, "executing": []}

    def undrain(self) -> dict[str, Any]:
        """And has the flag it had before."""
        self.drained = False
        return {"unpaused": 3, "missing_dags": []}

    def lose_environment(self) -> None:
        """The primary's environment is gone; what is needed to create it is there."""
        del self.account.mwaa.environments[PRIMARY, NAME]
        binding = BINDING | {"SourceBucketArn": f"arn:aws:s3:::{DAGS_HERE}"}
        key = f"spec/{NAME}/binding.{PRIMARY}.json"
        self.storage.s3.put_object(Bucket=SNAPSHOTS_HERE, Key=key, Body=json.dumps(binding).encode())

    def forget(self) -> None:
        """MWAA deletes in a moment."""
        threading.Timer(0.3, self.account.mwaa.environments.pop, ((SECONDARY, NAME),)).start()

    def fail_back(self, name: str = "back", **fields: Any) -> dict[str, Any]:
        """Start the failback and wait until it ends."""
        return self.primary.run("failback", name, **fields)

    def hand_overs(self) -> list[str]:
        """The operations that the secondary was asked for, in order."""
        states, arn = self.secondary.states, self.secondary.arns["hand_over"]
        found = [
            states.describe_execution(executionArn=each["executionArn"])
            for each in states.list_executions(stateMachineArn=arn)["executions"]
        ]
        return [json.loads(each["input"])["operation"] for each in sorted(found, key=lambda each: each["startDate"])]


class BothEnvironments(Environment):
    """`flags` are the secondary's; what is created, restored and goes live is the primary."""

    def __init__(self, region: BothRegions) -> None:
        create = region.account.mwaa.on_create
        super().__init__(region)
        region.account.mwaa.on_create = create

    def restore(self) -> dict[str, Any]:
        return restored()

    def go_live(self) -> dict[str, Any]:
        self.region.runs = True
        return gone_live()


@pytest.fixture
def both(region: Region, monkeypatch: pytest.MonkeyPatch) -> BothRegions:
    """Both Regions; variables and clients are those of the Region whose function runs."""
    variables = {SECONDARY: VARIABLES, PRIMARY: VARIABLES | PRIMARY_VARIABLES}
    connect: Callable[..., Any] = aws.client

    def client(service: str, where: str | None = None, config: Any = aws.PATIENT) -> Any:
        return connect(service, where or CURRENT_REGION.get(), config)

    def variable(name: str, default: str = "") -> str:
        return variables[CURRENT_REGION.get()].get(name, default)

    monkeypatch.setattr(models.FakeKey, "response_dict", models.FakeKey.response_dict)  # restored after the test
    s3_patches.replication_status()
    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr(settings, "os", SimpleNamespace(environ=SimpleNamespace(get=variable)))
    return BothRegions(region)
