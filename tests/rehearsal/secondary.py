"""What is looked at in the secondary Region once it is active: it goes on, its history arrives, it keeps itself."""

from __future__ import annotations

from functools import partial

from tests.rehearsal import database, scenario
from tests.rehearsal.checks import SOON_SECONDS
from tests.rehearsal.effects import SCHEDULES, computed_replay, read_effects
from tests.rehearsal.observe import read_ledger
from tests.rehearsal.rehearsal import PRIMARY, SECONDARY, Rehearsal, RehearsalFailed


def look_after(rehearsal: Rehearsal) -> None:
    """Let the target go on: signals, datasets, secrets; then the last dump."""
    api, url = rehearsal.api(SECONDARY), rehearsal.database_url(SECONDARY)
    with rehearsal.progress.step("let the secondary go on"):
        rehearsal.sleep(15)
        rehearsal.evidence.runs_of_waiting_consumer = len(
            database.query(url, "SELECT 1 FROM dag_run WHERE dag_id = 'both'")
        )
        for name in ("work_is_done", "external_job_is_done"):
            (rehearsal.effects / "signals" / name).touch()
        for dag_id in ("right", "secrets_reader"):
            api.trigger(dag_id, f"after-failover-{dag_id}")
        rehearsal.wait(
            lambda: scenario.missing_instances(url, scenario.WANTED_AFTER), 240, "the state after the failover"
        )
        rehearsal.wait(lambda: _schedules_behind(rehearsal, url), 240, "a new run of every schedule")
        rehearsal.wait(partial(_replay_behind, rehearsal), 240, "everything replayed")
    with rehearsal.progress.step("history"):
        rehearsal.wait(lambda: _history_behind(rehearsal, url), 240, "the history restored")
        rehearsal.evidence.end_dump = database.dump_of_now(url, rehearsal.folder / "target-at-end.sql")
        rehearsal.narrator.poll()
    with rehearsal.progress.step("the secondary watches and keeps itself"):
        for machine in ("heartbeat_check", "snapshot"):
            rehearsal.evidence.outputs[machine] = rehearsal.fire(machine, SECONDARY)


def _schedules_behind(rehearsal: Rehearsal, url: str) -> str:
    begun = {e.key[0] for e in read_effects(rehearsal.effects) if e.region == SECONDARY and e.kind == "start"}
    soon = {dag for dag, how in SCHEDULES.items() if how.seconds <= SOON_SECONDS}
    known = {row[0] for row in database.query(url, "SELECT dag_id FROM dag WHERE NOT is_paused")}
    return ", ".join(sorted((soon & known) - begun))


def _replay_behind(rehearsal: Rehearsal) -> str:
    if rehearsal.evidence.failover is None:
        raise RehearsalFailed("there was no failover")
    effects = read_effects(rehearsal.effects)
    begun = {effect.key for effect in effects if effect.region == SECONDARY and effect.kind == "start"}
    computed = computed_replay(
        rehearsal.cut(), effects, PRIMARY, rehearsal.evidence.failover.live, scenario.FAIL_IN_FLIGHT
    )
    return ", ".join(" ".join(map(str, key)) for key in sorted(computed - begun)[:3])


def _history_behind(rehearsal: Rehearsal, url: str) -> str:
    done = set(read_ledger(url).get("done", []))
    wanted = {thing["name"] for table in rehearsal.evidence.manifest["tables"] for thing in table["objects"]}
    return ", ".join(sorted(wanted - done)[:5])
