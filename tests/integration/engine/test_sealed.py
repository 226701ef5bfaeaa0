"""No secret anywhere: everything that a snapshot, its reading back and a restore produce, and every error provoked on
the way, is searched for the planted ones."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography.fernet import Fernet
from psycopg2 import sql
from sqlalchemy import create_engine

from continuity import connect, secrets, tasks
from continuity.cli import main
from continuity.errors import ContinuityError, SnapshotDamaged, UnreadableSecret
from continuity.manifest import read_manifest
from continuity.secrets import FernetKeys
from tests.integration.engine.oracle import ask, cursor_on, everything
from tests.integration.engine.worker import Side

SNAPSHOT, SECOND = "20260401T000000Z-0000ca1f", "20260402T000000Z-0000ca1f"
TOKEN = "AAAAKg-task-token-planted"
PLANTED = {
    "password": "pa55w0rd of a connection",
    "extra": '{"key": "extra-of-a-connection"}',
    "variable": "va1ue of a variable",
    "clear": "va1ue of a variable that is not encrypted",
    "argument": "argument-of-a-trigger",
}


def plant(side: Side) -> None:
    """Secrets as Airflow stores them, and one it was told to keep in clear text."""
    fernet = Fernet(side.fernet_key)

    def cipher(text: str) -> str:
        return fernet.encrypt(text.encode()).decode()

    statements: list[tuple[str, tuple[Any, ...]]] = [
        (
            "INSERT INTO connection (conn_id, conn_type, password, extra, is_encrypted, is_extra_encrypted)"
            " VALUES ('planted', 'http', %s, %s, true, true)",
            (cipher(PLANTED["password"]), cipher(PLANTED["extra"])),
        ),
        (
            "INSERT INTO variable (key, val, is_encrypted) VALUES ('planted', %s, true), ('planted clear', %s, false)",
            (cipher(PLANTED["variable"]), PLANTED["clear"]),
        ),
        (
            "INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('planted.Trigger', %s, now())",
            (cipher(json.dumps({"token": PLANTED["argument"]})),),
        ),
    ]
    with cursor_on(side) as cursor:
        for statement, values in statements:
            cursor.execute(statement, values)


@cache
def forms(secret: bytes) -> set[bytes]:
    """How a secret may show: as it is, escaped, in hex, and in base64 at any place of what was encoded."""
    found = {secret, secret.hex().encode(), repr(secret)[2:-1].encode()}
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret)
        # Without the ends, which depend on what stands before and after.
        found |= {whole[4 * bool(shift) : -4], base64.urlsafe_b64encode(bytes(shift) + secret)[4 * bool(shift) : -4]}
    return found


@dataclass
class Produced:
    """Everything that came out, and what must not be in it."""

    needles: dict[str, bytes]
    found: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, where: str, content: str | bytes) -> None:
        self.found.append((where, content.encode() if isinstance(content, str) else content))

    def leaks(self) -> list[str]:
        return [
            f"{name} in {where}"
            for where, content in self.found
            for name, secret in self.needles.items()
            if any(form in content for form in forms(secret))
        ]


class Telling:
    """Step Functions that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def send_task_heartbeat(self, **message: Any) -> None:
        self.told.append(message)

    send_task_success = send_task_failure = send_task_heartbeat


@dataclass
class Worker:
    """A task process of one side, without the Airflow around it; `fail_on` makes S3 refuse a key."""

    side: Side
    patch: pytest.MonkeyPatch
    states: Telling = field(default_factory=Telling)
    fail_on: str = ""

    def __enter__(self) -> Worker:
        url = self.side.dsn.replace("postgresql://", "postgresql+psycopg2://")
        self.patch.setattr(tasks, "load_settings", self.side.parsed)
        self.patch.setattr(tasks, "client", self.client(tasks.client))
        self.patch.setattr(tasks, "_refuse_if_fenced", lambda _settings: None)
        self.patch.setattr(connect, "engine", lambda: create_engine(url))
        self.patch.setattr(connect, "fernet_keys", lambda: FernetKeys(self.side.fernet_key))
        self.patch.setattr(connect, "airflow_version", lambda: self.side.airflow_version)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()

    def client(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def make(service: str, *arguments: Any) -> Any:
            if service == "stepfunctions":
                return self.states
            client = real(service, *arguments)
            client.meta.events.register("before-parameter-build.s3", self.refuse)
            return client

        return make

    def refuse(self, params: dict[str, Any], **_: Any) -> None:
        if self.fail_on and params.get("Key", "").endswith(self.fail_on):
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "slow down"}}, "PutObject")

    def run(self, task: Callable[[Any], Any], **conf: Any) -> Any:
        """Run a task as the state machine does: with a token to answer."""
        key = f"work/{self.side.environment}/r.json"
        boto3.client("s3").put_object(Bucket=self.side.bucket, Key=key, Body=json.dumps({"task_token": TOKEN}))
        return task({"request_id": "r", **conf})


