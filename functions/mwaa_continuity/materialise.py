"""Handing a document to MWAA: an environment is created from it, or updated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from mwaa_continuity import aws, spec, visibility
from mwaa_continuity.errors import AwsRefused, BadSpec
from mwaa_continuity.spec import Document


def create(document: Document) -> None:
    """Call CreateEnvironment. Raises `AwsRefused`, or an error of botocore that may pass."""
    quietly(aws.client("mwaa").create_environment, document, document)


def update(live: Mapping[str, Any], wanted: Document, members: Document) -> None:
    """Call UpdateEnvironment with some members of the document that is wanted. Raises as `create` does."""
    quietly(aws.client("mwaa").update_environment, {"Name": wanted["Name"], **members}, wanted, live)


def quietly(call: Callable[..., Any], arguments: Document, *documents: Mapping[str, Any]) -> None:
    """Make a call; a service's error text is kept from repeating the configuration values of documents."""
    try:
        call(**arguments)
    except ClientError as error:
        if aws.is_transient(error):
            raise
        raise AwsRefused(masked(str(aws.translated(error)), *documents)) from None


def masked(text: str, *documents: Mapping[str, Any]) -> str:
    """A text without the values of documents' configuration options."""
    for document in documents:
        for value in (document.get("AirflowConfigurationOptions") or {}).values():
            text = text.replace(value, "***") if len(value) > 3 else text
    return text


def use_local_objects(s3: Any, bucket: str, document: Document) -> list[str]:
    """Keep an object version only where this Region's bucket has it; replication keeps version ids, a copy does not.

    Returns the members that fell away. Raises `BadSpec` for a file that the bucket does not hold at all: MWAA would
    fail half an hour later.
    """
    missing = []
    for version_field, path_field in spec.OBJECT_VERSIONS.items():
        path, version = document.get(path_field), document.get(version_field)
        if not path:
            document.pop(version_field, None)
            continue
        if version and visibility.head(s3, bucket, path, version) is None:
            del document[version_field]
            missing.append(version_field)
        if visibility.head(s3, bucket, path) is None:
            raise BadSpec(f"{path_field}: {path} is missing in bucket {bucket}")
    return missing
