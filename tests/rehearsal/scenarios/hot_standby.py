"""The primary Region is lost; the state of its last snapshot is in the secondary's standby by then."""

from __future__ import annotations

import json
from typing import Any

from tests.rehearsal import database, history, source
from tests.rehearsal.checks import Facts
from tests.rehearsal.comparator import OWN_PREFIX
from tests.rehearsal.observe import read_ledger
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.report import Check
from tests.rehearsal.scenarios.backup_restore import PRIMARY, SECONDARY
from tests.rehearsal.scenarios.warm_standby import OWN_CHANGES, WarmStandby

#: What a restore that is started from outside does beyond that: it answers, and forgets what it answered by.
ANSWERS = frozenset({"s3:DeleteObject", "states:SendTaskHeartbeat", "states:SendTaskSuccess"})

#: What of the user's would act, or could, by what it is called.
ACTING = {
    "dag that is not paused": "SELECT dag_id FROM dag WHERE NOT is_paused AND NOT starts_with(dag_id, %s)",
    "serialized_dag": "SELECT dag_id FROM serialized_dag WHERE NOT starts_with(dag_id, %s)",
    "task_instance that executes": """SELECT dag_id FROM task_instance
        WHERE state IN ('scheduled', 'queued', 'running', 'restarting') AND NOT starts_with(dag_id, %s)""",
}
WAITING = "SELECT count(*) FROM task_instance WHERE state = 'deferred' AND NOT starts_with(dag_id, %s)"


class HotStandby(WarmStandby):
    """As `warm_standby`, but every snapshot is restored into the standby as soon as it is there."""

    name = "hot_standby"
    own_changes = OWN_CHANGES | ANSWERS
    takes_history = True

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.ahead: list[dict[str, Any]] = []  #: the standby's ledger after each snapshot
        self.waiting = 0  #: task instances of the user that were deferred in the standby

    def checks(self, facts: Facts) -> list[Check]:
        """What restoring ahead is for, beside what a standby is for."""
        return [*super().checks(facts), self._restored_ahead(), self._restored_nothing_again()]

    def _apply(self) -> None:
        """Where a long history is asked for, the primary has it before anything runs there."""
        super()._apply()
        rehearsal = self.rehearsal
        if rehearsal.history:
            with rehearsal.progress.step(f"a history of {rehearsal.history} task instances in the primary"):
                rehearsal.evidence.source_url = rehearsal.database_url(PRIMARY)
                history.load(rehearsal.evidence.source_url, rehearsal.history)

    def _run_workload(self) -> None:
        """A snapshot more while it begins, so that the state of one gives way to that of the next."""
        rehearsal = self.rehearsal
        with rehearsal.progress.step("a snapshot, and its state in the standby"):
            rehearsal.wait_for_execution(rehearsal.start_machine("snapshot", PRIMARY), PRIMARY)
            self._await_refresh()
        super()._run_workload()

    def _take_snapshot(self) -> None:
        super()._take_snapshot()
        with self.rehearsal.progress.step("the state of the next one in its place"):
            self._await_refresh()

    def _await_refresh(self) -> None:
        """Until the newest snapshot is in the standby: nobody starts anything for that."""
        rehearsal = self.rehearsal
        source.await_snapshot(rehearsal, SECONDARY)
        wanted = rehearsal.evidence.manifest["snapshot_id"]
        rehearsal.wait(
            lambda: "" if self._noted() == wanted else f"the state of {wanted}", 240, "the standby refreshed"
        )
        self.ahead.append(read_ledger(rehearsal.database_url(SECONDARY)))

    def _noted(self) -> str:
        """The snapshot that is noted as the one in the standby."""
        s3 = self.rehearsal.local.client("s3", SECONDARY.region)
        bucket = self.rehearsal.outputs["secondary"]["snapshot_bucket"]["name"]
        key = f"spec/{NAME}/refreshed.{SECONDARY.region}.json"
        if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
            return ""
        return str(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["snapshot_id"])

    def _look_inside(self, url: str) -> dict[str, list[str]]:
        """The rows are there, and nothing in them may act."""
        found = {
            what: sorted({row[0] for row in database.query(url, look, (OWN_PREFIX,))}) for what, look in ACTING.items()
        }
        found["trigger"] = [row[0] for row in database.query(url, "SELECT classpath FROM trigger")]
        ((self.waiting,),) = database.query(url, WAITING, (OWN_PREFIX,))
        return found

    def _restored_ahead(self) -> Check:
        first, last = self.ahead[0], self.ahead[-1]
        ahead = last["snapshot_id"] == self.rehearsal.evidence.manifest["snapshot_id"] != first["snapshot_id"]
        state_only = not set(last["history"]) & set(last["done"])
        passed = ahead and last["replaced"] and not last["live"] and state_only and self.waiting > 0
        detail = f"{first['snapshot_id']} gave way to {last['snapshot_id']}; {self.waiting} task instances wait in it"
        return Check("each snapshot's state was in the standby before the outage", passed, detail)

    def _restored_nothing_again(self) -> Check:
        """The failover found the state there. History follows, so the ledger has grown."""
        after = read_ledger(self.rehearsal.database_url(SECONDARY))
        same = after["state_at"] == self.ahead[-1]["state_at"] and bool(after["live"])
        detail = f"restored at {after['state_at']}"
        return Check("the failover found the state there, and went live with it", same, detail)
