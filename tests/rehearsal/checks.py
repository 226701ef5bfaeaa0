"""What must hold beside equal rows, judged from what was counted outside Airflow and from dumps. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.rehearsal.effects import (
    SCHEDULES,
    Cut,
    Effect,
    InstanceKey,
    actual_replay,
    computed_replay,
    logical_date,
    started_twice,
    undecided_replay,
)
from tests.rehearsal.report import Check

SHOWN = 5
#: Of the metrics that the functions publish.
NAMESPACE = "MwaaContinuity"


@dataclass(frozen=True)
class Facts:
    """Everything the checks look at."""

    cut: Cut
    effects: Sequence[Effect]
    #: What effects call the two places.
    source: str
    target: str
    live_at: float
    fail_dags: Collection[str]
    #: Runs of the target when it was looked at last: (dag_id, run_id) -> state.
    target_runs: Mapping[tuple[str, str], str]
    #: Task instances of the target then: key -> (state, try_number, max_tries).
    target_instances: Mapping[InstanceKey, tuple[str, int, int]]

    def of(self, where: str, *kinds: str) -> list[Effect]:
        """Effects of one place."""
        return [effect for effect in self.effects if effect.where == where and effect.kind in kinds]


def show(items: Iterable[Any]) -> str:
    """The first few of them."""
    listed = sorted(items)
    text = ", ".join(" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in listed[:SHOWN])
    return text + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def nothing_finished_ran_again(facts: Facts) -> Check:
    """No task instance and no run that had finished before the cut began again."""
    begun = {effect.key for effect in facts.of(facts.target, "start", "resumed", "poked", "end", "failed")}
    finished_runs = {run for run, state in facts.cut.runs.items() if state in ("success", "failed")}
    again = {key for key in begun if key in facts.cut.finished() or key[:2] in finished_runs}
    dags = {key[0] for key in facts.cut.finished()} | {run[0] for run in finished_runs}
    detail = show(again) or f"{len(finished_runs)} finished runs of {len(dags)} DAGs, none began again"
    return Check("no run that finished before the cut ran again", not again, detail)


def enough_dags(facts: Facts, at_least: int = 20) -> Check:
    """The side effects were counted over enough DAGs."""
    dags = {effect.key[0] for effect in facts.effects}
    return Check("side effects were counted over at least 20 DAGs", len(dags) >= at_least, f"{len(dags)} DAGs")


def replayed_as_computed(facts: Facts) -> Check:
    """What ran in both places is exactly what can be computed from the cut and from what ran after it."""
    computed = computed_replay(facts.cut, facts.effects, facts.source, facts.live_at, facts.fail_dags)
    undecided = undecided_replay(facts.cut, facts.effects, facts.live_at)
    actual = actual_replay(facts.cut, facts.effects, facts.source, facts.target) - undecided
    wrong = [f"not computed: {show(actual - computed)}"] if actual - computed else []
    wrong += [f"not replayed: {show(computed - actual)}"] if computed - actual else []
    detail = "; ".join(wrong) or f"{len(actual)} task instances ran in both, as computed"
    return Check("the replayed set is exactly the computed one", not wrong, detail)


def next_runs_once(facts: Facts, unpaused: Collection[str], soon_seconds: float) -> Check:
    """Each schedule with an interval of at most `soon_seconds` made its next run, and nothing began twice."""
    starts = facts.of(facts.target, "start")
    began = {effect.key[0] for effect in starts if effect.key[:2] not in facts.cut.runs}
    scheduled = {dag for dag, how in SCHEDULES.items() if how.seconds <= soon_seconds and dag in unpaused}
    twice = started_twice(facts.effects, facts.target)
    missing = scheduled - began
    doubled = _same_interval_twice(facts)
    wrong = [f"no next run: {show(missing)}"] if missing else []
    wrong += [f"began twice: {show(key for key, _ in twice)}"] if twice else []
    wrong += [f"two runs of one interval: {show(doubled)}"] if doubled else []
    detail = "; ".join(wrong) or f"{len(scheduled)} schedules were due and went on, no attempt began twice"
    return Check("the next scheduled run of each schedule happens once", not wrong, detail)


def _same_interval_twice(facts: Facts) -> set[tuple[str, str]]:
    seen: set[tuple[str, float]] = set()
    doubled: set[tuple[str, str]] = set()
    for dag_id, run_id in facts.target_runs:
        if run_id.startswith("scheduled__"):
            interval = (dag_id, logical_date(run_id))
            if interval in seen:
                doubled.add((dag_id, run_id))
            seen.add(interval)
    return doubled


def deferred_woke(facts: Facts) -> Check:
    """What was deferred at the cut resumed once, without starting anew."""
    deferred = {key for key, state in facts.cut.instances.items() if state == "deferred"}
    resumed = [effect.key for effect in facts.of(facts.target, "resumed") if effect.key in deferred]
    begun = {effect.key for effect in facts.of(facts.target, "start")} & deferred
    wrong = [f"did not resume: {show(deferred - set(resumed))}"] if deferred - set(resumed) else []
    wrong += [f"resumed twice: {show(resumed)}"] if len(resumed) > len(set(resumed)) else []
    wrong += [f"began anew: {show(begun)}"] if begun else []
    passed = not wrong and bool(deferred)
    detail = "; ".join(wrong) or f"{len(deferred)} were deferred: {show(key[0] for key in deferred)}"
    return Check("deferred tasks wake up once, with what they waited for", passed, detail)


def retries_keep_count(facts: Facts) -> Check:
    """What waited for its second try had its second try, of as many as before."""
    waiting = [key for key, state in facts.cut.instances.items() if state == "up_for_retry"]
    tries = {effect.key: effect.try_number for effect in facts.of(facts.target, "start")}
    wrong = [
        f"{show([key])}: try {tries.get(key)}, {facts.target_instances.get(key)}"
        for key in waiting
        if tries.get(key) != 2 or facts.target_instances.get(key, ("", 0, 0))[1:] != (2, 3)
    ]
    detail = "; ".join(wrong) or f"{show(waiting)}: try 2 of 4"
    return Check("retries keep their count", not wrong and bool(waiting), detail)


def in_flight_failed(facts: Facts) -> Check:
    """What was in flight under the policy `fail` is failed and did not run again."""
    failing = {key for key in facts.cut.in_flight() if key[0] in facts.fail_dags}
    begun = {effect.key for effect in facts.of(facts.target, "start")} & failing
    states = {key: facts.target_instances.get(key, ("missing", 0, 0))[0] for key in failing}
    passed = bool(failing) and not begun and set(states.values()) == {"failed"}
    detail = show(f"{show([key])}: {state}" for key, state in states.items())
    return Check("in-flight work under the policy `fail` is failed, not run again", passed, detail)


def detected_in_time(outage: float, started: float, configured: float, period: float = 60) -> Check:
    """The loss of a Region was noticed within one period of the configured time, all in seconds.

    Counted by the clock's minutes, as the beats are: in which second of a minute the Region is lost is chance.
    """
    periods = started // period - outage // period
    passed = abs(periods - configured / period) <= 1
    detail = (
        f"configured {configured:.0f} s, measured {started - outage:.0f} s: {periods:.0f} periods of {period:.0f} s"
    )
    return Check("detection took as long as configured, within one period", passed, detail)


def dataset_waits_then_fires(facts: Facts, runs_while_waiting: int) -> Check:
    """The consumer of two datasets waited for the second one, and then ran once."""
    ran = len(facts.of(facts.target, "start")) and [
        effect for effect in facts.of(facts.target, "start") if effect.key[0] == "both"
    ]
    count = len(ran) if ran else 0
    before = [effect for effect in facts.of(facts.source, "start") if effect.key[0] == "both"]
    passed = runs_while_waiting == 0 and count == 1 and not before
    detail = f"{len(before)} runs in the source, {runs_while_waiting} while it waited, {count} after the second"
    return Check("a dataset consumer that waits stays waiting, then fires once", passed, detail)


def secrets_readable(facts: Facts, expected: Mapping[str, str]) -> Check:
    """A DAG in the target reads every planted secret, value by value."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in expected.items()}
    read = [effect.detail["digests"] for effect in facts.of(facts.target, "read")]
    wrong = sorted(name for name, digest in digests.items() if not read or read[-1].get(name) != digest)
    detail = f"wrong: {', '.join(wrong)}" if wrong else f"{len(digests)} secrets, read by a DAG"
    return Check("secrets are readable in the target", not wrong, detail)


