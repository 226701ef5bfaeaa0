"""recreate: keep the primary's spec, make the environment of this Region match one, and remove it."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import app, aws, events, removal, spec, visibility
from mwaa_continuity.app import Result
from mwaa_continuity.environments import existing_environment, find_environment
from mwaa_continuity.errors import AwsRefused, BadSpec, EnvironmentNotUsable, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.spec import Document
from mwaa_continuity.stored_spec import document_here, find_spec, read_object

#: An environment in one of these cannot be adopted; what to do about it.
IN_THE_WAY: Final = {
    "CREATE_FAILED": "its creation failed: delete it, and what was begun can go on",
    "UNAVAILABLE": "MWAA calls it unavailable: delete it, and what was begun can go on",
    "DELETING": "it is being deleted: what was begun can go on when it is gone",
}


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    actions: dict[str, app.Action] = {
        "store_spec": store_spec,
        "hide": hide,
        "ensure": ensure,
        "status": status,
        "reveal": reveal,
        "remove": removal.remove,
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

    `since` is when the lease was taken (epoch seconds). An environment created after that without a managed file was
    revealed by an earlier attempt: hiding its DAGs again would stop what already runs.
    """
    settings = Settings.read()
    bucket, key = variable("DAG_BUCKET"), visibility.ignore_key(variable("DAG_S3_PATH"))
    snapshot_id = events.optional_snapshot_id(event)
    since = events.optional_number(event, "since", 0, low=0, high=2**40)
    s3 = aws.client("s3")
    if since and was_revealed(s3, bucket, key, settings.environment, since):
        return {"outcome": "revealed_before"}
    stored = find_spec(s3, settings, snapshot_id)
    options = stored.document.get("AirflowConfigurationOptions") or {}
    content = visibility.ignore_file(str(stored.document.get("AirflowVersion") or ""), options)
    outcome = visibility.hide(s3, bucket, key, content)
    log.info("hide", outcome=outcome, bucket=bucket, key=key)
    return {"outcome": outcome}


def was_revealed(s3: Any, bucket: str, key: str, name: str, since: int) -> bool:
    """Whether the environment was made under this lease and its DAGs are not hidden any more."""
    environment = existing_environment(name)
    if environment is None:
        return False
    if environment["CreatedAt"].timestamp() < since:
        return False
    return not visibility.managed_versions(s3, bucket, key)


def reveal(_event: Event, log: Log) -> Result:
    """Let Airflow see user DAGs again."""
    bucket, key = variable("DAG_BUCKET"), visibility.ignore_key(variable("DAG_S3_PATH"))
    removed = visibility.reveal(aws.client("s3"), bucket, key)
    log.info("reveal", removed=removed, bucket=bucket, key=key)
    return {"removed": removed}


def ensure(event: Event, log: Log) -> Result:
    """Create the environment from the stored spec and this Region's binding, or adopt the one that is there.

    Raises `EnvironmentNotUsable` where one stands in the way, `BadSpec` before anything is called.
    """
    settings = Settings.read()
    snapshot_id = events.optional_snapshot_id(event)
    poll_seconds = events.optional_number(event, "poll_seconds", 30, low=1, high=3600)
    timeout_minutes = events.optional_number(event, "timeout_minutes", 120, low=1, high=1440)
    bucket = variable("DAG_BUCKET")
    s3 = aws.client("s3")
    stored = find_spec(s3, settings, snapshot_id)
    result = {
        "spec_source": stored.key,
        "polls": math.ceil(timeout_minutes * 60 / poll_seconds),
        "published_version": stored.published_version,
    }
    if exists(settings):
        log.info("ensure", outcome="exists", source=stored.key)
        return {"outcome": "exists", **result}
    document = document_here(s3, settings, stored)
    use_local_objects(s3, bucket, document)
    create(document)
    log.info("ensure", outcome="creating", source=stored.key)
    return {"outcome": "creating", **result}


def exists(settings: Settings) -> bool:
    """Whether there is an environment to adopt. Raises `EnvironmentNotUsable` where it cannot be adopted."""
    environment = existing_environment(settings.environment)
    if environment is None:
        return False
    reason = IN_THE_WAY.get(environment["Status"])
    if reason:
        raise EnvironmentNotUsable(f"environment {settings.environment} in {settings.region}: {reason}")
    return True


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


def create(document: Document) -> None:
    """Call CreateEnvironment; a service's error text is kept from repeating configuration values."""
    try:
        aws.client("mwaa").create_environment(**document)
    except ClientError as error:
        if aws.is_transient(error):
            raise
        message = str(aws.translated(error))
        for value in document.get("AirflowConfigurationOptions", {}).values():
            message = message.replace(value, "***") if len(value) > 3 else message
        raise AwsRefused(message) from None


def use_local_objects(s3: Any, bucket: str, document: Document) -> None:
    """Keep an object version only where this Region's bucket has it; replication keeps version ids, a copy does not.

    Raises `BadSpec` for a file that the bucket does not hold at all: MWAA would fail half an hour later.
    """
    for version_field, path_field in spec.OBJECT_VERSIONS.items():
        path, version = document.get(path_field), document.get(version_field)
        if not path:
            document.pop(version_field, None)
            continue
        if version and visibility.head(s3, bucket, path, version) is None:
            del document[version_field]
        if visibility.head(s3, bucket, path) is None:
            raise BadSpec(f"{path_field}: {path} is missing in bucket {bucket}")
