"""What is done in the primary Region: the workload starts, reaches a defined state, and a snapshot is taken of it."""

from __future__ import annotations

import json
import time
from functools import partial

from tests.rehearsal import database, scenario
from tests.rehearsal.effects import SCHEDULES
from tests.rehearsal.rehearsal import DAG_PREFIX, NAME, PRIMARY, SECONDARY, Rehearsal

#: How long the workload goes on between the snapshot and the outage, so that there is something to replay.
GOES_ON_SECONDS = 20


def start_workload(rehearsal: Rehearsal) -> None:
    """Upload the DAGs, plant secrets, unpause, start what is started by hand."""
    api, url = rehearsal.api(PRIMARY), rehearsal.database_url(PRIMARY)
    bucket = rehearsal.outputs["primary"]["dag_bucket"]["name"]
    s3 = rehearsal.local.client("s3", PRIMARY)
    with rehearsal.progress.step("upload the DAGs"):
        names = scenario.upload_folder(s3, bucket, DAG_PREFIX, scenario.WORKLOAD)
        if rehearsal.users_dags:
            rehearsal.evidence.users_dags = scenario.upload_folder(
                s3, bucket, DAG_PREFIX, rehearsal.users_dags, taken=names
            )
        scenario.plant(api, rehearsal.planted)
        scenario.let_look(api, rehearsal.command(PRIMARY), rehearsal.planted)
        rehearsal.wait(lambda: scenario.parsed(url, _awaited_dags(rehearsal), rehearsal.major), 120, "DAGs parsed")
    with rehearsal.progress.step("unpause and start the DAGs"):
        for dag_id in _dag_ids(rehearsal, url):
            if dag_id not in scenario.STAYS_PAUSED:
                api.pause(dag_id, paused=False)
        for dag_id in scenario.STARTED_BY_HAND:
            api.trigger(dag_id, f"by-hand-{dag_id}", note=f"started by hand: {dag_id}\r\nsecond line")
    _fail_on_purpose(rehearsal)


def run_workload(rehearsal: Rehearsal) -> None:
    """Wait for the defined state in which the cut is taken; meanwhile a second plan of each root."""
    api, url = rehearsal.api(PRIMARY), rehearsal.database_url(PRIMARY)
    with (
        rehearsal.progress.step("let the workload run; terraform plan"),
        rehearsal.planning("second-plan", *rehearsal.roots) as plans,
    ):
        replication = rehearsal.start_machine("replicate_existing", PRIMARY, "primary")
        rehearsal.wait(lambda: scenario.missing_instances(url, scenario.WANTED_AT_CUT), 600, "the state for the cut")
        rehearsal.evidence.second_plans = {name: plan.result() for name, plan in plans.items()}
        rehearsal.evidence.outputs["replicate_existing"] = rehearsal.wait_for_execution(replication, PRIMARY, 180)
        api.pause("stopped", paused=True)
        for dag_id in scenario.STARTED_LAST:
            api.trigger(dag_id, f"by-hand-{dag_id}")
        rehearsal.wait(lambda: scenario.missing_instances(url, scenario.WANTED_LAST), 90, "the state for the cut")


def take_snapshot(rehearsal: Rehearsal) -> None:
    """Start the snapshot machine and dump the database at its very cut."""
    url = rehearsal.database_url(PRIMARY)
    rehearsal.evidence.source_key = rehearsal.environment(PRIMARY)["fernet_key"]
    with rehearsal.progress.step("take a snapshot"):
        gate = database.Gate(url)
        try:
            execution = rehearsal.start_machine("snapshot", PRIMARY, "primary")
            path = rehearsal.folder / "source-at-cut.sql"
            rehearsal.evidence.exported = gate.dump_cut(path, 120, lambda: rehearsal.fail_if_ended(execution, PRIMARY))
            rehearsal.evidence.source_dump = path
        finally:
            gate.open()
        rows = rehearsal.wait_for_execution(execution, PRIMARY, 180)["verified"]["rows"]
        rehearsal.wait(partial(_read_manifest, rehearsal), 60, "the snapshot complete in the secondary")
        rehearsal.evidence.snapshot_complete = time.time()
        rehearsal.progress.say(f"  snapshot {rehearsal.evidence.manifest['snapshot_id']}: {rows} rows")
        for region in (PRIMARY, SECONDARY):
            rehearsal.evidence.outputs[f"retention {region}"] = rehearsal.fire("retention", region)
    with rehearsal.progress.step("let the workload go on"):
        rehearsal.sleep(GOES_ON_SECONDS)


def _fail_on_purpose(rehearsal: Rehearsal) -> None:
    """Start a snapshot with bad input: nothing happens, except that people are told."""
    arn = rehearsal.outputs["primary"]["state_machine_arns"]["snapshot"]
    client = rehearsal.local.client("stepfunctions", PRIMARY)
    started = client.start_execution(stateMachineArn=arn, input=json.dumps({"scheduled_at": 42}))
    rehearsal.evidence.failed_execution = started["executionArn"]


def _read_manifest(rehearsal: Rehearsal) -> str:
    """The newest manifest of the secondary; answers what is missing."""
    s3 = rehearsal.local.client("s3", SECONDARY)
    bucket = rehearsal.outputs["secondary"]["snapshot_bucket"]["name"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"snapshots/{NAME}/").get("Contents", [])
    keys = sorted(entry["Key"] for entry in listed if entry["Key"].endswith("/manifest.json"))
    if not keys:
        return "a manifest"
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=keys[-1])["Body"].read())
    folder = keys[-1].rsplit("/", 1)[0]
    there = {entry["Key"] for entry in listed}
    wanted = {f"{folder}/{thing['name']}" for table in manifest["tables"] for thing in table["objects"]}
    wanted.add(f"{folder}/verification.json")
    rehearsal.evidence.manifest = manifest
    return ", ".join(sorted(wanted - there)[:5])


def _awaited_dags(rehearsal: Rehearsal) -> set[str]:
    named = {wanted[0] for wanted in (*scenario.WANTED_AT_CUT, *scenario.WANTED_LAST, *scenario.WANTED_AFTER)}
    return {*SCHEDULES, *scenario.STARTED_BY_HAND, *scenario.STARTED_LAST, *scenario.STAYS_PAUSED, *named, "right"}


def _dag_ids(rehearsal: Rehearsal, url: str) -> list[str]:
    rows = database.query(url, "SELECT dag_id FROM dag WHERE NOT starts_with(dag_id, %s)", (scenario.OWN_PREFIX,))
    return sorted(row[0] for row in rows)
