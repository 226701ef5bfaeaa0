"""What is done in the source: the workload reaches a defined state, which is dumped at the cut of a snapshot."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tests.rehearsal import database, planted, wanted
from tests.rehearsal.comparator import OWN_PREFIX
from tests.rehearsal.effects import SCHEDULES
from tests.rehearsal.evidence import Place
from tests.rehearsal.rehearsal import NAME, Rehearsal

DAG_PREFIX = "dags/"


def start_workload(rehearsal: Rehearsal) -> None:
    """Upload the DAGs, plant secrets, unpause, start what is started by hand."""
    source = rehearsal.source
    api, url = rehearsal.api(source), rehearsal.database_url(source)
    bucket = rehearsal.outputs[source.root]["dag_bucket"]["name"]
    s3 = rehearsal.local.client("s3", source.region)
    with rehearsal.progress.step("upload the DAGs"):
        names = upload_folder(s3, bucket, DAG_PREFIX, wanted.WORKLOAD)
        if rehearsal.users_dags:
            rehearsal.evidence.users_dags = upload_folder(s3, bucket, DAG_PREFIX, rehearsal.users_dags, taken=names)
        planted.plant(api, rehearsal.planted)
        planted.let_look(api, rehearsal.command(source), rehearsal.planted)
        rehearsal.wait(lambda: wanted.parsed(url, _awaited_dags(), rehearsal.major), 120, "DAGs parsed")
    with rehearsal.progress.step("unpause and start the DAGs"):
        for dag_id in _dag_ids(url):
            if dag_id not in wanted.STAYS_PAUSED:
                api.pause(dag_id, paused=False)
        for dag_id in wanted.STARTED_BY_HAND:
            api.trigger(dag_id, f"by-hand-{dag_id}", note=f"started by hand: {dag_id}\r\nsecond line")
    # A snapshot with bad input: nothing happens, except that people are told.
    rehearsal.start_machine("snapshot", source, json.dumps({"scheduled_at": 42}))


def run_workload(rehearsal: Rehearsal) -> None:
    """Wait for the defined state in which the cut is taken; meanwhile a second plan of each root."""
    api, url = rehearsal.api(rehearsal.source), rehearsal.database_url(rehearsal.source)
    with (
        rehearsal.progress.step("let the workload run; terraform plan"),
        rehearsal.planning("second-plan", *rehearsal.roots) as plans,
    ):
        rehearsal.wait(lambda: wanted.missing_instances(url, wanted.AT_CUT), 600, "the state for the cut")
        rehearsal.evidence.second_plans = {name: plan.result() for name, plan in plans.items()}
        api.pause("stopped", paused=True)
        for dag_id in wanted.STARTED_LAST:
            api.trigger(dag_id, f"by-hand-{dag_id}")
        rehearsal.wait(lambda: wanted.missing_instances(url, wanted.LAST), 240, "the state for the cut")


def dump_cut(rehearsal: Rehearsal, start: Callable[[], str], quiet: Callable[[], str] | None = None) -> str:
    """Start an execution that takes a snapshot, hold the engine, and dump the source at the snapshot's very cut.

    Where tasks are to end first, `quiet` answers what is missing until then: the engine is held from that moment on,
    before it begins, because tasks may need what holds it. Returns the execution's ARN.
    """
    evidence, source = rehearsal.evidence, rehearsal.source
    environment = rehearsal.environment(source)
    evidence.source_key = environment["fernet_key"]
    path = rehearsal.folder / "source-at-cut.sql"
    execution = ""

    def still_going() -> None:
        rehearsal.narrator.poll()
        rehearsal.fail_if_ended(execution)

    def unquiet() -> str:
        still_going()
        return quiet() if quiet else ""

    if quiet:
        execution = start()
        rehearsal.wait(unquiet, 300, "nothing executes")
    gate = database.Gate(environment["database_url"])
    try:
        execution = execution or start()
        evidence.exported = gate.dump_cut(path, 300, still_going)
        evidence.source_dump = path
    finally:
        gate.open()
    return execution


def await_snapshot(rehearsal: Rehearsal, place: Place) -> None:
    """Until the newest snapshot is complete and read back in the bucket of a place; its manifest is evidence."""
    rehearsal.wait(partial(_read_manifest, rehearsal, place), 120, f"the snapshot complete in the {place.root}")
    rehearsal.evidence.snapshot_complete = time.time()
    manifest = rehearsal.evidence.manifest
    rows = sum(table["rows"] for table in manifest["tables"])
    rehearsal.progress.say(f"  snapshot {manifest['snapshot_id']}: {rows} rows")


def upload_folder(s3: Any, bucket: str, prefix: str, folder: Path, taken: Iterable[str] = ()) -> list[str]:
    """Put every file of a DAG folder below a prefix; returns the relative names. Raises ValueError for a name taken."""
    names = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".git")
    )
    clash = sorted(set(names) & set(taken))
    if clash:
        raise ValueError(f"--dags: {', '.join(clash)} would replace a file of the rehearsal; accepted: other names")
    for name in names:
        s3.upload_file(str(folder / name), bucket, f"{prefix}{name}")
    return names


def manifests(rehearsal: Rehearsal, place: Place) -> list[str]:
    """Keys of the manifests in the bucket of a place, the oldest first."""
    return _manifests(_stored(rehearsal, place))


def _manifests(keys: list[str]) -> list[str]:
    return [key for key in keys if key.endswith("/manifest.json")]


def _stored(rehearsal: Rehearsal, place: Place) -> list[str]:
    s3 = rehearsal.local.client("s3", place.region)
    bucket = rehearsal.outputs[place.root]["snapshot_bucket"]["name"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"snapshots/{NAME}/")
    return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))


def _read_manifest(rehearsal: Rehearsal, place: Place) -> str:
    """The newest manifest of a bucket; answers what is missing."""
    there = _stored(rehearsal, place)
    keys = _manifests(there)
    if not keys:
        return "a manifest"
    s3 = rehearsal.local.client("s3", place.region)
    bucket = rehearsal.outputs[place.root]["snapshot_bucket"]["name"]
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=keys[-1])["Body"].read())
    snapshots, own = keys[-1].rsplit("/", 2)[:2]
    objects = [thing for table in manifest["tables"] for thing in table["objects"]]
    expected = {f"{snapshots}/{thing['snapshot_id'] or own}/{thing['name']}" for thing in objects}  # or of its base
    expected.add(f"{snapshots}/{own}/verification.json")
    rehearsal.evidence.manifest = manifest
    return ", ".join(sorted(expected - set(there))[:5])


def _awaited_dags() -> set[str]:
    named = {instance[0] for instance in (*wanted.AT_CUT, *wanted.LAST, *wanted.AFTER)}
    return {*SCHEDULES, *wanted.STARTED_BY_HAND, *wanted.STARTED_LAST, *wanted.STAYS_PAUSED, *named, "right"}


def _dag_ids(url: str) -> list[str]:
    rows = database.query(url, "SELECT dag_id FROM serialized_dag WHERE NOT starts_with(dag_id, %s)", (OWN_PREFIX,))
    return sorted({row[0] for row in rows})
