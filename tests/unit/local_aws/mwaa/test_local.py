"""`make local`: the user's folder reaches the bucket, and a wrong folder is told before anything starts."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from tests.local_aws import local


@mock_aws
def test_the_bucket_follows_the_folder(tmp_path: Path) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=local.BUCKET)

    def keys() -> set[str]:
        return {item["Key"] for item in s3.list_objects_v2(Bucket=local.BUCKET).get("Contents", [])}

    (tmp_path / "pkg" / "__pycache__").mkdir(parents=True)
    (tmp_path / "pkg" / "__pycache__" / "b.pyc").touch()
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "pkg" / "b.py").touch()
    folder = local.Folder(tmp_path, s3)
    assert folder.upload() == ["new  a.py", "new  pkg/b.py"]
    assert keys() == {"dags/a.py", "dags/pkg/b.py"}
    assert folder.upload() == []

    (tmp_path / "a.py").write_text("three")
    (tmp_path / "pkg" / "b.py").unlink()
    assert folder.upload() == ["changed  a.py", "deleted  pkg/b.py"]
    assert keys() == {"dags/a.py"}
    assert s3.get_object(Bucket=local.BUCKET, Key="dags/a.py")["Body"].read() == b"three"


def test_a_folder_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.main(["--dags", str(tmp_path / "missing")]) == 2
    assert "accepted: a folder with DAG files" in capsys.readouterr().err
