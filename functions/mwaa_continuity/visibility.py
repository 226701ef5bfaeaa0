"""Hiding user DAGs from Airflow by a managed `.airflowignore`, and revealing them again.

The managed file is an object version of its own, told by its metadata. It lies on top of the user's file, if there
is one, and revealing deletes exactly it: the user's file is then current again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws
from mwaa_continuity.errors import BadSpec

#: What the paths of the metadata DAGs and of their package begin with, seen from the DAG folder.
VISIBLE: Final = "continuity"

METADATA: Final[Mapping[str, str]] = {"mwaa-continuity": "hidden"}


def ignore_key(dag_folder: str) -> str:
    """The key of the DAG folder's `.airflowignore`."""
    folder = dag_folder.strip("/")
    return f"{folder}/.airflowignore" if folder else ".airflowignore"


def ignore_file(airflow_version: str, options: Mapping[str, str]) -> str:
    """The content that hides every path which does not begin with `continuity`.

    The syntax is the environment's `core.dag_ignore_file_syntax`; its default is regexp in 2.x and glob in 3.x.
    Raises `BadSpec` for a syntax that Airflow does not have.
    """
    default = "regexp" if airflow_version.startswith("2.") else "glob"
    syntax = options.get("core.dag_ignore_file_syntax") or default
    if syntax == "glob":
        return f"/*\n!/{VISIBLE}*\n"
    if syntax == "regexp":
        return "\n".join(regexps()) + "\n"
    raise BadSpec("core.dag_ignore_file_syntax is of no known kind; accepted: regexp, glob")


def regexps() -> list[str]:
    """Expressions of which one matches exactly where a path does not begin with `continuity`.

    Airflow reads them with RE2, which has no negative look-ahead and skips what it cannot compile.
    """
    differing = [f"^{VISIBLE[:place]}[^{letter}]" for place, letter in enumerate(VISIBLE)]
    shorter = [f"^{VISIBLE[:length]}$" for length in range(1, len(VISIBLE))]
    return differing + shorter


def hide(s3: Any, bucket: str, key: str, content: str) -> str:
    """Put the managed file on top, once: "hidden" or "already_hidden".

    Raises `BadSpec` where a file of the user's would be lost, because the bucket keeps no versions.
    """
    current = head(s3, bucket, key)
    if current is not None and is_managed(current):
        return "already_hidden"
    if current is not None and current.get("VersionId", "null") == "null":
        raise BadSpec(f"bucket {bucket} keeps no versions; accepted: a versioned bucket, since {key} must come back")
    s3.put_object(Bucket=bucket, Key=key, Body=content.encode(), ContentType="text/plain", Metadata=dict(METADATA))
    return "hidden"


def reveal(s3: Any, bucket: str, key: str) -> int:
    """Delete every managed version and nothing else; how many there were."""
    managed = managed_versions(s3, bucket, key)
    for version in managed:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
    return len(managed)


def managed_versions(s3: Any, bucket: str, key: str) -> list[str]:
    """The ids of the managed versions, current or not."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    versions = [found["VersionId"] for page in pages for found in page.get("Versions", []) if found["Key"] == key]
    return [version for version in versions if is_managed(head(s3, bucket, key, version) or {})]


def is_managed(answer: Mapping[str, Any]) -> bool:
    """Whether an object's metadata says that it is ours."""
    return bool(METADATA.items() <= answer.get("Metadata", {}).items())


def head(s3: Any, bucket: str, key: str, version: str | None = None) -> Mapping[str, Any] | None:
    """What S3 knows of an object or one of its versions, or none."""
    arguments = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    try:
        answer: Mapping[str, Any] = s3.head_object(**arguments)
    except ClientError as error:
        # 400: the id of a version that this bucket could never have had
        if aws.is_absent(error) or (version and aws.http_status(error) == 400):
            return None
        raise
    return answer
