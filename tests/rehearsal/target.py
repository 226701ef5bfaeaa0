"""What is looked at in the target: how it arrives, and once it is live, that it goes on and its history comes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from functools import partial

from tests.rehearsal import database, wanted
from tests.rehearsal.effects import SCHEDULES, Cut, computed_replay
from tests.rehearsal.observe import Observer, read_ledger
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.wanted import Wanted


def follow(rehearsal: Rehearsal, observer: Observer) -> None:
    """From the start of the machine that brings the environment until it is live; the first dump of the target."""
    evidence, target = rehearsal.evidence, rehearsal.target
    with rehearsal.progress.step(f"the environment in the {target.root} is there"):
        url = observer.wait_for_environment()
        evidence.target_key = rehearsal.environment(target)["fernet_key"]
        shown = rehearsal.local.client("mwaa", target.region).get_environment(Name=NAME)["Environment"]
        evidence.target_since = shown["CreatedAt"].astimezone(UTC)
    with rehearsal.progress.step("restore: the state"):
        evidence.state_dump = observer.dump_before_live(url)
    with rehearsal.progress.step("go live"):
        observer.wait_for_end()


def look_after(rehearsal: Rehearsal, after: Iterable[Wanted], fail_dags: frozenset[str], soon_seconds: float) -> None:
    """Let the target go on: signals, datasets, secrets, and a new run of every schedule that is due within
    `soon_seconds`; then the last dump."""
    url = rehearsal.database_url(rehearsal.target)
    api = rehearsal.api(rehearsal.target)
    with rehearsal.progress.step(f"let the {rehearsal.target.root} go on"):
        rehearsal.sleep(15)
        rehearsal.evidence.runs_of_waiting_consumer = len(
            database.query(url, "SELECT 1 FROM dag_run WHERE dag_id = 'both'")
        )
        for name in wanted.SIGNALS:
            (rehearsal.effects_folder / "signals" / name).touch()
        for dag_id in wanted.STARTED_AFTER:
            api.trigger(dag_id, f"afterwards-{dag_id}")
        rehearsal.wait(lambda: wanted.missing_instances(url, after), 240, "the state after it went live")
        rehearsal.wait(lambda: _schedules_behind(rehearsal, url, soon_seconds), 240, "a new run of every schedule")
        rehearsal.wait(partial(_replay_behind, rehearsal, rehearsal.cut(), fail_dags), 240, "everything replayed")
    with rehearsal.progress.step("history"):
        rehearsal.wait(lambda: _history_behind(rehearsal, url), 600, "the history restored")
        rehearsal.evidence.end_dump = database.dump_of_now(url, rehearsal.folder / "target-at-end.sql")
        rehearsal.narrator.poll()


def _schedules_behind(rehearsal: Rehearsal, url: str, soon_seconds: float) -> str:
    begun = {e.key[0] for e in rehearsal.effects() if e.where == rehearsal.target.where and e.kind == "start"}
    soon = {dag for dag, how in SCHEDULES.items() if how.seconds <= soon_seconds}
    known = {row[0] for row in database.query(url, "SELECT dag_id FROM dag WHERE NOT is_paused")}
    return ", ".join(sorted((soon & known) - begun))


def _replay_behind(rehearsal: Rehearsal, cut: Cut, fail_dags: frozenset[str]) -> str:
    effects = rehearsal.effects()
    begun = {effect.key for effect in effects if effect.where == rehearsal.target.where and effect.kind == "start"}
    live = rehearsal.evidence.arrived.live
    computed = computed_replay(cut, effects, rehearsal.source.where, live, fail_dags)
    return ", ".join(" ".join(map(str, key)) for key in sorted(computed - begun)[:3])


def _history_behind(rehearsal: Rehearsal, url: str) -> str:
    done = set(read_ledger(url).get("done", []))
    tables = rehearsal.evidence.manifest["tables"]
    expected = {thing["name"] for table in tables for thing in table["objects"] if thing["phase"] == "state"}
    # A history in many parts, or of which a base has some, is one to the ledger.
    with_history = [t["name"] for t in tables if any(thing["phase"] == "history" for thing in t["objects"])]
    expected |= {f"{name}.history.copy.gz" for name in with_history}
    return ", ".join(sorted(expected - done)[:5])
