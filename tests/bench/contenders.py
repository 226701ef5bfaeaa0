"""What is measured. Each contender leaves what it made for those that come after it in the same round."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from tests.bench.generate import FILLED, change
from tests.bench.measure import run_program, run_work, with_database_cpu
from tests.bench.setting import BLANK, BUCKET, LIVED_IN, Setting, program, source_of
from tests.bench.work import Order

Sample = dict[str, Any]
#: Of less, the change that is made would be most of it, and the engine takes everything anew.
WORTH_A_DELTA = 100_000
SNAPSHOT_ID = "20260601T000000Z-0000000a"


@dataclass(frozen=True)
class Contender:
    """Something to measure: its name, how many task instances there are, and how to do it once."""

    name: str
    task_instances: int
    run: Callable[[], Sample]


class Contenders:
    """All there is to measure over one number of task instances."""

    def __init__(self, setting: Setting, task_instances: int) -> None:
        self.setting, self.task_instances = setting, task_instances
        self.source = source_of(task_instances)
        self.scratch = setting.scratch / str(task_instances)
        self.scratch.mkdir(exist_ok=True)
        self._has_base = False
        self.order = Order(
            action="bare",
            dsn=setting.cluster.dsn(self.source),
            snapshot_id=SNAPSHOT_ID,
            environment=f"bench-{task_instances}",
            fernet_key=setting.fernet_key,
            kms_key=setting.kms_key,
            bucket=BUCKET,
            airflow_version=setting.airflow_version,
        )

    def ours(self) -> list[Contender]:
        """What is measured over every size: the way by S3, in which memory and the time to go live are told."""
        return self._listed(self.bare, self.snapshot_s3, *self._deltas(), *self._exports(), self.restore_s3)

    def all(self) -> list[Contender]:
        """Everything, snapshots before what needs them."""
        return self._listed(
            self.bare,
            self.pg_dump,
            self.snapshot_local,
            self.copy_out,
            self.snapshot_s3,
            *self._deltas(),
            *self._exports(),
            self.row_wise_snapshot,
            self.pg_restore_data_only,
            self.restore_local,
            self.pg_restore_full,
            self.restore_s3,
            self.copy_in,
            self.row_wise_restore,
        )

    def bare(self) -> Sample:
        return self.work("bare")

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot_local(self) -> Sample:
        self._emptied("sink")
        return self._measured(lambda: self.work("snapshot", folder=str(self.scratch / "sink")))

    def snapshot_s3(self) -> Sample:
        self._forget(f"snapshots/{self.order.environment}/")
        return self._measured(lambda: self.work("snapshot"))

    def delta(self) -> Sample:
        """To S3, after the same change every time; the first one finds that there is no base yet, and takes it."""
        dbname, environment = f"changing_{self.task_instances}", f"changing-{self.task_instances}"
        order = {"dsn": self.setting.cluster.dsn(dbname), "environment": environment}
        if not self._has_base:
            self.setting.cluster.drop(dbname)
            self.setting.cluster.create(dbname, template=self.source)
            self.work("proven_snapshot", snapshot_id=snapshot_id_of_now(), **order)
            self._has_base = True
        with closing(psycopg2.connect(order["dsn"])) as connection, connection, connection.cursor() as cursor:
            change(cursor)
        sample = self._measured(lambda: self.work("snapshot", snapshot_id=snapshot_id_of_now(), **order))
        assert sample["is_delta"], "there is a base, and little has changed"
        return sample

    def export(self) -> Sample:
        """To the lake, for the first time."""
        self._forget("lake/")
        return self._measured(lambda: self.work("export"))

    def export_of_changes(self) -> Sample:
        """To the lake, after the same change every time."""
        dbname, environment = f"exported_{self.task_instances}", f"exported-{self.task_instances}"
        order = {"dsn": self.setting.cluster.dsn(dbname), "environment": environment}
        self.setting.cluster.drop(dbname)
        self.setting.cluster.create(dbname, template=self.source)
        self._forget("lake/")
        self.work("export", **order)
        with closing(psycopg2.connect(order["dsn"])) as connection, connection, connection.cursor() as cursor:
            change(cursor)
        sample = self._measured(lambda: self.work("export", **order))
        assert sample["is_day"], "the database is the same, so its transactions tell what changed"
        return sample

    def row_wise_snapshot(self) -> Sample:
        self._forget(f"row_wise/{SNAPSHOT_ID}/")
        return self._measured(lambda: self.work("row_wise_snapshot"))

    def pg_dump(self) -> Sample:
        folder = self._emptied("dump")
        dump = [program("pg_dump"), "-Fd", "-Z1", "-f"]
        sample = self._measured(lambda: run_program([*dump, folder, "-j2", self.order.dsn]))
        # What pg_restore brings back by itself must be in the order of foreign keys, which only such a dump has.
        if not (self.scratch / "dump_of_data").exists():
            run_program([*dump, self.scratch / "dump_of_data", "--data-only", self.order.dsn])
        return {**sample, "bytes": bytes_below(folder)}

    def copy_out(self) -> Sample:
        folder = self._emptied("copy")
        folder.mkdir()
        sample = self._measured(lambda: run_program(self._psql(self.order.dsn, "TO")))
        return {**sample, "bytes": bytes_below(folder)}

    # -- restores ----------------------------------------------------------------------------------------------------

    def restore_local(self) -> Sample:
        return self._restored(LIVED_IN, lambda dsn: self.work("restore", dsn=dsn, folder=str(self.scratch / "sink")))

    def restore_s3(self) -> Sample:
        return self._restored(LIVED_IN, lambda dsn: self.work("restore", dsn=dsn))

    def row_wise_restore(self) -> Sample:
        return self._restored(BLANK, lambda dsn: self.work("row_wise_restore", dsn=dsn))

    def pg_restore_data_only(self) -> Sample:
        restore = [program("pg_restore"), "--data-only", "--exit-on-error", "-d"]
        return self._restored(BLANK, lambda dsn: run_program([*restore, dsn, self.scratch / "dump_of_data"]))

    def pg_restore_full(self) -> Sample:
        restore = [program("pg_restore"), "-j2", "--no-owner", "--exit-on-error", "-d"]
        return self._restored(None, lambda dsn: run_program([*restore, dsn, self.scratch / "dump"]))

    def copy_in(self) -> Sample:
        return self._restored(BLANK, lambda dsn: run_program(self._psql(dsn, "FROM")))

    # -- beside a scheduler ------------------------------------------------------------------------------------------

    def snapshot_of(self, dbname: str) -> Sample:
        self._emptied("sink_beside")
        return self.work("snapshot", dsn=self.setting.cluster.dsn(dbname), folder=str(self.scratch / "sink_beside"))

    def restore_into(self, dbname: str) -> Sample:
        """Of the snapshot that `snapshot_of` took."""
        return self.work("restore", dsn=self.setting.cluster.dsn(dbname), folder=str(self.scratch / "sink_beside"))

    # -- what they share ---------------------------------------------------------------------------------------------

    def _deltas(self) -> list[Callable[[], Sample]]:
        return [self.delta] if self.task_instances >= WORTH_A_DELTA else []

    def _exports(self) -> list[Callable[[], Sample]]:
        return [self.export, self.export_of_changes]

    def _listed(self, *runs: Callable[[], Sample]) -> list[Contender]:
        return [Contender(run.__name__, self.task_instances, run) for run in runs]

    def within(self, dsn: str) -> Callable[..., Sample]:
        """`work` in one database."""
        return partial(self.work, dsn=dsn)

    def work(self, action: str, **changed: Any) -> Sample:
        """What `tests.bench.work` says of an action; `changed`: what of the order is another one than ours."""
        return run_work(self.setting.python, replace(self.order, action=action, **changed), self.setting.environment())

    def _measured(self, work: Callable[[], Sample]) -> Sample:
        """Everybody begins with nothing left to be written by the database."""
        self.setting.administer("CHECKPOINT")
        return with_database_cpu(self.setting.server_pid, work)

    def _restored(self, template: str | None, work: Callable[[str], Sample]) -> Sample:
        with self.setting.database(template) as name:
            return self._measured(lambda: work(self.setting.cluster.dsn(name)))

    def _psql(self, dsn: str, direction: str) -> list[str | Path]:
        files = {table: self.scratch / "copy" / table for table in FILLED}
        copies = [part for table, file in files.items() for part in ("-c", f"\\copy {table} {direction} '{file}'")]
        return [program("psql"), "-q", "-v", "ON_ERROR_STOP=1", *copies, dsn]

    def _emptied(self, name: str) -> Path:
        """A place in the scratch folder where nothing is."""
        folder = self.scratch / name
        if folder.exists():
            shutil.rmtree(folder)
        return folder

    def _forget(self, prefix: str) -> None:
        """Delete what an earlier round stored in S3."""
        s3 = self.setting.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
            for found in page.get("Contents", ()):
                s3.delete_object(Bucket=BUCKET, Key=found["Key"])


def snapshot_id_of_now() -> str:
    """What a schedule would call it: bases are looked for by the time in their names."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def described(sample: Sample) -> str:
    """A sample in one line."""
    return json.dumps({name: round(value, 2) if isinstance(value, float) else value for name, value in sample.items()})
