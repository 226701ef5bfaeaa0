"""What of the lake needs no database: its settings, its bucket, its tables as the module describes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from continuity.errors import AccessRefused, BadInput, ExportRefused
from continuity.lake_store import LakeStore, Mark
from continuity.lake_tables import lake_tables
from continuity.settings import Lake, lake_schedule, parse_lake_conf
from tests.tools.lake_module import MODULE, ROOT

CUT = datetime(2026, 4, 1, 23, 59, 59, tzinfo=UTC)
MARK = Mark("env", "us-east-1", 7, CUT.isoformat(), "1/2", 3, {"dag_run": 4})


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[LakeStore]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        yield LakeStore(s3, "bucket", "metadata/", "env")


def keys(store: LakeStore) -> list[str]:
    found = store._s3.list_objects_v2(Bucket="bucket").get("Contents", ())  # its own client: the bucket is the store's
    return [one["Key"] for one in found]


def test_the_mark_is_replaced_only_as_it_was_found(store: LakeStore) -> None:
    assert store.read_mark() is None
    store.write_mark(MARK, None)
    first = store.read_mark()
    assert first is not None
    assert first.mark == MARK
    with pytest.raises(
        ExportRefused, match=r"another export of env ended first \(s3://bucket/metadata/marks/env.json\)"
    ):
        store.write_mark(MARK, None)
    store.write_mark(Mark("env", "us-east-1", 8, CUT.isoformat(), "1/2", 3), first)
    with pytest.raises(ExportRefused):
        store.write_mark(Mark("env", "us-east-1", 9, CUT.isoformat(), "1/2", 3), first)
    last = store.read_mark()
    assert last is not None
    assert last.mark.version == 8


def test_the_condition_is_for_one_call(store: LakeStore) -> None:
    """Other objects are written by the same client."""
    store.write_mark(MARK, None)
    store._s3.put_object(Bucket="bucket", Key="metadata/marks/env.json", Body=b"{}")
    assert keys(store) == ["metadata/marks/env.json"]


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"format": 1}', b'{"format": 1, "version": "x", "other": 1}'])
def test_what_is_no_mark_is_refused(store: LakeStore, body: bytes) -> None:
    """An export that took it for none would begin anew, and cover up that somebody wrote there."""
    store._s3.put_object(Bucket="bucket", Key=store.mark_key, Body=body)
    with pytest.raises(BadInput, match=r"s3://bucket/metadata/marks/env.json: it is no mark"):
        store.read_mark()


def test_a_mark_that_may_not_be_read_is_not_taken_for_none(store: LakeStore) -> None:
    def refuse(**_: Any) -> None:
        raise store._s3.exceptions.ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    store._s3.get_object = refuse
    with pytest.raises(AccessRefused):
        store.read_mark()


def test_objects_are_kept_whole_or_not_at_all(store: LakeStore) -> None:
    kept, left = (store.key(name, 7, CUT) for name in ("log", "dag"))
    assert kept == "metadata/exports/log/environment=env/date=2026-04-01/7.jsonl.gz"
    with store.upload(kept) as draft:
        draft.file.write(b'{"a": 1}\n')
    with store.upload(left) as draft:
        draft.kept = False
    with pytest.raises(RuntimeError, match="half-way"):
        fail_half_way(store, left)
    assert keys(store) == [kept]


def fail_half_way(store: LakeStore, key: str) -> None:
    with store.upload(key) as draft:
        draft.file.write(b'{"a": 1}\n')
        raise RuntimeError("half-way")


def test_settings_of_a_lake() -> None:
    place = {"bucket": "b", "region": "eu-west-1", "prefix": "metadata/"}
    assert Lake.parse(place, "lake") == Lake("b", "eu-west-1", "metadata/", None)
    assert Lake.parse({**place, "schedule": "@daily"}, "lake").schedule == "@daily"
    for wrong, message in (
        ({**place, "prefix": "metadata"}, "lake.prefix: 'metadata' ends in no slash"),
        ({**place, "region": "Ireland"}, "lake.region: 'Ireland' is no Region"),
        ({**place, "key": "x"}, "lake.key: unknown field"),
        ({"bucket": "b"}, "lake.region: missing"),
    ):
        with pytest.raises(BadInput, match=message):
            Lake.parse(wrong, "lake")
    assert lake_schedule() is None
    assert (parse_lake_conf({}), parse_lake_conf({"full": True})) == (False, True)
    with pytest.raises(BadInput, match=r"conf\.full: 'yes' is neither"):
        parse_lake_conf({"full": "yes"})


def test_every_key_is_among_the_columns() -> None:
    for table in lake_tables().values():
        assert set(table.key) <= set(table.described), table.name
        assert len({column.name for column in table.columns}) == len(table.columns)
        assert not {"environment", "date", "export_date"} & set(table.described), "these are the lake's own"


def test_no_column_that_may_hold_secrets_is_exported() -> None:
    """Failure covered: connections and variables in clear text in S3."""
    sources = {
        (table.name, source) for table in lake_tables().values() for one in table.columns for source in one.sources
    }
    closed = {"conf", "extra", "executor_config", "next_kwargs", "rendered_map_index", "context_carrier"}
    assert not {source for _, source in sources} & closed
    assert not set(lake_tables()) & {"connection", "variable", "xcom", "rendered_task_instance_fields", "trigger"}


def test_saved_queries_read_tables_and_say_what_they_answer() -> None:
    for path in (ROOT / MODULE / "queries").glob("*.sql"):
        first, *lines = path.read_text().splitlines()
        assert first.startswith("-- "), path.name
        assert "exported_" not in "\n".join(lines), "exports have rows again and again"


def test_the_description_of_the_tables_is_json_in_order() -> None:
    path = ROOT / "dags/continuity/lake_tables.json"
    assert list(json.loads(path.read_text())) == list(lake_tables())
