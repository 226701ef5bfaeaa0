"""The specs in the snapshot bucket: which of them to use, and what it becomes in this Region."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from mwaa_continuity import aws, events, snapshots, spec
from mwaa_continuity.errors import BadSpec, NoSpec
from mwaa_continuity.settings import Settings, variable
from mwaa_continuity.spec import Document


@dataclass(frozen=True)
class StoredSpec:
    """A spec from the snapshot bucket."""

    document: Document
    region: str  #: whose environment it describes
    key: str
    published_version: str | None = None  #: of Airflow, where Terraform published another one than the snapshot's


@dataclass(frozen=True)
class StoredObject:
    """An object and the metadata that its writer gave it."""

    body: bytes
    metadata: Mapping[str, str]


def find_spec(s3: Any, settings: Settings, snapshot_id: str | None) -> StoredSpec:
    """The spec to use: the snapshot's, else what was last observed of the primary, else what Terraform published.

    In the Region whose environment it is (a resume), what Terraform published last for it, with the snapshot's version
    of Airflow. Raises `NoSpec` where there is none, naming where it was looked for.
    """
    bucket, primary = variable("SNAPSHOT_BUCKET"), variable("PRIMARY_REGION")
    if primary == settings.region:
        return own_spec(s3, settings, snapshot_id)
    folder = f"spec/{settings.environment}/"
    keys = [f"{folder}observed.{primary}.json", f"{folder}published.{primary}.json"]
    if snapshot_id:
        keys.insert(0, snapshots.prefix(settings.environment, snapshot_id) + "spec.json")
    for key in keys:
        found = read_object(s3, bucket, key)
        if found is not None:
            # Whose environment it is: a snapshot's spec says so in its metadata, the others in their name.
            return StoredSpec(parse(found.body, key), found.metadata.get("region", primary), key)
    raise NoSpec(f"bucket {bucket} holds no spec; looked for: {', '.join(keys)}")


def own_spec(s3: Any, settings: Settings, snapshot_id: str | None) -> StoredSpec:
    """What Terraform published for this Region. A history is restored into the version of Airflow that it came from."""
    key = f"spec/{settings.environment}/published.{settings.region}.json"
    document = needed(s3, key, f"terraform apply of {settings.region} writes it")
    if snapshot_id is None:
        return StoredSpec(document, settings.region, key)
    published = document.get("AirflowVersion")
    version = snapshot_spec(s3, settings, snapshot_id).get("AirflowVersion") or published
    differing = str(published) if version != published else None
    return StoredSpec(document | {"AirflowVersion": version}, settings.region, key, differing)


def snapshot_spec(s3: Any, settings: Settings, snapshot_id: str) -> Document:
    """The spec beside a snapshot. Raises `BadSpec` where there is none."""
    key = snapshots.prefix(settings.environment, snapshot_id) + "spec.json"
    return needed(s3, key, "nothing can be created from that snapshot alone")


def needed(s3: Any, key: str, why: str) -> Document:
    """A document of the snapshot bucket. Raises `BadSpec`, saying why it is needed, where it is missing."""
    bucket = variable("SNAPSHOT_BUCKET")
    found = read_object(s3, bucket, key)
    if found is None:
        raise BadSpec(f"{key} is missing in bucket {bucket}: {why}")
    return parse(found.body, key)


def document_here(s3: Any, settings: Settings, stored: StoredSpec) -> Document:
    """A stored spec as this Region's CreateEnvironment document. Raises `BadSpec` where it does not become one."""
    document = spec.for_region(stored.document, stored.region, read_binding(s3, settings), settings.region)
    if document.get("Name") != settings.environment:
        raise BadSpec(f"{stored.key}: Name is of another environment; accepted: {settings.environment}")
    return document


def read_binding(s3: Any, settings: Settings) -> Document:
    """What Terraform published as belonging to this Region. Raises `BadSpec` where it is missing."""
    key = f"spec/{settings.environment}/binding.{settings.region}.json"
    return needed(s3, key, f"terraform apply of {settings.region} writes it")


def parse(body: bytes, key: str) -> Document:
    """A document from its object."""
    try:
        document = json.loads(body)
    except ValueError:
        raise BadSpec(f"{key} is no JSON") from None
    if not isinstance(document, dict):
        raise BadSpec(f"{key} is {events.kind(document)}; accepted: a JSON object")
    return document


def read_object(s3: Any, bucket: str, key: str) -> StoredObject | None:
    """A small object, or none."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if aws.is_absent(error):
            return None
        raise
    return StoredObject(answer["Body"].read(), answer["Metadata"])
