"""From evidence to verdict: the comparison, the checks, the report."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.local_aws import grants
from tests.rehearsal import checks, database, leaks, scenario
from tests.rehearsal.comparator import COUNTED, COUNTED_BEFORE_2_10, Dump, Sides, compare
from tests.rehearsal.effects import Cut, Effect, InstanceKey, actual_replay, read_effects
from tests.rehearsal.rehearsal import PRIMARY, SECONDARY, Evidence, Rehearsal, RehearsalFailed
from tests.rehearsal.report import Check, Moments, Report

#: Grants that the rehearsal does not use, each with the reason why it stays.
UNUSED_GRANTS = Path(__file__).with_name("unused_grants.json")
LEAVES_NOTHING = "terraform destroy leaves nothing"


def compared(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """The comparison of every carried table."""
    evidence = rehearsal.evidence
    source, state, end = _dumps(evidence)
    if evidence.target_since is None:
        raise RehearsalFailed("the environment in the secondary was never seen")
    sides = Sides(
        source,
        state,
        end,
        evidence.source_key,
        evidence.target_key,
        evidence.target_since,
        in_flight=dict.fromkeys(scenario.FAIL_IN_FLIGHT, "fail"),
        counted=COUNTED_BEFORE_2_10 if rehearsal.airflow.startswith("2.9.") else COUNTED,
        local_variables=("local_*",),
        inserted_triggers=database.AUDITED_TRIGGERS,
        linked_triggers=database.AUDITED_LINKS,
    )
    return [asdict(result) for result in compare(sides)]


def checked(rehearsal: Rehearsal, tables: list[dict[str, Any]]) -> tuple[list[Check], list[Effect], Cut]:
    """Every check that needs the stand-in to be up; with the effects and the cut they were judged by."""
    evidence = rehearsal.evidence
    source, state, end = _dumps(evidence)
    if evidence.failover is None:
        raise RehearsalFailed("there was no failover")
    effects = read_effects(rehearsal.effects)
    cut = rehearsal.cut()
    facts = checks.Evidence(
        cut,
        effects,
        PRIMARY,
        SECONDARY,
        evidence.failover.live,
        scenario.FAIL_IN_FLIGHT,
        {(row["dag_id"] or "", row["run_id"] or ""): row["state"] or "" for row in scenario.users_rows(end, "dag_run")},
        _instances(end),
    )
    flags = {row["dag_id"] or "": row["is_paused"] == "t" for row in scenario.users_rows(source, "dag")}
    flags_at_end = {row["dag_id"] or "": row["is_paused"] == "t" for row in scenario.users_rows(end, "dag")}
    planted = rehearsal.planted
    expected = {
        "variable": planted.values["variable"],
        "nasty": planted.nasty,
        "password": planted.values["password"],
        "extra": planted.extra,
    }
    found = [
        _all_equal(tables),
        _before_live(state),
        checks.nothing_finished_ran_again(facts),
        checks.enough_dags(facts),
        checks.replayed_as_computed(facts),
        checks.next_runs_once(facts, {dag for dag, paused in flags.items() if not paused}),
        checks.deferred_woke(facts),
        checks.dataset_waits_then_fires(facts, evidence.runs_of_waiting_consumer),
        checks.retries_keep_count(facts),
        checks.in_flight_failed(facts),
        checks.same_flags(flags, flags_at_end),
        checks.manifest_agrees(evidence.manifest, evidence.exported, cut),
        checks.secrets_readable(facts, expected),
        _no_leak(rehearsal),
        _second_plans(evidence),
        _plan_without_primary(evidence),
        *_iam(rehearsal),
        _notices(rehearsal),
        _goes_on_watched(rehearsal),
        _nothing_superseded(rehearsal),
    ]
    return found, effects, cut


def nothing_left(evidence: Evidence) -> Check:
    """Both states are empty after destroy, and the account holds what it held before."""
    detail = checks.show(evidence.left_over) or "both states are empty, and the account is as it was before"
    return Check(LEAVES_NOTHING, not evidence.left_over, detail)


def reported(
    rehearsal: Rehearsal, tables: list[dict[str, Any]], found: list[Check], effects: list[Effect], cut: Cut
) -> Report:
    """The report of a rehearsal that ran to its end."""
    evidence, failover = rehearsal.evidence, rehearsal.evidence.failover
    if failover is None:
        raise RehearsalFailed("there was no failover")
    new_runs = [
        effect.at
        for effect in effects
        if effect.region == SECONDARY
        and effect.kind == "start"
        and effect.key[1].startswith("scheduled__")
        and effect.key[:2] not in cut.runs
    ]
    moments = Moments(
        cut=cut.at,
        snapshot_complete=evidence.snapshot_complete,
        outage=failover.outage,
        failover_started=failover.started,
        available=failover.available,
        state_restored=failover.state_restored,
        live=failover.live,
        first_new_run=min(new_runs, default=None),
    )
    replayed = sorted(" ".join(map(str, key)) for key in actual_replay(cut, effects, PRIMARY, SECONDARY))
    steps = [
        {"name": span.name, "seconds": round((span.ended or time.time()) - span.started, 1)}
        for span in rehearsal.progress.spans
    ]
    manifest = evidence.manifest
    return Report(
        started=rehearsal.progress.started,
        ended=time.time(),
        moments=moments,
        tables=tables,
        checks=found,
        versions=versions(rehearsal.airflow, manifest),
        steps=steps,
        events=rehearsal.narrator.events,
        replayed=replayed,
        snapshot={
            "snapshot": manifest["snapshot_id"],
            "cut at": manifest["cut_at"],
            "rows in the snapshot": sum(table["rows"] for table in manifest["tables"]),
            "bytes in the snapshot": sum(thing["bytes"] for table in manifest["tables"] for thing in table["objects"]),
            "DAGs of the user": len(evidence.users_dags) or "none",
        },
    )


def versions(airflow: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    """What ran."""
    import boto3
    import moto

    shown = subprocess.run(["terraform", "version"], text=True, capture_output=True, check=True).stdout
    return {
        "Airflow": airflow,
        "PostgreSQL": str(manifest["postgres_version"]),
        "Terraform": shown.split()[1].removeprefix("v"),
        "moto": moto.__version__,
        "boto3": boto3.__version__,
    }


def _dumps(evidence: Evidence) -> tuple[Dump, Dump, Dump]:
    if not (evidence.source_dump and evidence.state_dump and evidence.end_dump):
        raise RehearsalFailed("not every dump was taken")
    return Dump(evidence.source_dump), Dump(evidence.state_dump), Dump(evidence.end_dump)


def _instances(dump: Dump) -> dict[InstanceKey, tuple[str, int, int]]:
    return {
        (row["dag_id"] or "", row["run_id"] or "", row["task_id"] or "", int(row["map_index"] or "-1")): (
            row["state"] or "",
            int(row["try_number"] or 0),
            int(row["max_tries"] or 0),
        )
        for row in scenario.users_rows(dump, "task_instance")
    }


def _all_equal(tables: list[dict[str, Any]]) -> Check:
    wrong = [table["name"] for table in tables if table["mismatched"] or table["rows_source"] != table["rows_restored"]]
    rows = sum(table["rows_source"] for table in tables)
    detail = f"differences in {', '.join(wrong)}" if wrong else f"{rows} rows of {len(tables)} tables"
    return Check("every carried row is restored, value by value", not wrong, detail)


def _before_live(state: Dump) -> Check:
    """The first dump of the target is worth something only if it shows the time before it went live."""
    unpaused = [row["dag_id"] for row in scenario.users_rows(state, "dag") if row["is_paused"] != "t"]
    detail = f"unpaused then: {checks.show(unpaused)}" if unpaused else "everything was paused in it"
    return Check("the state was dumped before it went live", not unpaused, detail)


def _no_leak(rehearsal: Rehearsal) -> Check:
    """Databases' own files are left out: they hold what Airflow encrypts by itself."""
    needles = leaks.needles_of(rehearsal.planted.values)
    databases = [rehearsal.folder / "stand-in" / "postgres"]
    found = list(leaks.in_files([rehearsal.folder], needles, databases))
    # The primary is gone; what it held of snapshots and DAGs is replicated.
    buckets = [rehearsal.outputs["secondary"][name]["name"] for name in ("dag_bucket", "snapshot_bucket")]
    found += leaks.in_buckets(rehearsal.local.client("s3", SECONDARY), buckets, needles)
    told = repr((rehearsal.local.get("events"), rehearsal.local.get("sns"), rehearsal.evidence.manifest))
    found += [f"events or notices: {name}" for name in leaks.in_bytes(told.encode(), needles)]
    detail = checks.show(found) or "logs, states, plans, snapshots, dumps, events, notices: none"
    return Check("no planted secret is readable in anything the run wrote", not found, detail)


