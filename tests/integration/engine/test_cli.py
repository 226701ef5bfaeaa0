"""The tool against a plain Airflow: a database URL, a Fernet key, and nothing of MWAA around."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.integration.engine import compare
from tests.integration.engine.conftest import ROOT
from tests.integration.engine.oracle import (
    ask,
    assert_equal,
    assert_restores,
    assert_sequences_are_beyond,
    everything,
    pretend_parsed,
    read,
    restored,
    times,
)
from tests.integration.engine.worker import Side
from tests.postgres import Cluster

SNAPSHOT = "20260401T000000Z-0000c11a"


class Tool:
    """The tool in a process of its own, beside the Airflow of a side."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.environ = {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | {
            "PYTHONPATH": str(ROOT / "dags"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": side.dsn.replace("postgresql://", "postgresql+psycopg2://"),
            "AIRFLOW__CORE__FERNET_KEY": side.fernet_key,
        }

    def __call__(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        place = ("--bucket", self.side.bucket, "--environment", self.side.environment)
        done = subprocess.run(
            [sys.executable, "-m", "continuity", command, *place, *arguments],
            env=self.environ,
            text=True,
            capture_output=True,
            check=False,
        )
        password = self.side.dsn.split(":")[2].split("@")[0]
        for secret in (password, self.side.fernet_key):
            assert secret not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, command: str, *arguments: str) -> Any:
        done = self(command, "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def test_any_airflow_is_taken_over_by_url_and_key(sides: Callable[..., Side], tmp_path: Path) -> None:
    """Failure covered: who moves into MWAA from elsewhere starts with an empty history."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    tool = Tool(source)
    for name, variable in (("url", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"), ("key", "AIRFLOW__CORE__FERNET_KEY")):
        (tmp_path / name).write_text(tool.environ.pop(variable) + "\n")
    files = ("--database-url-file", str(tmp_path / "url"), "--fernet-key-file", str(tmp_path / "key"))
    # Several versions may share one schema; which of them this is, nobody but the operator knows.
    stated = ("--airflow-version", source.airflow_version)
    done = tool("snapshot", "--snapshot", SNAPSHOT, "--kms-key", source.kms_key, *files, *stated)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("good: "), done.stdout
    manifest = source.store.read_json(SNAPSHOT, "manifest.json")
    assert (manifest["airflow_version"], manifest["spec"]) == (source.airflow_version, None)
    assert source.store.read_json(SNAPSHOT, "verification.json")["faults"] == []

    assert_restores(source, target, SNAPSHOT)
    assert_sequences_are_beyond(target)


def test_a_snapshot_is_restored_into_any_airflow(sides: Callable[..., Side]) -> None:
    """State, history, going live: each a second time too, which changes nothing."""
    source = sides("source")
    target = sides("target", environment=source.environment)
    before = compare.canonical(read(target))
    source.snapshot(SNAPSHOT)
    tool = Tool(target)
    state = tool.json("restore", "--state-only")
    assert (state["already"], state["state_rows"] > 0, state["history_rows"]) == (False, True, 0)
    history = tool.json("restore", "--snapshot", SNAPSHOT)
    assert (history["already"], history["history_rows"] > 0) == (True, True)
    waiting = everything(target)
    missing = tool("go-live", "--parse-deadline-seconds", "0")
    assert (missing.returncode, "paused still: dag_0, " in missing.stdout) == (1, True), missing.stdout + missing.stderr
    assert everything(target) != waiting
    pretend_parsed(target, read(source))
    live = tool.json("go-live", "--parse-deadline-seconds", "0")
    assert live["missing_dags"] == []
    expected = compare.merged(before, compare.canonical(read(source)), restored(times(source, target, live=True)))
    assert_equal(expected, compare.counted(compare.canonical(read(target))))


@pytest.mark.usually_once
def test_history_of_the_last_days_is_restored_where_that_is_asked_for(sides: Callable[..., Side]) -> None:
    source = sides("source")
    source.snapshot(SNAPSHOT)
    ((days,),) = ask(
        source,
        """SELECT extract(day FROM now() - percentile_disc(0.5) WITHIN GROUP (ORDER BY start_date))::int
        FROM dag_run""",
    )
    rows = [
        Tool(sides("empty", environment=source.environment)).json("restore", *asked)["history_rows"]
        for asked in ((), ("--history-days", str(days)))
    ]
    assert 0 < rows[1] < rows[0]


def test_a_portable_restore_says_first_what_it_leaves_out(sides: Callable[..., Side]) -> None:
    source = sides("source")
    target = sides("target", environment=source.environment)
    source.snapshot(SNAPSHOT)
    tool = Tool(target)
    done = tool("restore", "--mode", "portable", "--json")
    document = json.loads(done.stdout)
    assert (document["mode"], document["history_rows"]) == ("portable", 0)
    told = [line.partition(", left out: ")[2] for line in done.stderr.splitlines() if ", left out: " in line]
    assert told == document["left_out"] != []
    refused = tool("restore")
    assert refused.returncode == 1
    assert "in portable mode already, so it cannot be in full mode" in refused.stderr


@pytest.mark.any_airflow
def test_a_snapshot_is_verified_and_looked_at(sides: Callable[..., Side]) -> None:
    source = sides("source")
    manifest = source.snapshot(SNAPSHOT)
    tool = Tool(source)
    document = tool.json("verify")
    assert (document["verdict"], document["rows"]) == ("good", manifest.rows)
    counted = {table["name"]: table["rows"] for table in document["tables"]}
    assert counted == {table.name: table.rows for table in manifest.tables}
    contents = tool.json("inspect", "--snapshot", "newest")
    assert contents["paused"] == manifest.paused
    assert len(contents["in_flight"]) == len(manifest.in_flight) > 0
    assert tool("inspect").stdout.splitlines()[1].split()[0] == SNAPSHOT


@pytest.mark.any_airflow
def test_the_wrong_key_is_told_by_the_name_of_what_it_does_not_open(sides: Callable[..., Side]) -> None:
    """Failure covered: Fernet cipher text copied to an environment with another key."""
    source = sides("source")
    tool = Tool(source)
    wrong = Fernet.generate_key().decode()
    tool.environ["AIRFLOW__CORE__FERNET_KEY"] = wrong
    done = tool("snapshot", "--kms-key", source.kms_key)
    assert done.returncode == 1
    assert "cannot be decrypted with this environment's Fernet keys" in done.stderr
    assert "connection '" in done.stderr
    assert wrong not in done.stdout + done.stderr
    assert "no good: manifest.json: there is no s3://" in tool("inspect").stdout


@pytest.mark.usually_once
@pytest.mark.any_airflow
@pytest.mark.parametrize(
    ("harm", "code", "message"),
    [
        ({"--airflow-version": "2.8.1"}, 2, "2.8.1 has another schema than this database"),
        ({"--table": "nowhere=skip"}, 2, "settings.tables.nowhere: there is no such table"),
        ({"--kms-key": "arn:aws:kms:us-east-1:123456789012:key/gone"}, 3, "GenerateDataKey"),
    ],
)
def test_what_cannot_be_is_refused_before_a_manifest_is_written(
    sides: Callable[..., Side], harm: dict[str, str], code: int, message: str
) -> None:
    source = sides("source")
    options = {"--kms-key": source.kms_key} | harm
    done = Tool(source)("snapshot", *(word for option in options.items() for word in option))
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert not [one for one in source.store.snapshot_ids() if source.store.read_if_present(one, "manifest.json")]


@pytest.mark.any_airflow
def test_databases_that_are_no_airflow_or_let_nobody_in_are_told(sides: Callable[..., Side], cluster: Cluster) -> None:
    source = sides("empty")
    cluster.create("no_airflow")
    tool = Tool(source)
    good = tool.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    for url, message in (
        (cluster.url("no_airflow"), "127.0.0.1/no_airflow: it holds no metadata of an Airflow"),
        (re.sub(":[^:@]+@", ":wrong@", good), "password authentication failed"),
        (good + "_nowhere", 'database "empty_'),
    ):
        tool.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = url
        done = tool("snapshot", "--kms-key", source.kms_key)
        assert (done.returncode, message in done.stderr) == (3, True), done.stderr
    cluster.drop("no_airflow")
    assert ask(source, "SELECT 1") == [(1,)]
