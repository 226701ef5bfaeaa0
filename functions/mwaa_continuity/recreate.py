"""recreate: keep the primary's spec, make the environment of this Region match one, and remove it."""

from __future__ import annotations

import json
from typing import Any

from mwaa_continuity import app, aws, events, materialise, removal, revealed, snapshots, spec, standby, visibility
from mwaa_continuity.app import Result
from mwaa_continuity.environments import DRILL_TAG, adoptable_environment, find_environment
from mwaa_continuity.errors import EnvironmentNotUsable, NoSpec, SnapshotsExist, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.stored_spec import document_here, find_spec, read_object


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "store_spec": store_spec,
        "hide": hide,
        "ensure": ensure,
        "status": status,
        "reveal": reveal,
        "remove": removal.remove,
        "discard": removal.discard,
        "publish_url": publish_url,
    }
    return app.run("recreate", actions, event, context)


def store_spec(_event: Event, log: Log) -> Result:
    """Keep the live spec of the primary, where it is available and the spec changed."""
    settings = Settings.read()
    primary = variable("PRIMARY_REGION")
    bucket = variable("SNAPSHOT_BUCKET")
    key = f"spec/{settings.environment}/observed.{primary}.json"
    environment = aws.client("mwaa", primary, aws.QUICK).get_environment(Name=settings.environment)["Environment"]
    if environment["Status"] != "AVAILABLE":
        return {"outcome": "not_available"}
    body = json.dumps(spec.from_environment(environment), indent=2, sort_keys=True).encode()
    s3 = aws.client("s3")
    stored = read_object(s3, bucket, key)
    if stored is not None and stored.body == body:
        return {"outcome": "unchanged"}
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    log.info("spec stored", bucket=bucket, key=key)
    return {"outcome": "stored"}


def hide(event: Event, log: Log) -> Result:
    """Hide user DAGs until their state is restored.

    `since` is when the lease was taken (epoch seconds). What an earlier attempt under that lease revealed stays so:
    hiding its DAGs again would stop what already runs.
    """
    settings = Settings.read()
    bucket, key = variable("DAG_BUCKET"), visibility.ignore_key(variable("DAG_S3_PATH"))
    snapshot_id = events.optional_snapshot_id(event)
    since = events.optional_number(event, "since", 0, low=0, high=2**40)
    s3 = aws.client("s3")
    if since and revealed.under(s3, settings, since):
        return {"outcome": "revealed_before"}
    try:
        stored = find_spec(s3, settings, snapshot_id)
    except NoSpec:
        return {"outcome": "no_spec"}
    options = stored.document.get("AirflowConfigurationOptions") or {}
    content = visibility.ignore_file(str(stored.document.get("AirflowVersion") or ""), options)
    outcome = visibility.hide(s3, bucket, key, content)
    log.info("hide", outcome=outcome, bucket=bucket, key=key)
    return {"outcome": outcome}


def reveal(event: Event, log: Log) -> Result:
    """Let Airflow see user DAGs again. `since`: as for `hide`, which remembers it by this."""
    settings = Settings.read()
    bucket, key = variable("DAG_BUCKET"), visibility.ignore_key(variable("DAG_S3_PATH"))
    since = events.optional_number(event, "since", 0, low=0, high=2**40)
    s3 = aws.client("s3")
    if since:
        revealed.remember(s3, settings, since)
    removed = visibility.reveal(s3, bucket, key)
    log.info("reveal", removed=removed, bucket=bucket, key=key)
    return {"removed": removed}


def ensure(event: Event, log: Log) -> Result:
    """Create the environment from the stored spec and this Region's binding, or adopt the one that is there.

    With `update`, for a standby: change it to the spec as well (`standby.keep`). With `first`: create it empty, where
    there is no snapshot of it. Raises `EnvironmentNotUsable` where one stands in the way, `BadSpec` or `SnapshotsExist`
    before anything is called.
    """
    settings = Settings.read()
    snapshot_id = events.optional_snapshot_id(event)
    drill = events.optional_text(event, "drill", "the name of a drill's execution, or null")
    polls = {"polls": removal.polls(event)}
    if events.flag(event, "update"):
        return standby.keep(settings, event, log) | polls
    s3, bucket = aws.client("s3"), variable("DAG_BUCKET")
    stored = find_spec(s3, settings, snapshot_id)
    outcome = "exists"
    if adoptable_environment(settings) is None:
        outcome = "creating"
        if events.flag(event, "first"):
            refuse_beside_snapshots(s3, settings)
        document = document_here(s3, settings, stored)
        materialise.use_local_objects(s3, bucket, document)
        if drill:
            document["Tags"] = {**document.get("Tags", {}), DRILL_TAG: drill}
        materialise.create(document)
    log.info("ensure", outcome=outcome, source=stored.key)
    return {"outcome": outcome, "spec_source": stored.key, "published_version": stored.published_version} | polls


def refuse_beside_snapshots(s3: Any, settings: Settings) -> None:
    """Raises `SnapshotsExist` where anything lies among the snapshots, complete or not: it may be all that is left."""
    bucket, prefix = variable("SNAPSHOT_BUCKET"), snapshots.prefix(settings.environment)
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
    if found:
        raise SnapshotsExist(
            f"environment {settings.environment} is not created empty: bucket {bucket} holds {found[0]['Key']}. Start "
            'resume with {"snapshot_id": "..."}, or move what is below ' + prefix + " elsewhere"
        )


def status(_event: Event, log: Log) -> Result:
    """The status of this Region's environment, and nothing else of it: its configuration may hold secrets.

    Raises `Transient` where there is none: MWAA shows a new environment a moment after its creation.
    """
    settings = Settings.read()
    environment = find_environment(settings.environment)
    if environment is None:
        raise Transient(f"environment {settings.environment} does not exist in {settings.region}")
    log.info("status", status=environment["Status"])
    return {"status": environment["Status"]}


def publish_url(_event: Event, log: Log) -> Result:
    """Write the address of the web server to its SSM parameter: an environment that was away has another one."""
    settings = Settings.read()
    parameter = variable("URL_PARAMETER")
    environment = find_environment(settings.environment)
    if environment is None or not environment.get("WebserverUrl"):
        raise EnvironmentNotUsable(f"environment {settings.environment} in {settings.region} has no web server")
    url = str(environment["WebserverUrl"])
    aws.client("ssm").put_parameter(Name=parameter, Value=url, Type="String", Overwrite=True)
    log.info("published", key=parameter)
    return {"parameter": parameter, "url": url}
