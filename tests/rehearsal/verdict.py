"""From evidence to verdict: the comparison, the checks that every scenario has, the report."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.local_aws import grants
from tests.rehearsal import checks, dashboard, database, history, leaks
from tests.rehearsal.comparator import COUNTED, COUNTED_BEFORE_2_10, Dump, Sides, compare, users_rows
from tests.rehearsal.effects import InstanceKey, actual_replay
from tests.rehearsal.evidence import Evidence, RehearsalFailed
from tests.rehearsal.rehearsal import NAME, Rehearsal
from tests.rehearsal.report import Check, Report
from tests.rehearsal.scenario import Scenario

#: Grants that no rehearsal uses, each with the reason why it stays; beside each scenario those that it does not use.
UNUSED_GRANTS = Path(__file__).with_name("unused_grants.json")
LEAVES_NOTHING = "terraform destroy leaves nothing"


def compared(scenario: Scenario) -> list[dict[str, Any]]:
    """The comparison of every carried table."""
    rehearsal, evidence = scenario.rehearsal, scenario.rehearsal.evidence
    source, state, end = map(rehearsal.dump, evidence.dumps)
    if evidence.target_since is None:
        raise RehearsalFailed("the environment of the target was never seen")
    sides = Sides(
        source,
        state,
        end,
        evidence.source_key,
        evidence.target_key,
        evidence.target_since,
        in_flight=dict.fromkeys(scenario.fail_dags, "fail"),
        paused=evidence.paused,
        counted=COUNTED_BEFORE_2_10 if rehearsal.airflow.startswith("2.9.") else COUNTED,
        local_variables=scenario.local_variables,
        inserted_triggers=database.AUDITED_TRIGGERS,
        linked_triggers=database.AUDITED_LINKS,
        was_cut_off=evidence.effects_since > 0,
    )
    results = compare(sides)
    if evidence.source_url:
        results += history.compare(evidence.source_url, rehearsal.database_url(rehearsal.target))
    return [asdict(result) for result in results]


def facts_of(scenario: Scenario) -> checks.Facts:
    """What the checks look at."""
    rehearsal, evidence = scenario.rehearsal, scenario.rehearsal.evidence
    end = rehearsal.dump(evidence.dumps[2])
    return checks.Facts(
        rehearsal.cut(),
        rehearsal.effects(),
        rehearsal.source.where,
        rehearsal.target.where,
        evidence.arrived.live,
        scenario.fail_dags,
        {(row["dag_id"] or "", row["run_id"] or ""): row["state"] or "" for row in users_rows(end, "dag_run")},
        _instances(end),
    )


def checked(scenario: Scenario, facts: checks.Facts, tables: list[dict[str, Any]]) -> list[Check]:
    """Every check that needs the stand-in to be up."""
    rehearsal, evidence = scenario.rehearsal, scenario.rehearsal.evidence
    source, state, end = map(rehearsal.dump, evidence.dumps)
    flags = evidence.paused or _flags(source)
    planted = rehearsal.planted
    expected = {
        "variable": planted.values["variable"],
        "nasty": planted.nasty,
        "password": planted.values["password"],
        "extra": planted.extra,
    }
    return [
        _all_equal(tables),
        _before_live(state),
        checks.nothing_finished_ran_again(facts),
        checks.enough_dags(facts),
        checks.replayed_as_computed(facts),
        checks.next_runs_once(facts, {dag for dag, paused in flags.items() if not paused}, scenario.soon_seconds),
        checks.deferred_woke(facts),
        checks.dataset_waits_then_fires(facts, evidence.runs_of_waiting_consumer),
        checks.retries_keep_count(facts),
        checks.same_flags(flags, _flags(end)),
        checks.manifest_agrees(evidence.manifest, evidence.exported, facts.cut, flags),
        checks.secrets_readable(facts, expected),
        _no_leak(rehearsal),
        _second_plans(rehearsal),
        _dashboard(scenario),
        *_iam(scenario),
        *scenario.checks(facts),
    ]


def nothing_left(evidence: Evidence) -> Check:
    """Both states are empty after destroy, and the account holds what it held before."""
    detail = checks.show(evidence.left_over) or "both states are empty, and the account is as it was before"
    return Check(LEAVES_NOTHING, not evidence.left_over, detail)


def reported(scenario: Scenario, facts: checks.Facts, tables: list[dict[str, Any]], found: list[Check]) -> Report:
    """The report of a rehearsal that ran to its end."""
    rehearsal, manifest = scenario.rehearsal, scenario.rehearsal.evidence.manifest
    new_runs = [
        effect.at
        for effect in facts.of(facts.target, "start")
        if effect.key[1].startswith("scheduled__") and effect.key[:2] not in facts.cut.runs
    ]
    replay = actual_replay(facts.cut, facts.effects, facts.source, facts.target)
    return Report(
        scenario=scenario.name,
        started=rehearsal.progress.started,
        ended=time.time(),
        story=scenario.story(min(new_runs, default=None)),
        tables=tables,
        checks=found,
        versions=versions(rehearsal.airflow, manifest),
        steps=[
            {"name": span.name, "seconds": round((span.ended or time.time()) - span.started, 1)}
            for span in rehearsal.progress.spans
        ],
        events=rehearsal.narrator.events,
        dashboard=[asdict(shown) for shown in rehearsal.evidence.dashboard],
        replayed=sorted(" ".join(map(str, key)) for key in replay),
        snapshot={
            "snapshot": manifest["snapshot_id"],
            "cut at": manifest["cut_at"],
            "rows in the snapshot": sum(table["rows"] for table in manifest["tables"]),
            "bytes in the snapshot": sum(thing["bytes"] for table in manifest["tables"] for thing in table["objects"]),
            "task instances of a long history": rehearsal.history or "none",
            "DAGs of the user": len(rehearsal.evidence.users_dags) or "none",
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


def _flags(dump: Dump) -> dict[str, bool]:
    return {row["dag_id"] or "": row["is_paused"] == "t" for row in users_rows(dump, "dag")}


def _instances(dump: Dump) -> dict[InstanceKey, tuple[str, int, int]]:
    return {
        (row["dag_id"] or "", row["run_id"] or "", row["task_id"] or "", int(row["map_index"] or "-1")): (
            row["state"] or "",
            int(row["try_number"] or 0),
            int(row["max_tries"] or 0),
        )
        for row in users_rows(dump, "task_instance")
    }


def _all_equal(tables: list[dict[str, Any]]) -> Check:
    wrong = [table["name"] for table in tables if table["mismatched"] or table["rows_source"] != table["rows_restored"]]
    rows = sum(table["rows_source"] for table in tables)
    detail = f"differences in {', '.join(wrong)}" if wrong else f"{rows} rows of {len(tables)} tables"
    return Check("every carried row is restored, value by value", not wrong, detail)


def _before_live(state: Dump) -> Check:
    """The first dump of the target is worth something only if it shows the time before it went live."""
    unpaused = [row["dag_id"] for row in users_rows(state, "dag") if row["is_paused"] != "t"]
    detail = f"unpaused then: {checks.show(unpaused)}" if unpaused else "everything was paused in it"
    return Check("the state was dumped before it went live", not unpaused, detail)


def _no_leak(rehearsal: Rehearsal) -> Check:
    """Databases' own files are left out: they hold what Airflow encrypts by itself."""
    needles = leaks.needles_of(rehearsal.planted.values)
    databases = [rehearsal.folder / "stand-in" / "postgres"]
    found = list(leaks.in_files([rehearsal.folder], needles, databases))
    # A source that is gone does not answer; what it held of snapshots and DAGs is in the target's buckets.
    target = rehearsal.target
    buckets = [rehearsal.outputs[target.root][name]["name"] for name in ("dag_bucket", "snapshot_bucket")]
    found += leaks.in_buckets(rehearsal.local.client("s3", target.region), buckets, needles)
    machines = rehearsal.outputs[target.root]["state_machine_arns"]
    histories = leaks.in_histories(rehearsal.local.client("stepfunctions", target.region), machines.values(), needles)
    found += histories
    told = repr((rehearsal.local.get("events"), rehearsal.local.get("sns"), rehearsal.evidence.manifest))
    found += [f"events or notices: {name}" for name in leaks.in_bytes(told.encode(), needles)]
    looked = "logs, states, plans, snapshots, dumps, executions, events, notices: none"
    return Check("no planted secret is readable in anything the run wrote", not found, checks.show(found) or looked)


