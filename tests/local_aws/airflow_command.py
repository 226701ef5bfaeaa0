"""Airflow's own command line on the database of an environment, for what its REST API cannot do."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.local_aws.mwaa.airflow_versions import bin_dir_of
from tests.postgres import FAB_AUTH_MANAGER

AIRFLOW_HOME = Path(__file__).resolve().parents[2] / "build" / "airflow"


class AirflowCommandFailed(Exception):
    """The command failed; the message names it and holds the end of what it printed."""


def run_airflow(version: str, database_url: str, fernet_key: str, *arguments: str, answers: Sequence[str] = ()) -> None:
    """Run `airflow ARGUMENTS` of an installed version; `answers`: lines for what it asks, such as passwords.

    Raises AirflowCommandFailed, or UnsupportedVersion for a version that is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="airflow-command-") as home:
        settings = {
            "PATH": os.environ["PATH"],
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__FERNET_KEY": fernet_key,
            "AIRFLOW__CORE__AUTH_MANAGER": FAB_AUTH_MANAGER,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        }
        done = subprocess.run(
            [str(bin_dir_of(AIRFLOW_HOME, version) / "airflow"), *arguments],
            env=settings,
            input="".join(f"{answer}\n" for answer in answers),
            text=True,
            capture_output=True,
            start_new_session=True,  # without a terminal, passwords are read from the input
            check=False,
        )
    if done.returncode:
        raise AirflowCommandFailed(f"airflow {' '.join(arguments[:2])}: {done.stderr.strip()[-2000:]}")
