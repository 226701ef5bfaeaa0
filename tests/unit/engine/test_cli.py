"""The tool for people: what it says, by which exit code, and what it never says."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from continuity import verify
from continuity.cli import main
from tests.unit.engine.stored import BUCKET, ENVIRONMENT, ID, OTHER_ID, PASSWORD, TOKEN, VALUE, Stored

PLACE = ("--bucket", BUCKET, "--environment", ENVIRONMENT)
URL = "postgresql://airflow:secret-of-the-url@127.0.0.1:1/airflow"


class Said:
    """Exit code and output of one call."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        try:
            self.code = main(arguments)
        except SystemExit as wrong:  # argparse
            self.code = int(str(wrong.code))
        captured = capsys.readouterr()
        self.out, self.err = captured.out, captured.err
        for planted in (PASSWORD, VALUE, TOKEN):
            assert planted not in self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


def test_a_good_snapshot_is_told_a_line_a_table_and_the_verdict_last(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    stored.snapshot()
    said = Said(capsys, "verify", *PLACE)
    assert said.code == 0
    assert re.search(r"^  ok      dag_run +2 +\d+ +2$", said.out, re.M), said.out
    assert re.search(r"^  sealed  connection +2 +\d+ +1$", said.out, re.M), said.out
    assert said.last.startswith("good: 5 tables, 9 rows in 7 objects, ")
    document = Said(capsys, "verify", *PLACE, "--json", "--snapshot", ID).json
    assert (document["verdict"], document["rows"], document["faults"]) == ("good", 9, [])
    assert verify.recorded(stored.store, ID) is None, "who only looks changes nothing"


def test_a_damaged_snapshot_names_every_object_that_is_wrong(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    stored.snapshot()
    stored.claim("variable.sealed", b"x" * 100)
    for name in ("log.history.copy.gz", "spec.json"):
        stored.s3.delete_object(Bucket=BUCKET, Key=stored.store.key(ID, name))
    said = Said(capsys, "verify", *PLACE, "--record")
    assert said.code == 1
    assert said.last == "damaged: 3 of 7 objects are wrong: log.history.copy.gz, variable.sealed, spec.json"
    assert re.search(
        r"^  DAMAGED  variable.*\n +variable\.sealed: it was not sealed by this snapshot's", said.out, re.M
    )
    assert re.search(r"^  DAMAGED  spec\.json: it is missing", said.out, re.M)
    assert len(verify.recorded(stored.store, ID) or ()) == 3
    again = Said(capsys, "verify", *PLACE, "--json")
    assert (again.code, again.json["verdict"], len(again.json["faults"])) == (1, "damaged", 3)


def test_newest_is_the_newest_that_is_complete(
    stored: Stored, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    stored.snapshot()
    stored.store.put(OTHER_ID, "log.history.copy.gz", b"begun")
    assert Said(capsys, "verify", *PLACE, "--json").json["snapshot_id"] == ID
    assert f"{OTHER_ID} is passed over: it is not complete" in caplog.text
    said = Said(capsys, "verify", *PLACE, "--snapshot", OTHER_ID)
    assert (said.code, said.last) == (
        1,
        f"damaged: manifest.json: there is no s3://{BUCKET}/snapshots/env/{OTHER_ID}/manifest.json",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "required: COMMAND"),
        (("verify",), 2, "required: --bucket, --environment"),
        (
            ("verify", *PLACE, "--snapshot", "latest"),
            2,
            "'latest' is no snapshot id; accepted: YYYYMMDDTHHMMSSZ-<8 hex",
        ),
        (("verify", *PLACE, "--snapshot", OTHER_ID), 2, f"--snapshot: there is no {OTHER_ID}; accepted: one of 1"),
        (("verify", "--bucket", "nowhere", "--environment", "env"), 2, "--bucket: there is no such bucket"),
        (("verify", "--bucket", BUCKET, "--environment", "other"), 2, "no snapshot below s3://bucket/snapshots/other"),
        (("verify", *PLACE, "--region", "mars"), 2, "--region: 'mars' is no Region"),
        (("verify", *PLACE, "--kms-key", "arn:aws:kms:us-east-1:1:key/gone"), 3, "data key cannot be opened with arn:"),
        (("decrypt", *PLACE, "--table", "log", "--to", "x"), 2, "invalid choice: 'log'"),
        (("decrypt", *PLACE, "--table", "variable"), 2, "required: --to"),
        (("snapshot", *PLACE), 2, "required: --kms-key"),
        (("snapshot", *PLACE, "--kms-key", "k", "--table", "log"), 2, "'log'; accepted: NAME=carry or NAME=skip"),
        (("restore", *PLACE, "--in-flight", "keep"), 2, "invalid choice: 'keep'"),
        (("go-live", *PLACE, "--parse-deadline-seconds", "-1"), 2, "'-1' is no whole number"),
        (("restore", *PLACE, "--history-days", "0"), 2, "'0' is no number of days from 1 to 36500"),
    ],
)
def test_wrong_usage_says_what_is_accepted(
    stored: Stored, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    stored.snapshot()
    said = Said(capsys, *arguments)
    assert (said.code, message in said.err) == (code, True), said.err


def test_no_credentials_and_no_answer_are_told_apart_from_damage(
    stored: Stored, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    said = Said(capsys, "verify", *PLACE, "--json")
    assert said.code == 3
    assert "AWS cannot be asked (EndpointConnectionError)" in said.err
    assert said.json["exit_code"] == 3


def test_the_database_is_never_touched_before_everything_else_is_known_to_be_right(
    stored: Stored, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.snapshot()
    for command in (("snapshot", "--kms-key", stored.key_arn), ("restore",), ("go-live",)):
        monkeypatch.delenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", raising=False)
        assert "SQL_ALCHEMY_CONN: the variable is not set" in Said(capsys, *command, *PLACE).err
        monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", URL)
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret-that-is-no-key")
        said = Said(capsys, *command, *PLACE)
        assert said.code == 2
        assert "AIRFLOW__CORE__FERNET_KEY: it is no Fernet key" in said.err
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        down = Said(capsys, *command, *PLACE)
        assert (down.code, "127.0.0.1/airflow: " in down.err) == (3, True), down.err
        assert "secret-" not in said.out + said.err + down.out + down.err
    assert stored.store.snapshot_ids() == [ID]


def test_what_is_in_a_snapshot(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    stored.snapshot()
    verify.record(stored.store, verify.read_back(stored.store, stored.kms, ID))
    said = Said(capsys, "inspect", *PLACE, "--snapshot", "newest")
    assert said.code == 0
    for line in (
        "cut at 2026-01-31T23:59:59+00:00, ",
        "Airflow 2.10.3, mode full",
        "schema alembic_version 5f2621c13b39; PostgreSQL 15.7",
        "read back: good",
        "  serialized_dag  Airflow regenerates it",
        "nothing is known of them: plugin_notes",
        "unpaused at the cut (1): reports",
        "paused at the cut (1): dormant",
        "  running  reports / manual__1 / load\n",
    ):
        assert line in said.out + "\n", line
    assert re.search(r"^  dag_run +2 +\d+ +0 +\d+$", said.out, re.M), said.out
    document = Said(capsys, "inspect", *PLACE, "--snapshot", ID, "--json").json
    assert document["in_flight"] == [["reports", "manual__1", "load", -1, "running"]]
    assert document["tables"][0]["phases"]["state"]["rows"] == 2


def test_which_snapshots_there_are(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    stored.snapshot()
    stored.snapshot(OTHER_ID)
    begun = "20260301T000000Z-0a1b2c3d"
    stored.store.put(begun, "spec.json", b"{}")
    stored.s3.delete_object(Bucket=BUCKET, Key=stored.store.key(ID, "spec.json"))
    verify.record(stored.store, verify.read_back(stored.store, stored.kms, ID))
    said = Said(capsys, "inspect", *PLACE)
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == [begun, OTHER_ID, ID]
    ends = [line.split("  ")[-1] for line in said.out.splitlines()[1:]]
    assert ends[0].startswith("no good: manifest.json: there is no s3://")
    assert ends[1:] == ["not yet", "DAMAGED: spec.json"]
    assert "  and 2 older" in Said(capsys, "inspect", *PLACE, "--limit", "1").out
    assert Said(capsys, "inspect", *PLACE, "--json").json["snapshots"][1]["rows"] == 9
    assert Said(capsys, "inspect", "--bucket", BUCKET, "--environment", "other").out == "there is no snapshot\n"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            "connection",
            {
                "one": {"conn_type": "http", "password": PASSWORD, "port": 8080, "extra": '{"a": 1}'},
                "two": {"conn_type": "http", "password": None, "port": None, "extra": ""},
            },
        ),
        ("variable", {"one": VALUE}),
        ("trigger", [{"id": "7", "classpath": "x.Y", "kwargs": json.dumps({"token": TOKEN})}]),
    ],
)
def test_secrets_go_to_a_new_file_that_only_its_owner_reads(
    stored: Stored, capsys: pytest.CaptureFixture[str], tmp_path: Path, table: str, expected: Any
) -> None:
    """Failure covered: decrypted secrets left where others read them."""
    stored.snapshot()
    path = tmp_path / "clear.json"
    mask = os.umask(0)
    try:
        said = Said(capsys, "decrypt", *PLACE, "--table", table, "--to", str(path))
    finally:
        os.umask(mask)
    assert (said.code, "in clear text" in said.out) == (0, True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = json.loads(path.read_text())
    if table == "connection":
        nothing = dict.fromkeys(("description", "host", "login", "schema"))
        expected = {name: nothing | values for name, values in expected.items()}
    assert found == expected
    before = path.read_bytes()
    again = Said(capsys, "decrypt", *PLACE, "--table", table, "--to", str(path))
    assert (again.code, "is there already" in again.err, path.read_bytes()) == (2, True, before)


@pytest.mark.parametrize("to", ["/dev/stdout", "link", "nowhere/file"])
def test_secrets_go_nowhere_else(
    stored: Stored, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    stored.snapshot()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    said = Said(capsys, "decrypt", *PLACE, "--table", "variable", "--to", to)
    assert (said.code, "--to: " in said.err) == (2, True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_damaged_table_leaves_no_file(stored: Stored, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stored.snapshot()
    stored.claim("variable.sealed", stored.body("connection.sealed"))
    said = Said(capsys, "decrypt", *PLACE, "--table", "variable", "--to", str(tmp_path / "x"))
    assert (said.code, list(tmp_path.iterdir())) == (1, [])
    assert "snapshot object variable.sealed: it was not sealed by this snapshot's key" in said.err


def test_it_runs_as_a_module_with_no_airflow_around(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Failure covered: a tool for the day when Airflow is gone needs Airflow."""
    code = (
        "import runpy, sys; sys.modules['airflow'] = None; sys.argv = ['continuity', 'verify', '--help']; "
        "runpy.run_module('continuity', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "PYTHONPATH": str(pytestconfig.rootpath / "dags")},
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    )
    assert "--record" in done.stdout
