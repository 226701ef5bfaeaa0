"""The runbook for a restore by hand: its commands, as they stand there, against a real database and a real snapshot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet

from continuity import delta, layout, writing
from tests.conftest import chosen_versions
from tests.integration.engine import compare
from tests.integration.engine.compare import Row
from tests.integration.engine.conftest import BUCKET, ROOT, Prepared, _fill, airflow_bin
from tests.integration.engine.history import History
from tests.integration.engine.oracle import (
    EXECUTING,
    HOLDING,
    PARSED_AT,
    ask,
    assert_equal,
    assert_sequences_are_beyond,
    cursor_on,
    everything,
    pretend_parsed,
    read,
)
from tests.integration.engine.worker import Side
from tests.postgres import Cluster, bin_dir, migrate

SNAPSHOT = "20260401T000000Z-0000b00c"
RUNBOOK = ROOT / "docs/runbooks/restore-by-hand.md"

#: The one command of the AWS command line that the runbook uses, by the library it is made of.
AWS = """#!{python}
import os, sys, boto3
command, (source, to) = sys.argv[1:-2], sys.argv[-2:]
assert command == ["s3", "cp", "--recursive", "--only-show-errors"], command
bucket, _, prefix = source.removeprefix("s3://").partition("/")
os.makedirs(to, exist_ok=True)
s3 = boto3.client("s3")
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
    for entry in page["Contents"]:
        s3.download_file(bucket, entry["Key"], os.path.join(to, entry["Key"].removeprefix(prefix)))
"""


def commands(*steps: str) -> str:
    """The fenced commands below the headings that begin so, in the order of the page."""
    found = []
    for section in RUNBOOK.read_text(encoding="utf-8").split("\n## ")[1:]:
        if section.startswith(steps):
            blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
            assert blocks, section.splitlines()[0]
            found += blocks
    assert found, steps
    return "\n".join(found)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The runbook is for Airflow 2."""
    if "airflow2" in metafunc.fixturenames:
        versions = [version for version in chosen_versions(metafunc.config) if version.startswith("2.")]
        metafunc.parametrize("airflow2", versions, scope="module")


