"""Metadata as unpleasant as PostgreSQL and Airflow allow, from a seed: every table has rows, every reference holds."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet
from psycopg2.extras import Json

from tests.integration.engine.nasty3 import add_versions, fill_assets, fill_runs, fill_task_instance
from tests.integration.engine.rows import EPOCH, NASTY, Rows

FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")
UNFINISHED = (
    None,
    "scheduled",
    "queued",
    "running",
    "restarting",
    "deferred",
    "up_for_retry",
    "up_for_reschedule",
)


@dataclass
class World(Rows):
    """Fills one database of any Airflow version."""

    fernet: Fernet | None = None
    dags: int = 6
    runs: int = 12
    prefix: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        #: What is a dataset in Airflow 2 is an asset in Airflow 3.
        self.word = "asset" if self.has("asset") else "dataset"
        self.versions: dict[str, list[str]] = {}

    def fill(self) -> None:
        self._access()
        self._settings_of_people()
        self._log_templates()
        self._jobs()
        self._assets()
        self.insert("dag_bundle", name="dags-folder", active=True, version=None)
        for number in range(self.dags):
            self._dag(f"{self.prefix}dag_{number}", number)
        self._metadata_dag()
        self._consumption()
        self._log()
        if self.has("asset"):
            fill_assets(self)

    def add_run(self, dag_id: str, date: datetime, run_id: str, **values: Any) -> int:
        """Insert a run; `date` orders it among its DAG's."""
        dated = {"execution_date": date, "logical_date": date, "run_after": date}
        versions = self.versions.get(dag_id)
        version = {"created_dag_version_id": self.random.choice(versions) if versions else None}
        return int(self.insert("dag_run", dag_id=dag_id, run_id=run_id, **{**dated, **version, **values}))

    def secret(self, value: str) -> str:
        assert self.fernet
        return self.fernet.encrypt(value.encode()).decode()

    # -- what people set up ------------------------------------------------------------------------------------------

    def _access(self) -> None:
        permissions = self.insert_many("ab_permission", [{"name": f"{self.prefix}can_{n}"} for n in range(4)])
        views = self.insert_many("ab_view_menu", [{"name": f"{self.prefix}View {n} \u2603"} for n in range(4)])
        pairs = self.insert_many(
            "ab_permission_view",
            [{"permission_id": permission, "view_menu_id": view} for permission in permissions for view in views],
        )
        roles = self.insert_many("ab_role", [{"name": f"{self.prefix}role {n}"} for n in range(3)])
        self.insert_many(
            "ab_permission_view_role",
            [{"permission_view_id": pair, "role_id": role} for role in roles for pair in pairs if (pair + role) % 3],
        )
        self.roles = roles
        self.users: list[int] = []
        for number in range(4):
            creator = self.users[0] if self.users else None
            user = self.insert(
                "ab_user",
                first_name=self.text(256),
                last_name=self.text(256),
                username=f"{self.prefix}User{number}",
                password=self.maybe("scrypt:32768:8:1$salt$" + "0" * 40),
                active=self.random.choice([True, False, None]),
                email=f"{self.prefix}{number}@example.org",
                last_login=self.maybe(self.moment().replace(tzinfo=None)),
                login_count=self.maybe(number),
                created_by_fk=creator,
                changed_by_fk=creator,
            )
            self.users.append(user)
            self.insert("ab_user_role", user_id=user, role_id=self.random.choice(roles))

    def _settings_of_people(self) -> None:
        for number, text in enumerate(NASTY):
            encrypted = number % 3 != 0
            self.insert(
                "variable",
                key=f"{self.prefix}var {number} {text[:20]}",
                val=self.secret(text) if encrypted else text,
                description=self.maybe(self.text()),
                is_encrypted=encrypted,
            )
            extra = json.dumps({"nested": {"text": text}}) if number % 4 else None
            self.insert(
                "connection",
                conn_id=f"{self.prefix}conn {number}",
                conn_type=self.text(500),
                description=self.maybe(text),
                host=self.maybe(text[:500]),
                schema=self.maybe(text[:500]),
                login=self.maybe(text),
                password=None if number == 5 else (self.secret(text) if encrypted else text),
                port=self.random.choice([None, 0, 1, 65535]),
                is_encrypted=encrypted,
                is_extra_encrypted=extra is not None and encrypted,
                extra=self.secret(extra) if extra is not None and encrypted else extra,
            )
        self.insert("variable", key=f"{self.prefix}no value", val=None, description=None, is_encrypted=False)
        self.insert("variable", key=f"{self.prefix}region_bucket", val=f"bucket of {self.seed}", is_encrypted=False)
        self.insert("variable", key=f"continuity_{self.prefix}own", val="own", is_encrypted=False)
        self.insert("connection", conn_id=f"{self.prefix}region_db", conn_type="x", host=f"host of {self.seed}")
        for number in range(3):
            self.insert(
                "slot_pool",
                pool=f"{self.prefix}pool {number}",
                slots=self.random.choice([-1, 0, 7]),
                description=self.maybe(self.text()),
                include_deferred=bool(number % 2),
            )

    def _log_templates(self) -> None:
        self.templates = self.insert_many(
            "log_template",
            [
                {
                    "filename": f"{self.prefix}old/{n}/{{{{ ti.run_id }}}}.log",
                    "elasticsearch_id": "x",
                    "created_at": EPOCH,
                }
                for n in range(2)
            ],
        )
        # Airflow goes by the highest id: the installation's own template comes last.
        self.cursor.execute(
            "INSERT INTO log_template (filename, elasticsearch_id, created_at)"
            " SELECT filename, elasticsearch_id, created_at FROM log_template WHERE id <= 2 ORDER BY id DESC LIMIT 1"
            " RETURNING id"
        )
        self.templates.append(self.cursor.fetchone()[0])

    def _jobs(self) -> None:
        states = ["running", "success", "failed", "restarting", None]
        self.jobs = self.insert_many(
            "job",
            [
                {
                    "dag_id": self.maybe(f"{self.prefix}dag_0"),
                    "state": states[n % 5],
                    "job_type": self.random.choice(["SchedulerJob", "LocalTaskJob", "TriggererJob"]),
                    "start_date": self.moment(),
                    "end_date": None if n % 5 == 0 else self.moment(),
                    "latest_heartbeat": self.moment(),
                    "executor_class": self.maybe("CeleryExecutor"),
                    "hostname": self.text(500),
                    "unixname": "airflow",
                }
                for n in range(20)
            ],
        )

    def _assets(self) -> None:
        self.assets = self.insert_many(
            self.word,
            [
                {
                    "name": f"{self.prefix}asset {n} \u2603",
                    "uri": f"s3://{self.prefix}bucket/{n}/\u2603 \\N",
                    "group": self.text(1500),
                    "extra": Json({"n": n, "text": NASTY[n % 16]}),
                    "created_at": self.moment(),
                    "updated_at": self.moment(),
                    "is_orphaned": bool(n % 2),
                }
                for n in range(5)
            ],
        )
        aliases = [{"name": f"{self.prefix}alias {n}", "group": self.text(1500)} for n in range(2)]
        self.aliases = self.insert_many(f"{self.word}_alias", aliases)
        pair = {"alias_id": self.aliases[0], f"{self.word}_id": self.assets[0]}
        self.insert(f"{self.word}_alias_{self.word}", **pair)

    # -- DAGs and their runs -----------------------------------------------------------------------------------------

    def _dag(self, dag_id: str, number: int) -> None:
        self.insert(
            "dag",
            dag_id=dag_id,
            is_paused=number % 3 == 1,
            is_subdag=False,
            is_active=number != 4,
            is_stale=number == 4,
            bundle_name="dags-folder",
            last_parsed_time=self.moment(),
            fileloc=f"/usr/local/airflow/dags/{dag_id}.py",
            owners=self.text(2000),
            description=self.maybe(self.text()),
            schedule_interval=json.dumps("@daily"),
            max_active_tasks=16,
            max_active_runs=16,
            max_consecutive_failed_dag_runs=number % 2 * 4,
            has_task_concurrency_limits=False,
            next_dagrun=EPOCH + timedelta(days=self.runs),
        )
        if self.has("dag_version"):
            self.versions[dag_id] = add_versions(self, dag_id, 3)
        # As the parser leaves it: which the scheduler asks for before it starts a run that assets trigger.
        if number == 2:
            for asset in self.assets[:2]:
                found = {f"{self.word}_id": asset}
                dates = {"created_at": EPOCH, "updated_at": EPOCH}
                self.insert(f"dag_schedule_{self.word}_reference", dag_id=dag_id, **found, **dates)
                queue = f"{self.word}_dag_run_queue"
                self.insert(queue, target_dag_id=dag_id, created_at=self.moment(), **found)
        for nth in range(self.runs):
            self._run(dag_id, number, nth)
        if self.has("backfill"):
            fill_runs(self, dag_id, number)

    def _run(self, dag_id: str, number: int, nth: int) -> None:
        run_type = f"{self.word}_triggered" if number == 2 else ("manual" if nth % 5 == 4 else "scheduled")
        date = EPOCH + timedelta(days=nth, microseconds=nth)
        unfinished = nth == self.runs - 1 or (nth == 3 and number == 0)
        if number == 5 and nth == 6:  # its driver is gone with the Region
            run_type, unfinished = "backfill", True
        run_id = f"{run_type}__{date.isoformat()}" if nth % 4 else f"{run_type}__{nth} nasty \\. \u2603\t"
        backfill = self._backfill(dag_id) if run_type == "backfill" else None
        dag_run = self.add_run(
            dag_id,
            date,
            run_id,
            queued_at=self.maybe(date),
            start_date=self.maybe(date),
            end_date=None if unfinished else date + timedelta(hours=1),
            state=self.random.choice(["running", "queued"])
            if unfinished
            else self.random.choice(["success", "failed"]),
            creating_job_id=self.maybe(self.random.choice(self.jobs)),
            scheduled_by_job_id=self.maybe(self.random.choice(self.jobs)),
            backfill_id=backfill,
            span_status=self.random.choice(["active", "not_started", "ended"]),
            external_trigger=run_type == "manual",
            run_type=run_type,
            conf=self.maybe(pickle.dumps({"text": self.text(), "large": "y" * (20000 if nth == 2 else 5)})),
            data_interval_start=self.maybe(date),
            data_interval_end=self.maybe(date),
            last_scheduling_decision=self.maybe(date),
            dag_hash=self.maybe("0" * 32),
            log_template_id=self.random.choice([None, *self.templates]),
            updated_at=date,
            clear_number=self.random.randrange(3),
        )
        if backfill:
            self.insert("backfill_dag_run", backfill_id=backfill, dag_run_id=dag_run, logical_date=date, sort_ordinal=1)
        if nth % 3 == 0:
            self.insert(
                "dag_run_note",
                dag_run_id=dag_run,
                user_id=self.maybe(self.random.choice(self.users)),
                content=self.text(1000),
                created_at=self.moment(),
                updated_at=self.moment(),
            )
        for task in range(5):
            states = UNFINISHED if unfinished else FINISHED
            state = states[(task + number + nth) % len(states)]
            key = {"dag_id": dag_id, "task_id": f"task_{task}", "run_id": run_id, "map_index": -1 if task else nth % 3}
            self._task_instance(dag_run, key, state, date)

    def _backfill(self, dag_id: str) -> Any:
        return self.insert(
            "backfill", dag_id=dag_id, from_date=EPOCH, to_date=EPOCH, max_active_runs=3, completed_at=None
        )

    def _task_instance(self, dag_run: int, key: dict[str, Any], state: str | None, date: datetime) -> None:
        trigger = None
        # Also one that was executing may go on after a deferral rather than from the start.
        resumed = state == "deferred" or (state in ("scheduled", "running") and key["task_id"] in ("task_1", "task_3"))
        if state == "deferred":
            plain = self.random.random() < 0.2
            arguments = json.dumps({"__type": "dict", "__var": {"moment": self.text(), "secret": "trigger secret"}})
            trigger = self.insert(
                "trigger",
                classpath="airflow.triggers.temporal.DateTimeTrigger",
                kwargs=arguments if plain else self.secret(arguments),
                created_date=self.moment(),
                triggerer_id=self.maybe(self.random.choice(self.jobs)),
            )
        common = {
            "start_date": self.maybe(date),
            "end_date": self.maybe(date),
            "duration": self.random.choice([None, 0.0, 0.1, 1e-7, 123456.789012345]),
            "state": state,
            "max_tries": self.random.randrange(4),
            "hostname": self.text(1000),
            "unixname": self.maybe("airflow"),
            "job_id": self.maybe(self.random.choice(self.jobs)),
            "pool": f"{self.prefix}pool 0",
            "pool_slots": 1,
            "queue": self.maybe("default"),
            "priority_weight": self.random.randrange(100),
            "operator": self.maybe(self.text(1000)),
            "custom_operator_name": self.maybe(self.text(1000)),
            "queued_dttm": self.maybe(date),
            "queued_by_job_id": self.maybe(self.random.choice(self.jobs)),
            "pid": self.maybe(self.random.randrange(2**31)),
            "executor": self.maybe("CeleryExecutor"),
            "executor_config": self.maybe(pickle.dumps({"text": self.text()})),
            "updated_at": date,
            "rendered_map_index": self.maybe(self.text(250)),
            "external_executor_id": self.maybe(self.text(250)),
            "trigger_id": trigger,
            "trigger_timeout": self.maybe(self.moment().replace(tzinfo=None)),
            "next_method": "execute_complete" if resumed else None,
            "next_kwargs": Json({"__type": "dict", "__var": {"text": self.text()}}) if resumed else None,
            "task_display_name": self.maybe(self.text(2000)),
            "span_status": self.random.choice(["active", "not_started"]),
            "dag_version_id": self.random.choice(self.versions.get(key["dag_id"], [None])),
        }
        ti = self.insert("task_instance", **key, **common, try_number=self.random.randrange(1, 5))
        self._around_task_instance(dag_run, key, common, date, ti)

    def _around_task_instance(
        self, dag_run: int, key: dict[str, Any], common: dict[str, Any], date: datetime, ti: Any
    ) -> None:
        for name in ("return_value", self.text(512, empty=False)):
            self.insert(
                "xcom",
                dag_run_id=dag_run,
                key=name,
                **key,
                value=self.maybe(json.dumps({"text": self.text()}).encode()),
                timestamp=self.moment(),
            )
        if self.random.random() < 0.6:
            fields = Json({"sql": self.text(), "unicode": "\u2603"})
            self.insert("rendered_task_instance_fields", **key, rendered_fields=fields, k8s_pod_yaml=self.maybe(fields))
        if self.random.random() < 0.4:
            self.insert("task_fail", **key, start_date=date, end_date=date, duration=self.maybe(3))
            self.insert(
                "task_reschedule",
                **key,
                ti_id=ti,
                try_number=1,
                start_date=date,
                end_date=date,
                duration=0,
                reschedule_date=self.moment(),
            )
        if self.random.random() < 0.4:
            self.insert("task_map", **key, length=2, keys=self.maybe(Json(["a", self.text()])))
            self.insert(
                "task_instance_note",
                **key,
                ti_id=ti,
                user_id=self.maybe(self.random.choice(self.users)),
                content=self.text(1000),
                created_at=self.moment(),
                updated_at=self.moment(),
            )
            earlier = {**common, "trigger_id": self.maybe(self.random.randrange(1, 9)), "state": "failed"}
            history = {"task_instance_id": self.value("uuid")} if self.has("asset") else {}
            self.insert("task_instance_history", **key, **earlier, **history, try_number=1)
            if self.has("hitl_detail"):
                fill_task_instance(self, dag_run, key, ti, history["task_instance_id"])
        if self.random.random() < 0.3:
            self.insert(
                "sla_miss",
                task_id=key["task_id"] + str(key["map_index"]),
                dag_id=key["dag_id"],
                execution_date=date,
                email_sent=self.random.choice([True, False, None]),
                timestamp=self.moment(),
                description=self.maybe(self.text()),
                notification_sent=True,
            )

    def _metadata_dag(self) -> None:
        """A metadata DAG in mid-run, as every snapshot finds it."""
        dag_id, date = "continuity_snapshot", EPOCH + timedelta(days=500, seconds=self.seed)
        self.insert(
            "dag",
            dag_id=dag_id,
            is_paused=False,
            is_active=True,
            is_stale=False,
            bundle_name="dags-folder",
            max_active_tasks=1,
            max_consecutive_failed_dag_runs=0,
            has_task_concurrency_limits=False,
        )
        if self.has("dag_version"):
            self.versions[dag_id] = add_versions(self, dag_id, 1)
        job = self.insert("job", dag_id=dag_id, state="running", job_type="LocalTaskJob")
        run_id = f"continuity__{self.seed}"
        dag_run = self.add_run(dag_id, date, run_id, state="running", run_type="manual", clear_number=0)
        ti = self.insert(
            "task_instance",
            dag_id=dag_id,
            task_id="snapshot",
            run_id=run_id,
            map_index=-1,
            state="running",
            pool="default_pool",
            pool_slots=1,
            job_id=job,
            dag_version_id=self.versions.get(dag_id, [None])[0],
        )
        key = {"dag_id": dag_id, "task_id": "snapshot", "run_id": run_id, "map_index": -1}
        self.insert("xcom", dag_run_id=dag_run, key="x", **key, value=b"{}", timestamp=date)
        if self.has("task_reschedule", "ti_id"):
            self.insert("task_reschedule", ti_id=ti, start_date=date, end_date=date, duration=1, reschedule_date=date)
        self.insert("dag_run_note", dag_run_id=dag_run, content="own", created_at=date, updated_at=date)

    def _consumption(self) -> None:
        runs = self._runs(by_assets=False)
        consumers = [dag_run for _, _, dag_run in self._runs(by_assets=True)]
        for number in range(40):
            dag_id, run_id, _ = self.random.choice(runs)
            event = self.insert(
                f"{self.word}_event",
                **{f"{self.word}_id": self.random.choice(self.assets)},
                extra=Json({"text": self.text()}),
                source_task_id="task_0",
                source_dag_id=dag_id,
                source_run_id=run_id,
                source_map_index=-1,
                timestamp=EPOCH + timedelta(hours=9 * number),
            )
            if consumers and number % 2:
                self.insert(f"dagrun_{self.word}_event", dag_run_id=self.random.choice(consumers), event_id=event)
            if number % 5 == 0:
                alias = self.random.choice(self.aliases)
                self.insert(f"{self.word}_alias_{self.word}_event", alias_id=alias, event_id=event)

    def _runs(self, by_assets: bool) -> list[tuple[str, str, int]]:
        """Runs that assets triggered, or the others."""
        self.cursor.execute(
            "SELECT dag_id, run_id, id FROM dag_run WHERE (run_type = %s) = %s AND dag_id LIKE %s ORDER BY id",
            (f"{self.word}_triggered", by_assets, f"{self.prefix}dag%"),
        )
        return list(self.cursor.fetchall())

    def _log(self) -> None:
        self.insert_many(
            "log",
            [
                {
                    "dttm": self.moment(),
                    "dag_id": [f"{self.prefix}dag_0", None, "continuity_snapshot"][n % 3],
                    "task_id": self.maybe("task_0"),
                    "map_index": self.maybe(-1),
                    "event": self.text(60),
                    **dict.fromkeys(
                        ("execution_date", "logical_date"),
                        self.random.choice([None, EPOCH, "infinity", "-infinity"]),
                    ),
                    "run_id": self.maybe(self.text(250)),
                    "owner": self.maybe(self.text(500)),
                    "owner_display_name": None,
                    "extra": self.text(),
                    "try_number": self.maybe(1),
                }
                for n in range(90)
            ],
        )