def _second_plans(rehearsal: Rehearsal) -> Check:
    plans = rehearsal.evidence.second_plans
    changed = [name for name, plan in plans.items() if plan]
    passed = not changed and plans.keys() == rehearsal.roots.keys()
    detail = f"changes in the {', '.join(changed)}" if changed else f"of {', '.join(plans)}"
    return Check("a second plan is empty", passed, detail)


def _dashboard(scenario: Scenario) -> Check:
    rehearsal, region = scenario.rehearsal, scenario.rehearsal.target.region
    cloudwatch = rehearsal.local.client("cloudwatch", region)
    rehearsal.evidence.dashboard = dashboard.read(cloudwatch, f"{NAME}-{region}")
    return dashboard.is_published(rehearsal.evidence.dashboard, scenario.unpublished)


def _iam(scenario: Scenario) -> list[Check]:
    rehearsal = scenario.rehearsal
    every = grants.all_grants(rehearsal.local.client("iam", rehearsal.target.region))
    allowed = [entry for path in (UNUSED_GRANTS, *scenario.unused_grants()) for entry in grants.read_allow_list(path)]
    result = grants.compare(every, rehearsal.local.get("authz"), allowed)
    denied = {f"{entry['role'].rsplit('/', 1)[-1]} {entry['action']} {entry['resource']}" for entry in result.denied}
    shown = {
        "unused": [asdict(grant) for grant in result.unused],
        "explained": [asdict(grant) for grant in result.explained],
        "stale": [asdict(entry) for entry in result.stale],
        "denied": result.denied,
    }
    (rehearsal.folder / "grants.json").write_text(json.dumps(shown, indent=1))
    unused = {f"{grant.role.rsplit('/', 1)[-1]} {grant.action} {grant.resource}" for grant in result.unused}
    wide = {f"{grant.role.rsplit('/', 1)[-1]} {grant.action}" for grant in grants.wide(every)}
    return [
        Check("no role is granted actions by a wildcard", not wide, checks.show(wide) or f"{len(every)} grants"),
        Check("no call of a role was denied", not denied, checks.show(denied) or "none"),
        Check(
            "no grant is unused without a reason",
            not unused,
            checks.show(unused) or f"{len(every)} grants, {len(result.explained)} explained",
        ),
    ]
