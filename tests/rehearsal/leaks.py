"""Searches everything a run wrote for the planted secrets."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def needles_of(secrets: Mapping[str, str]) -> dict[str, list[bytes]]:
    """The forms a secret may appear in: as it is, and as PostgreSQL prints bytes (an XCom is stored as bytes)."""
    return {name: [text.encode(), text.encode().hex().encode()] for name, text in secrets.items()}


def in_bytes(data: bytes, needles: Mapping[str, list[bytes]]) -> set[str]:
    """Names of the secrets that are in these bytes."""
    return {name for name, forms in needles.items() if any(form in data for form in forms)}


def in_files(folders: Iterable[Path], needles: Mapping[str, list[bytes]], skipped: Iterable[Path]) -> Iterator[str]:
    """One line per file that holds a secret, by the secret's name. `skipped`: folders that are not looked into."""
    avoid = tuple(path.resolve() for path in skipped)
    longest = max((len(form) for forms in needles.values() for form in forms), default=0)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            resolved = path.resolve()
            if not path.is_file() or path.is_symlink() or any(resolved.is_relative_to(other) for other in avoid):
                continue
            if found := _in_file(path, needles, longest):
                yield f"{path}: {', '.join(sorted(found))}"


def in_buckets(client: Any, buckets: Iterable[str], needles: Mapping[str, list[bytes]]) -> Iterator[str]:
    """One line per object version that holds a secret, unpacked where it is gzip; `client`: of S3."""
    for name in buckets:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            for version in page.get("Versions", []):
                identity = {"Key": version["Key"], "VersionId": version["VersionId"]}
                body = client.get_object(Bucket=name, **identity)["Body"].read()
                if found := in_bytes(body + _unpacked(body), needles):
                    yield f"s3://{name}/{version['Key']}: {', '.join(sorted(found))}"


def in_histories(client: Any, machines: Iterable[str], needles: Mapping[str, list[bytes]]) -> Iterator[str]:
    """One line per execution that holds a secret in its input, output or history; `client`: of Step Functions."""
    for machine in machines:
        for page in client.get_paginator("list_executions").paginate(stateMachineArn=machine):
            for execution in page["executions"]:
                arn = execution["executionArn"]
                events = client.get_paginator("get_execution_history").paginate(executionArn=arn)
                told = repr((client.describe_execution(executionArn=arn), [e for p in events for e in p["events"]]))
                if found := in_bytes(told.encode(), needles):
                    yield f"{arn}: {', '.join(sorted(found))}"


def _in_file(path: Path, needles: Mapping[str, list[bytes]], longest: int) -> set[str]:
    found: set[str] = set()
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found |= in_bytes(rest + chunk, needles)
            rest = chunk[-longest:]
    return found


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return b""
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return b""