def same_flags(source: Mapping[str, bool], target: Mapping[str, bool]) -> Check:
    """Every DAG is paused or not as it was."""
    wrong = sorted(dag for dag, paused in source.items() if target.get(dag) is not paused)
    paused = sum(source.values())
    detail = f"other: {show(wrong)}" if wrong else f"{paused} paused, {len(source) - paused} not"
    return Check("paused flags are equal", not wrong, detail)


def manifest_agrees(manifest: Mapping[str, Any], exported: str, cut: Cut, flags: Mapping[str, bool]) -> Check:
    """The manifest names the very cut that was compared, what was in flight then, and which DAGs were paused."""
    listed = {(dag, run, task, int(index)) for dag, run, task, index, _ in manifest["in_flight"]}
    wrong = []
    if manifest["exported_snapshot"] != exported:
        wrong.append(f"exported_snapshot is {manifest['exported_snapshot']}, compared was {exported}")
    if listed != cut.in_flight():
        wrong.append(f"in_flight differs: {show(listed ^ cut.in_flight())}")
    if others := {dag for dag, paused in flags.items() if manifest["paused"].get(dag) is not paused}:
        wrong.append(f"paused differs: {show(others)}")
    detail = "; ".join(wrong) or f"cut {exported}, {len(listed)} in flight"
    return Check("the manifest names the cut that was compared", not wrong, detail)


def notices_arrived(notices: Iterable[Mapping[str, Any]], wanted: Sequence[tuple[str, str, str]]) -> Check:
    """A notice was published for each (what, topic, words that it holds)."""
    received = list(notices)
    missing = [
        what
        for what, topic, words in wanted
        if not any(
            n["topic"] == topic and all(word in f"{n['subject']} {n['message']}" for word in words.split("|"))
            for n in received
        )
    ]
    detail = f"missing: {show(missing)}" if missing else show(what for what, _, _ in wanted)
    return Check("notices of success and failure arrived", not missing, detail)
