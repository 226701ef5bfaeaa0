"""Planted secrets are found wherever they may hide."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.rehearsal.leaks import CHUNK, in_buckets, in_files, in_histories, needles_of

SECRETS = {"password": "planted-password-1234", "other": "planted-other-5678"}
NEEDLES = needles_of(SECRETS)


def test_a_secret_on_the_edge_of_two_reads_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (CHUNK - 7) + b"planted-password-1234" + b"x" * 100)
    assert list(in_files([tmp_path], NEEDLES, [])) == [f"{tmp_path / 'log'}: password"]


def test_a_secret_in_bytes_as_postgresql_prints_them_is_found(tmp_path: Path) -> None:
    """Failure covered: connections and variables in clear text; credentials in XCom."""
    (tmp_path / "dump.sql").write_text("\\\\x00" + SECRETS["other"].encode().hex() + "\n")
    assert list(in_files([tmp_path], NEEDLES, [])) == [f"{tmp_path / 'dump.sql'}: other"]


def test_folders_that_are_left_out_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "wal").write_text(SECRETS["other"])
    assert list(in_files([tmp_path], NEEDLES, [tmp_path / "postgres"])) == []


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="snapshots")
        yield client


def test_packed_objects_are_unpacked(s3: object) -> None:
    """Failure covered: connections and variables in clear text in S3."""
    body = gzip.compress(f"a\t{SECRETS['password']}\n".encode())
    s3.put_object(Bucket="snapshots", Key="connection.copy.gz", Body=body)  # type: ignore[attr-defined]  # boto3
    s3.put_object(Bucket="snapshots", Key="sealed", Body=b"\x1f\x8bnot gzip")  # type: ignore[attr-defined]  # boto3
    assert list(in_buckets(s3, ["snapshots"], NEEDLES)) == ["s3://snapshots/connection.copy.gz: password"]


class Histories:
    """Step Functions with one machine: its executions by ARN, each with its input and the events of its history."""

    def __init__(self, executions: dict[str, tuple[str, list[dict[str, Any]]]]) -> None:
        self.executions = executions

    def get_paginator(self, operation: str) -> Any:
        def paginate(**asked: str) -> list[dict[str, Any]]:
            if operation == "list_executions":
                return [{"executions": [{"executionArn": arn}]} for arn in self.executions]
            return [{"events": [event]} for event in self.executions[asked["executionArn"]][1]]

        return SimpleNamespace(paginate=paginate)

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        return {"executionArn": executionArn, "input": self.executions[executionArn][0]}


def test_histories_of_executions_are_looked_through() -> None:
    """Failure covered: options of the environment, passwords among them, written into an execution's history."""
    told = {"lambdaFunctionSucceededEventDetails": {"output": f'{{"url": "{SECRETS["other"]}"}}'}}
    client = Histories({"clean": ("{}", []), "history": ("{}", [{"id": 1}, told]), "input": (SECRETS["password"], [])})
    assert list(in_histories(client, ["machine"], NEEDLES)) == ["history: other", "input: password"]