@dataclass
class ByHand:
    """A shell in front of an Airflow that is stopped, and whose database is empty."""

    source: Side
    target: Side
    folder: Path
    airflow2: str
    snapshot_id: str = SNAPSHOT

    def take(self) -> None:
        """The snapshot that is to be restored."""
        self.source.snapshot(self.snapshot_id)

    def __call__(self, script: str) -> subprocess.CompletedProcess[str]:
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        for name, text in (
            ("aws", AWS.format(python=sys.executable)),
            ("airflow", f'#!/bin/sh\nexec "{airflow_bin(self.airflow2)}" "$@"\n'),
        ):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        place = urlsplit(self.target.dsn)
        path = [tools, bin_dir(), Path(sys.executable).parent, "/usr/bin", "/bin"]
        environ = {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | {
            "PATH": ":".join(map(str, path)),
            "HOME": str(self.folder),
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": self.target.fernet_key,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.target.dsn.replace("postgresql:", "postgresql+psycopg2:"),
            "PGHOST": str(place.hostname),
            "PGPORT": str(place.port),
            "PGUSER": str(place.username),
            "PGPASSWORD": str(place.password),
            "PGDATABASE": place.path.removeprefix("/"),
            "BUCKET": self.source.bucket,
            "ENVIRONMENT": self.source.environment,
            "SNAPSHOT": self.snapshot_id,
            "FOLDER": str(self.folder / "snapshot"),
            "CHECKOUT": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=environ,
            cwd=self.folder / "snapshot" if (self.folder / "snapshot").exists() else self.folder,
            text=True,
            capture_output=True,
            check=False,
        )

    def done(self, script: str) -> str:
        """What a script that ends well prints."""
        result = self(script)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return result.stdout


@pytest.fixture
def by_hand(cluster: Cluster, kms_key: str, airflow2: str, tmp_path: Path) -> Iterator[ByHand]:
    names = [f"{kind}_{uuid.uuid4().hex[:12]}" for kind in ("template", "source", "target")]
    template, source, target = names
    migrate(cluster, template, airflow_bin(airflow2), Fernet.generate_key().decode())
    prepared = Prepared(source, Fernet.generate_key().decode())
    _fill(cluster, prepared, template, seed=5, prefix="")
    cluster.create(target, template=template)
    environment = f"env-{uuid.uuid4().hex[:8]}"
    sides = [
        Side(
            dsn=cluster.dsn(name),
            fernet_key=key,
            bucket=BUCKET,
            kms_key=kms_key,
            environment=environment,
            airflow_version=airflow2,
        )
        for name, key in ((source, prepared.fernet_key), (target, Fernet.generate_key().decode()))
    ]
    plant(sides[0])
    yield ByHand(sides[0], sides[1], tmp_path, airflow2)
    for name in names:
        cluster.drop(name)


def plant(side: Side) -> None:
    """A connection whose name Airflow's own import takes."""
    fernet = Fernet(side.fernet_key)
    extra, password = (fernet.encrypt(text).decode() for text in (b'{"a": "b"}', b"p\xc3\xa4ss'word\"\\"))
    with cursor_on(side) as cursor:
        cursor.execute(
            "INSERT INTO connection (conn_id, conn_type, description, host, login, password, port, extra, schema,"
            " is_encrypted, is_extra_encrypted) VALUES ('importable', 'http', 'two\nlines', 'h', '', %s, 0, %s, NULL,"
            " true, true)",
            (password, extra),
        )


def changed(source: compare.Database) -> dict[str, list[Row]]:
    """The rows of the source with what the runbook says that it changes."""
    backfills = {(row["dag_id"], row["run_id"]) for row in source.rows["dag_run"] if row["run_type"] == "backfill"}
    rows = compare.canonical(source)
    for row in rows["dag"]:
        row.update(scheduler_lock=None, pickle_id=None)
        row["last_parsed_time"] = PARSED_AT if row["is_active"] == "true" else None
    for row in rows["dag_run"]:
        if row["run_type"] == "backfill" and row["state"] not in ("success", "failed"):
            row.update(state="failed", end_date="now")
    for row in rows["task_instance"]:
        if (row["dag_id"], row["run_id"]) in backfills and row["state"] in HOLDING:
            row.update(state="failed", end_date="now")
        if row["state"] in (*EXECUTING, "deferred"):
            if row["state"] != "restarting":
                row["try_number"] = str(max(int(row["try_number"] or 0) - 1, 0))
            row.update(dict.fromkeys(FORGOTTEN), hostname="")
        row["trigger_id"] = None
    for row in rows.get("task_instance_history", ()):
        row["trigger_id"] = "dangling" if row["trigger_id"] else None
    for row in rows["job"]:
        if row["state"] in ("running", "restarting"):
            row.update(state="failed", end_date=row["end_date"] or row["latest_heartbeat"])
    for row in rows["variable"]:
        row.update(description=None, is_encrypted="true")
    rows["variable"] = [row for row in rows["variable"] if row["val"] is not None]
    rows["connection"] = [row for row in rows["connection"] if re.fullmatch(r"[\w.-]+", row["conn_id"] or "")]
    for row in rows["connection"]:
        row.update({flag: row[flag] or "false" for flag in ("is_encrypted", "is_extra_encrypted")})
    rows["trigger"] = []
    return rows


FORGOTTEN = (
    "state",
    "start_date",
    "end_date",
    "duration",
    "job_id",
    "queued_by_job_id",
    "pid",
    "external_executor_id",
    "queued_dttm",
    "next_method",
    "next_kwargs",
    "trigger_timeout",
)


def found_in(target: compare.Database, since: str) -> dict[str, list[Row]]:
    """The target's rows, without what using Airflow's command line left in its audit log, and without the log template
    that Airflow adds where the last one is not that of its configuration."""
    rows = compare.canonical(target)
    rows["log_template"] = [row for row in rows["log_template"] if (row["created_at"] or "") < since]
    rows["log"] = [
        row for row in rows["log"] if not (row["event"] or "").startswith("cli_") or (row["dttm"] or "") < since
    ]
    for table in ("dag_run", "task_instance"):
        for row in rows[table]:
            if (row["end_date"] or "") >= since and row["state"] == "failed":
                row["end_date"] = "now"
    return rows


def test_the_commands_of_the_page_restore_every_row(by_hand: ByHand) -> None:
    """Failure covered: the restore needs the very platform that was lost."""
    by_hand.take()
    assert_restored(by_hand)


def test_they_restore_every_row_of_a_delta(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: by hand there is but the snapshot of yesterday."""
    monkeypatch.setattr(layout, "LARGE_PAGES", 1)
    monkeypatch.setattr(layout, "RANGE_PAGES", 1)
    monkeypatch.setattr(writing, "LEAST_PIECE_RANGES", 1)
    monkeypatch.setattr(writing, "PIECES_EACH", 8)
    monkeypatch.setattr(delta, "WORTHWHILE", 1.0)
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    by_hand.source.proven_snapshot(f"{moment}-00000000")
    history = History(by_hand.source)
    for kind in ("clear", "delete", "update", "finish"):
        history.happen(kind, 3)
    by_hand.snapshot_id = f"{moment}-00000001"
    by_hand.take()
    assert by_hand.source.store.read_json(by_hand.snapshot_id, "manifest.json")["base"]
    assert_restored(by_hand)


def assert_restored(by_hand: ByHand) -> None:
    """By the commands of the page."""
    ((since,),) = ask(by_hand.source, "SELECT (now() AT TIME ZONE 'UTC')::text")
    assert by_hand.done(commands("2.", "3.")).splitlines() == ["t"]
    assert (by_hand.folder / "snapshot").stat().st_mode & 0o077 == 0
    loaded = by_hand.done(commands("4.", "5."))
    source = read(by_hand.source)
    deferred = (
        "SELECT count(*) FROM task_instance JOIN dag_run USING (dag_id, run_id)"
        " WHERE task_instance.state = 'deferred' AND run_type <> 'backfill'"
    )
    assert f"({ask(by_hand.source, deferred)[0][0]} rows)" in loaded
    assert ask(by_hand.target, "SELECT count(*) FROM dag WHERE NOT is_paused OR is_active") == [(0,)]
    imported = by_hand.done(commands("6."))
    assert "Imported connection importable" in imported
    assert "variables successfully updated" in imported
    assert not list((by_hand.folder / "snapshot").glob("*e.json"))

    missing = commands("7.").split("psql")[1]
    assert by_hand.done(f"psql{missing}").split() == [f"dag_{number}" for number in range(6)]
    pretend_parsed(by_hand.target, source)
    assert by_hand.done(commands("7.")).split() == ["dag_4"], "its file was gone at the cut already"
    assert_equal(compare.counted(changed(source)), compare.counted(found_in(read(by_hand.target), since)))
    assert_sequences_are_beyond(by_hand.target)
    ids = "SELECT id, dag_id, run_id FROM dag_run WHERE NOT starts_with(dag_id, 'continuity_') ORDER BY 1"
    assert ask(by_hand.target, ids) == ask(by_hand.source, ids), "ids stay what they were"
    everywhere = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
    assert ask(by_hand.target, everywhere) == ask(by_hand.source, everywhere), "every foreign key is back"


def test_what_is_damaged_stops_it_and_changes_nothing(by_hand: ByHand) -> None:
    """Failure covered: half a restore by hand, which nobody notices."""
    by_hand.take()
    before = everything(by_hand.target)
    store = by_hand.source.store
    log = store.read_if_present(SNAPSHOT, "log.history.copy.gz") or b""
    store.put(SNAPSHOT, "log.history.copy.gz", log[:-1] + b"x")
    stopped = by_hand(commands("2.", "3.", "4."))
    assert stopped.returncode != 0
    assert "log.history.copy.gz: FAILED" in stopped.stdout
    store.put(SNAPSHOT, "log.history.copy.gz", log)

    manifest = store.read_json(SNAPSHOT, "manifest.json")
    next(table for table in manifest["tables"] if table["name"] == "log")["rows"] += 1
    (by_hand.folder / "snapshot/manifest.json").write_text(json.dumps(manifest))
    (by_hand.folder / "snapshot/log.history.copy.gz").write_bytes(log)
    stopped = by_hand(commands("4."))
    assert (stopped.returncode, "log is not complete" in stopped.stderr) == (3, True), stopped.stderr
    assert everything(by_hand.target) == before


def test_secrets_can_be_opened_without_the_tool(by_hand: ByHand) -> None:
    by_hand.take()
    by_hand.done(commands("2.", "Without the tool"))
    folder = by_hand.folder / "snapshot"
    source = read(by_hand.source)
    for table, column in (("connection", "password"), ("variable", "val"), ("trigger", "kwargs")):
        path = folder / f"{table}.jsonl"
        assert path.stat().st_mode & 0o077 == 0
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert sorted(str(row[column]) for row in rows) == sorted(str(row[column]) for row in source.rows[table])