def _second_plans(evidence: Evidence) -> Check:
    changed = [name for name, plan in evidence.second_plans.items() if plan]
    passed = not changed and len(evidence.second_plans) == 2
    detail = f"changes in the {', '.join(changed)}" if changed else "of both roots"
    return Check("a second plan is empty", passed, detail)


def _plan_without_primary(evidence: Evidence) -> Check:
    passed = evidence.plan_without_primary == ""
    return Check(
        "the secondary plans with the primary Region dead", passed, evidence.plan_without_primary[-300:] or "no changes"
    )


def _iam(rehearsal: Rehearsal) -> list[Check]:
    every = grants.all_grants(rehearsal.local.client("iam", PRIMARY))
    result = grants.compare(every, rehearsal.local.get("authz"), grants.read_allow_list(UNUSED_GRANTS))
    denied = {f"{entry['role'].rsplit('/', 1)[-1]} {entry['action']} {entry['resource']}" for entry in result.denied}
    shown = {
        "unused": [asdict(grant) for grant in result.unused],
        "explained": [asdict(grant) for grant in result.explained],
        "stale": [asdict(entry) for entry in result.stale],
        "denied": result.denied,
    }
    (rehearsal.folder / "grants.json").write_text(json.dumps(shown, indent=1))
    unused = {f"{grant.role.rsplit('/', 1)[-1]} {grant.action} {grant.resource}" for grant in result.unused}
    return [
        Check("no call of a role was denied", not denied, checks.show(denied) or "none"),
        Check(
            "no grant is unused without a reason",
            not unused,
            checks.show(unused) or f"{len(every)} grants, {len(result.explained)} explained",
        ),
    ]