@pytest.fixture
def produced(
    sides: Callable[..., Side], caplog: pytest.LogCaptureFixture
) -> Iterator[tuple[Side, Callable[..., Side], Produced]]:
    """A source with secrets, a maker of targets, and what is produced; the log is read at its finest."""
    source = sides("source")
    plant(source)
    needles = {name: text.encode() for name, text in PLANTED.items()}
    needles["extra"] = b"extra-of-a-connection"
    needles |= {"Fernet key": source.fernet_key.encode(), "task token": TOKEN.encode()}
    caplog.set_level(logging.DEBUG)
    levels = {name: logging.getLogger(name).level for name in ("botocore", "boto3", "urllib3")}

    def target() -> Side:
        made = sides("target", environment=source.environment)
        needles[f"Fernet key {len(needles)}"] = made.fernet_key.encode()
        return made

    yield source, target, Produced(needles)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def provoke(
    told: Produced, stage: str, kind: type[BaseException], act: Callable[[], Any], match: str | None = None
) -> None:
    """An error on purpose, kept as a log shows it: with everything it was caused by."""
    with pytest.raises(kind, match=match) as error:
        act()
    told.add(f"error of {stage}", "".join(traceback.format_exception(error.value)))


def test_no_secret_is_in_anything_that_is_produced(
    produced: tuple[Side, Callable[[], Side], Produced],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Failure covered: decrypted secrets left in files; plain text in XCom; passwords in logs and exceptions; the
    task token in the log."""
    source, make_target, told = produced
    with Worker(source, monkeypatch) as primary:
        for number, failing in enumerate(("variable.sealed", "manifest.json")):
            primary.fail_on = failing
            broken = f"20260331T00000{number}Z-0000ca1f"
            provoke(told, "snapshot", ClientError, lambda to=broken: primary.run(tasks.snapshot, snapshot_id=to))
        primary.fail_on = ""
        for snapshot_id in (SNAPSHOT, SECOND):
            for task in (tasks.snapshot, tasks.verified):
                told.add("XCom", json.dumps(primary.run(task, snapshot_id=snapshot_id)))
        damage(source, SECOND, "variable.sealed", "connection.sealed")
        provoke(told, "verify", SnapshotDamaged, lambda: primary.run(tasks.verified, snapshot_id=SECOND))
        monkeypatch.setattr(connect, "fernet_keys", lambda: FernetKeys(Fernet.generate_key().decode()))
        broken = "20260331T000009Z-0000ca1f"
        provoke(told, "wrong key", UnreadableSecret, lambda: primary.run(tasks.snapshot, snapshot_id=broken))
        told.add("messages to the state machine", json.dumps([without_token(said) for said in primary.states.told]))
    key = data_key(source)
    told.needles["data key"] = key

    target = make_target()
    with Worker(target, monkeypatch) as secondary:
        provoke(
            told,
            "restore of a bad one",
            SnapshotDamaged,
            lambda: secondary.run(tasks.restored_state, snapshot_id=SECOND),
        )
        for table in ("connection", "variable"):
            with refusing(target, table):
                provoke(
                    told,
                    f"restore of {table}",
                    ContinuityError,
                    lambda: secondary.run(tasks.restored_state, snapshot_id=SNAPSHOT),
                    match=f"table {table}: .*SQLSTATE 23514",
                )
        told.add("XCom", json.dumps(secondary.run(tasks.restored_state, snapshot_id=SNAPSHOT)))
        told.add("XCom", json.dumps(secondary.run(tasks.restored_history, snapshot_id=SNAPSHOT)))
        with refusing(target, "trigger"):
            provoke(
                told,
                "go live",
                ContinuityError,
                lambda: secondary.run(tasks.gone_live, snapshot_id=SNAPSHOT, parse_deadline_seconds=0),
                match="table trigger: ",
            )
        told.add("XCom", json.dumps(secondary.run(tasks.gone_live, snapshot_id=SNAPSHOT, parse_deadline_seconds=0)))
        told.add("messages to the state machine", json.dumps([without_token(said) for said in secondary.states.told]))

    for arguments in commands(source):
        main(arguments)
        for form in ((), ("--json",)):
            main((*arguments, "--verbose", *form))
    with_tool(make_target(), monkeypatch)
    captured = capsys.readouterr()
    told.add("output of the tool", captured.out)
    told.add("messages of the tool", captured.err)
    told.add("log", caplog.text)
    told.add("unexpanded log", "\n".join(repr(record.__dict__) for record in caplog.records))
    for name, body in objects(source):
        told.add(name, body)
        if body.startswith(b"\x1f\x8b"):
            told.add(f"{name}, unpacked", gzip.decompress(body))

    assert told.leaks() == []
    assert all(text for where, text in told.found if where.startswith(("log", "output", "messages", "error")))
    assert restored_secrets(target) == PLANTED, "what was searched for did come over"
    told.add("control", base64.b64encode(b"xy" + PLANTED["variable"].encode() + b"z"))
    told.add("control", b"..." + PLANTED["password"].encode())
    told.add("control", base64.b64encode(key))
    assert len(told.leaks()) == 3, "the search finds what is there"


@pytest.mark.usually_once
def test_the_search_would_find_the_data_key_in_the_log_of_botocore(
    produced: tuple[Side, Callable[[], Side], Produced], caplog: pytest.LogCaptureFixture
) -> None:
    """Failure covered: at DEBUG the data key of a snapshot stands in the task's log in clear text."""
    source, _, told = produced
    source.snapshot(SNAPSHOT)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    told.needles["data key"] = data_key(source)
    told.add("log", caplog.text)
    assert told.leaks() == ["data key in log"]


def moved_from_another_table(side: Side) -> str:
    damage(side, SNAPSHOT, "variable.sealed", "connection.sealed")
    return r"variable\.sealed: it was not sealed by this snapshot's key as .*/variable"


def moved_from_another_snapshot(side: Side) -> str:
    side.snapshot(SECOND)
    body = side.store.read_if_present(SECOND, "trigger.sealed") or b""
    claim(side, SNAPSHOT, "trigger.sealed", body)
    return r"trigger\.sealed: it was not sealed by this snapshot's key"


def altered(side: Side) -> str:
    body = side.store.read_if_present(SNAPSHOT, "connection.sealed") or b""
    claim(side, SNAPSHOT, "connection.sealed", body[:-1] + bytes([body[-1] ^ 1]))
    return r"connection\.sealed: it was not sealed by this snapshot's key"


def key_of_another_snapshot(side: Side) -> str:
    side.snapshot(SECOND)
    manifest = side.store.read_json(SNAPSHOT, "manifest.json")
    manifest["encryption"] = side.store.read_json(SECOND, "manifest.json")["encryption"]
    side.store.put(SNAPSHOT, "manifest.json", json.dumps(manifest).encode())
    return r"manifest\.json: its data key was altered, or is of another snapshot"


@pytest.mark.usually_once
@pytest.mark.parametrize(
    "harm", [moved_from_another_table, moved_from_another_snapshot, altered, key_of_another_snapshot]
)
def test_who_can_write_the_manifest_too_is_refused_by_name(
    sides: Callable[..., Side], harm: Callable[[Side], str]
) -> None:
    """Failure covered: secrets of another snapshot or table are restored, because hashes are all that is compared."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    message = harm(source)
    target = sides("target", environment=source.environment)
    before = everything(target)
    with pytest.raises(SnapshotDamaged, match=message):
        target.restore_state(SNAPSHOT)
    assert everything(target) == before, "triggers too, though they are not needed before going live"


def claim(side: Side, snapshot_id: str, name: str, body: bytes) -> None:
    """Replace an object, and let the manifest claim what it has become."""
    side.store.put(snapshot_id, name, body)
    manifest = side.store.read_json(snapshot_id, "manifest.json")
    entry = next(entry for table in manifest["tables"] for entry in table["objects"] if entry["name"] == name)
    entry.update(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
    side.store.put(snapshot_id, "manifest.json", json.dumps(manifest).encode())


def damage(side: Side, snapshot_id: str, name: str, by: str) -> None:
    """Put one sealed object in the place of another, as somebody does who can write the manifest too."""
    claim(side, snapshot_id, name, side.store.read_if_present(snapshot_id, by) or b"")


class refusing:
    """A table that takes no row, and whose refusal shows the row in PostgreSQL's own words."""

    def __init__(self, side: Side, table: str) -> None:
        self.side, self.table = side, sql.Identifier(table)

    def __enter__(self) -> None:
        ask(self.side, sql.SQL("ALTER TABLE {} ADD CONSTRAINT none CHECK (false) NOT VALID").format(self.table))
        self.before = everything(self.side)

    def __exit__(self, *_: object) -> None:
        assert everything(self.side) == self.before
        ask(self.side, sql.SQL("ALTER TABLE {} DROP CONSTRAINT none").format(self.table))


def without_token(message: dict[str, Any]) -> dict[str, Any]:
    """What the state machine was told, but for the token that says who is told."""
    assert message["taskToken"] == TOKEN
    return {name: value for name, value in message.items() if name != "taskToken"}


def data_key(side: Side) -> bytes:
    manifest = read_manifest(side.store, SNAPSHOT)
    kms = boto3.client("kms", region_name="us-east-1")
    return secrets.open_data_key(kms, None, manifest.encrypted_data_key, manifest.key_context).plain


def commands(side: Side) -> Iterator[tuple[str, ...]]:
    place = ("--bucket", side.bucket, "--environment", side.environment)
    for snapshot_id in (SNAPSHOT, SECOND):
        yield "verify", *place, "--snapshot", snapshot_id
        yield "inspect", *place, "--snapshot", snapshot_id
    yield "inspect", *place
    yield "decrypt", *place, "--snapshot", SECOND, "--table", "variable", "--to", "/dev/stdout"


def with_tool(target: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore by the tool, first where the database refuses."""
    place = ("--bucket", target.bucket, "--environment", target.environment, "--snapshot", SNAPSHOT, "--verbose")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", target.dsn)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", target.fernet_key)
    with refusing(target, "variable"):
        assert main(("restore", *place)) == 1
    assert main(("restore", *place)) == 0
    assert main(("go-live", *place, "--parse-deadline-seconds", "0")) == 1


def objects(side: Side) -> Iterator[tuple[str, bytes]]:
    s3 = boto3.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=side.bucket, Prefix=f"snapshots/{side.environment}/"
    ):
        for entry in page["Contents"]:
            yield entry["Key"], s3.get_object(Bucket=side.bucket, Key=entry["Key"])["Body"].read()


def restored_secrets(side: Side) -> dict[str, str]:
    """The planted secrets as the target's own key opens them."""
    fernet = Fernet(side.fernet_key)
    ((password, extra),) = ask(side, "SELECT password, extra FROM connection WHERE conn_id = 'planted'")
    ((value,),) = ask(side, "SELECT val FROM variable WHERE key = 'planted'")
    ((clear,),) = ask(side, "SELECT val FROM variable WHERE key = 'planted clear'")
    ((kwargs,),) = ask(side, "SELECT kwargs FROM trigger WHERE classpath = 'planted.Trigger'")
    opened = {name: fernet.decrypt(text.encode()).decode() for name, text in
              (("password", password), ("extra", extra), ("variable", value), ("argument", kwargs))}  # fmt: skip
    return {**opened, "argument": json.loads(opened["argument"])["token"], "clear": clear}
