"""Run by an installed Airflow: parse DAGs as its DAG processor does, leave out what is not made up for, parse again.

asleep.py '{"dsn": "...", "since": "...", "runs": [...]}'
{"told": {...}, "created": {"none": {"<dag_id>": "when Airflow creates the next run"}, "latest": {...}}}
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2 import sql

sys.path.append(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])  # Airflow 2 does it itself

from airflow.models import DagBag

from continuity import catchup
from continuity.catalog import read_catalog
from continuity.chosen import run_date
from continuity.schedules import AirflowSchedule


def parse() -> None:
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
    except ImportError:  # Airflow 2.x
        bag = DagBag()
        bag.sync_to_db()
    else:
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag()
        try:
            from airflow.dag_processing.dagbag import sync_bag_to_db
        except ImportError:  # Airflow 3.0
            bag.sync_to_db("dags-folder", None)
        else:
            sync_bag_to_db(bag, "dags-folder", None)
    assert not bag.import_errors, bag.import_errors


def insert(cursor: Any, run: dict[str, Any]) -> None:
    catalog = read_catalog(cursor)
    values = {**run, run_date(catalog): run["data_interval_start"], "run_after": run["data_interval_end"]}
    names = [name for name in values if catalog["dag_run"].has(name)]
    statement = sql.SQL("INSERT INTO dag_run ({}) VALUES %s").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    cursor.execute(statement, (tuple(values[name] for name in names),))


def left_out(cursor: Any, wanted: str, since: str, dag_ids: list[str]) -> catchup.Skipped:
    choice = catchup.Choice(wanted, datetime.fromisoformat(since), AirflowSchedule)
    return catchup.skip(cursor, read_catalog(cursor), dag_ids, choice)


def main() -> None:
    order = json.loads(sys.argv[1])
    answer: dict[str, Any] = {"told": {}, "created": {}, "at_once": {}}
    connection = psycopg2.connect(order["dsn"])
    parse()
    with connection, connection.cursor() as cursor:
        for run in order["runs"]:
            insert(cursor, run)
        cursor.execute("SELECT dag_id FROM dag WHERE starts_with(dag_id, 'd_') ORDER BY 1")
        dag_ids = [row[0] for row in cursor.fetchall()]
    created = "SELECT dag_id, to_json(next_dagrun_create_after) FROM dag WHERE dag_id = ANY (%s)"
    parse()
    with connection, connection.cursor() as cursor:
        cursor.execute(created, (dag_ids,))
        answer["created"]["all"] = dict(cursor.fetchall())
    for wanted in ("latest", "none"):
        with connection, connection.cursor() as cursor:
            answer["told"][wanted] = left_out(cursor, wanted, order["since"], dag_ids).told()
            cursor.execute(created, (dag_ids,))
            answer["at_once"][wanted] = dict(cursor.fetchall())
        parse()
        with connection, connection.cursor() as cursor:
            cursor.execute(created, (dag_ids,))
            answer["created"][wanted] = dict(cursor.fetchall())
            cursor.execute(
                "SELECT dag_id, count(*) FROM dag_run WHERE starts_with(run_id, %s) GROUP BY 1", ("asleep__",)
            )
            answer.setdefault("placeholders", {})[wanted] = dict(cursor.fetchall())
            cursor.execute("DELETE FROM dag_run WHERE starts_with(run_id, %s)", ("asleep__",))
        parse()
    print("\n" + json.dumps({"asleep": answer}))


if __name__ == "__main__":
    main()