def _goes_on_watched(rehearsal: Rehearsal) -> Check:
    """Once live, the secondary is let alone by the heartbeat check and takes snapshots of its own."""
    outputs, failover = rehearsal.evidence.outputs, rehearsal.outputs["secondary"]["state_machine_arns"]["failover"]
    started = {
        event["executionArn"]
        for event in rehearsal.narrator.events
        if event["kind"] == "execution" and event["machine"] == failover.rsplit(":", 1)[-1]
    }
    active = outputs["heartbeat_check"]["lease"]["live"] and "health" not in outputs["heartbeat_check"]
    snapshot = outputs["snapshot"].get("verified", {})
    newer = snapshot.get("snapshot_id", "") > rehearsal.evidence.manifest["snapshot_id"]
    detail = f"{len(started)} failover; snapshot {snapshot.get('snapshot_id', 'none')}: {snapshot.get('rows', 0)} rows"
    return Check("the active secondary is watched and keeps snapshots", len(started) == 1 and active and newer, detail)


def _nothing_superseded(rehearsal: Rehearsal) -> Check:
    """Retention of either Region finds the snapshot good in both, and nothing old enough to go."""
    tagged = {region: rehearsal.evidence.outputs[f"retention {region}"]["tagged"] for region in (PRIMARY, SECONDARY)}
    looked = all(found["outcome"] == "done" and found["kept"] and not found["superseded"] for found in tagged.values())
    detail = "; ".join(f"{region}: {found['outcome']}, {found['kept']} kept" for region, found in tagged.items())
    return Check("each Region's retention sees that the other has the snapshot", looked, detail)


def _notices(rehearsal: Rehearsal) -> Check:
    topics = {name: outputs["topic_arn"] for name, outputs in rehearsal.outputs.items()}
    wanted = [
        ("failure of a snapshot", topics["primary"], f"snapshot of the MWAA environment|FAILED|{PRIMARY}|scheduled_at"),
        ("success of the failover", topics["secondary"], f"failover of the MWAA environment|is complete|{SECONDARY}"),
    ]
    return checks.notices_arrived(rehearsal.local.get("sns"), wanted)
