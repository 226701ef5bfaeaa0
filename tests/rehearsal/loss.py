"""The loss of the primary Region, and the failover, which the rehearsal only watches."""

from __future__ import annotations

import time
from datetime import UTC

from tests.rehearsal.observe import Failover, Observer
from tests.rehearsal.rehearsal import NAME, PRIMARY, SECONDARY, Rehearsal


def lose_primary(rehearsal: Rehearsal) -> None:
    """Switch the Region off and follow the failover until it is live; both dumps of the target."""
    rehearsal.local.post("outage", region=PRIMARY, down=True)
    failover = Failover(outage=time.time())
    rehearsal.evidence.failover = failover
    machine = rehearsal.outputs["secondary"]["state_machine_arns"]["failover"].rsplit(":", 1)[-1]
    observer = Observer(rehearsal.narrator, SECONDARY, machine, rehearsal.folder, failover)
    with (
        rehearsal.progress.step("detection: the primary is gone"),
        rehearsal.planning("plan-without-primary", "secondary") as plans,
    ):
        observer.wait_for_start()
        rehearsal.evidence.plan_without_primary = plans["secondary"].result()
    with rehearsal.progress.step("creation: the environment in the secondary"):
        url = observer.wait_for_environment()
        environment = rehearsal.environment(SECONDARY)
        rehearsal.evidence.target_key = environment["fernet_key"]
        created = rehearsal.local.client("mwaa", SECONDARY).get_environment(Name=NAME)["Environment"]["CreatedAt"]
        rehearsal.evidence.target_since = created.astimezone(UTC)
    with rehearsal.progress.step("restore: the state"):
        rehearsal.evidence.state_dump = observer.dump_before_live(url)
    with rehearsal.progress.step("go live"):
        observer.wait_for_end()
