"""The DAG folder follows the bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.local_aws.mwaa.dag_sync import FolderSync


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="dags")
        yield client


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_follows_the_bucket(s3: Any, tmp_path: Path) -> None:
    target = tmp_path / "dags"
    for key in ("dags/a.py", "dags/pkg/b.py", "dags/.airflowignore", "dags/settings.json", "other/c.py", "dags/empty/"):
        s3.put_object(Bucket="dags", Key=key, Body=key.encode())
    sync = FolderSync(s3, "dags", "/dags/", target)
    assert sync.run() == 4
    wanted = {name: f"dags/{name}" for name in ("a.py", "pkg/b.py", ".airflowignore", "settings.json")}
    assert contents(target) == wanted

    s3.put_object(Bucket="dags", Key="dags/a.py", Body=b"changed")
    s3.delete_object(Bucket="dags", Key="dags/pkg/b.py")
    (target / "pkg" / "__pycache__").mkdir()
    assert sync.run() == 2
    del wanted["pkg/b.py"]
    assert contents(target) == {**wanted, "a.py": "changed"}
    assert not (target / "pkg").exists()
    assert sync.run() == 0


def test_no_key_leads_out_of_the_folder(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="dags", Key="dags/../outside.py", Body=b"x")
    s3.put_object(Bucket="dags", Key="dags//absolute.py", Body=b"x")
    assert FolderSync(s3, "dags", "dags", tmp_path / "dags").run() == 0
    assert contents(tmp_path) == {}


def test_leftovers_of_an_earlier_run_are_gone(s3: Any, tmp_path: Path) -> None:
    stale = tmp_path / "dags" / "stale.py"
    stale.parent.mkdir()
    stale.touch()
    FolderSync(s3, "dags", "dags", stale.parent).run()
    assert not stale.exists()
