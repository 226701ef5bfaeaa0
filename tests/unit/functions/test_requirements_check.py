"""Whether pip would install a requirements file on MWAA's image."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mwaa_continuity import check_requirements, preflight
from mwaa_continuity.requirements_check import FINE, REFUSED, UNKNOWN, WARNING, Remark, check, installs
from tests.unit.functions.conftest import DAGS, NAME, SECONDARY, Account, environment
from tests.unit.functions.preflight_region import ReadyRegion

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
OFFICIAL = "https://raw.githubusercontent.com/apache/airflow/constraints-{}/constraints-{}.txt"
OWN = "-c https://example.com/own.txt\n"
SECRET = "https://user:hunter2@example.com/simple"  # never told


def said(text: str, airflow: str = "2.10.3") -> list[Remark]:
    """Remarks on the lines of a file, without the one on constraints."""
    return [remark for remark in check(text.encode(), airflow) if remark.about != "--constraint"]


@pytest.mark.parametrize(
    ("text", "level", "found"),
    [
        ("boto3", FINE, "in the image already: 1.35.36"),
        ("Boto3>=1.30,<2", FINE, "in the image already"),
        ("apache_airflow[celery]==2.10.3", FINE, "in the image already: 2.10.3"),
        ("psycopg2", FINE, "its build does not fix the version"),
        ("pandas", FINE, "not in the image; 2.1.4 would be installed"),
        ("pandas==2.1.4", FINE, "2.1.4 would be installed"),
        ("pandas==2.2.0", REFUSED, "the constraints of Airflow 2.10.3: 2.1.4"),
        ("pandas~=2.2", REFUSED, "the constraints of Airflow 2.10.3: 2.1.4"),
        ("boto3==1.35.99", REFUSED, "the constraints of Airflow 2.10.3: 1.35.36"),
        ("apache-airflow==2.9.2", REFUSED, "MWAA always holds it to this version: 2.10.3"),
        (OWN + "SQLAlchemy>=2", REFUSED, "MWAA always holds it to this version: 1.4.54"),
        (OWN + "boto3==1.35.99", WARNING, "it replaces 1.35.36 of the image"),
        (OWN + "pandas==2.2.0", UNKNOWN, "an index decides"),
        ("a-company-package", UNKNOWN, "not in the image and in no constraints"),
        ("pandas==2.2.0 ; python_version < '3.9'", FINE, "not for this image"),
        ("pandas==2.2.0 ; platform_machine == 'arm64'", UNKNOWN, "marker"),
        ("pandas==2.2.0 ; colour == 'red'", REFUSED, "marker cannot be read"),
        ("pandas=2.1.4", REFUSED, "no comparison"),
        ("pandas==latest", REFUSED, "is no version"),
        ("-r other.txt", REFUSED, "MWAA hands it this one"),
        ("-r /usr/local/airflow/dags/other.txt", UNKNOWN, "check it by itself"),
        ("-e ./here", REFUSED, "no such path"),
        ("./wheels/x-1-py3-none-any.whl", REFUSED, "no such path"),
        ("/usr/local/airflow/plugins/x-1-py3-none-any.whl", UNKNOWN, "not looked at"),
        ("x @ https://example.com/x.whl", UNKNOWN, "not looked at"),
        ("-e git+https://example.com/x.git#egg=x", UNKNOWN, "not looked at"),
        ("${NAME}==1", UNKNOWN, "variables of the environment"),
        ("--colour red", REFUSED, "no option that pip accepts"),
        ("pandas --colour", REFUSED, "no option that pip accepts"),
        ("--no-index\npandas", REFUSED, "nothing to take it from"),
        ("--no-index\n--find-links /usr/local/airflow/plugins\npandas", FINE, "2.1.4"),
        ("--index-url", REFUSED, "wants a value"),
    ],
)
def test_what_is_said_of_a_line(text: str, level: str, found: str) -> None:
    *_, remark = said(text)
    assert (remark.level, found in remark.found) == (level, True), remark
    assert bool(remark.do) == (level in (REFUSED, WARNING)), remark
    assert installs(check(text.encode(), "2.10.3")) == (level != REFUSED)


@pytest.mark.parametrize(
    ("text", "level", "found"),
    [
        ("pandas", FINE, "MWAA holds it to the constraints of Airflow 2.10.3"),
        ("-c " + OFFICIAL.format("2.10.3", "3.11"), FINE, "as the image"),
        ('--constraint "' + OFFICIAL.format("2.10.3", "3.11") + '"', FINE, "as the image"),
        ("-c " + OFFICIAL.format("2.9.2", "3.11"), WARNING, "the image is Airflow 2.10.3 and Python 3.11"),
        ("-c " + OFFICIAL.format("2.10.3", "3.12"), WARNING, "the image is Airflow 2.10.3 and Python 3.11"),
        ("-c " + OFFICIAL.format("2.10.3", "no-providers-3.11"), UNKNOWN, "not read here"),
        ("-c constraints.txt", REFUSED, "no such file"),
        ("-c /usr/local/airflow/dags/constraints.txt", UNKNOWN, "not read here"),
        (OWN, UNKNOWN, "not read here"),
        ("pandas # none: --constraint is gone", WARNING, "MWAA adds none"),
    ],
)
def test_what_is_said_of_constraints(text: str, level: str, found: str) -> None:
    (remark,) = [remark for remark in check(text.encode(), "2.10.3") if remark.about == "--constraint"]
    assert (remark.level, found in remark.found) == (level, True), remark


def test_constraints_of_another_version_are_what_pip_is_held_to() -> None:
    """Failure covered: an upgrade of Airflow leaves the constraints of the old one behind."""
    text = f"-c {OFFICIAL.format('2.9.2', '3.11')}\n"
    (remark,) = said(text + "pandas==2.2.0")
    assert (remark.level, "the constraints of Airflow 2.9.2: 2.1.4" in remark.found) == (REFUSED, True), remark
    (remark,) = said(text + "celery[redis]")
    assert remark.level == FINE
    (remark,) = said(text + "watchtower")
    assert (remark.level, remark.do) == (REFUSED, "take the line out")
    (remark,) = said(text + "requests")
    assert (remark.level, "it replaces 2.32.3" in remark.found) == (WARNING, True), remark


def test_constraints_written_with_an_equals_sign_come_on_top_of_those_of_mwaa() -> None:
    """MWAA looks for the option with a space after it; pip reads the other form all the same."""
    text = f"--constraint={OFFICIAL.format('2.9.2', '3.11')}\nrequests\n"
    (remark,) = said(text)
    assert (remark.level, "2.31.0" in remark.found, "2.32.3" in remark.found) == (REFUSED, True, True), remark


def test_two_lines_that_cannot_both_hold() -> None:
    remarks = said("acme==1.0\nacme>=2\nacme==1.0.0")
    assert [remark.level for remark in remarks] == [UNKNOWN, REFUSED, UNKNOWN]
    assert remarks[1].found == "line 1 asks for acme==1.0"


def test_one_hash_wants_all() -> None:
    hashed = "acme==1.0 --hash=sha256:" + 64 * "0"
    assert [remark.level for remark in said(f"{hashed}\nother==1.0\nboto3")] == [UNKNOWN, REFUSED, FINE]
    assert [remark.level for remark in said("--require-hashes\nacme>=1 \\\n  --hash=sha256:00")] == [REFUSED]


def test_credentials_are_never_told() -> None:
    """Failure covered: an index with its password in a log."""
    text = (
        f"--extra-index-url {SECRET}\nx @ {SECRET}/x.whl\n{SECRET}\n-c {SECRET}\n-r {SECRET}\n--find-links={SECRET}\n"
    )
    assert "hunter2" not in repr(check(text.encode(), "2.10.3"))
    assert "hunter2" not in repr(check(f"--colour={SECRET}\npandas --x={SECRET}\n-e {SECRET}\n".encode(), "2.10.3"))


def test_an_unknown_version_of_airflow() -> None:
    with pytest.raises(LookupError, match=r"Airflow 2\.10\.2: its image is not known here; known: 2\.9\.2, 2\.10\.3"):
        check(b"", "2.10.2")


@pytest.mark.parametrize(("text", "code"), [("boto3\n", 0), ("pandas==2.2.0\n", 1)])
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    assert check_requirements.main([str(file), "--airflow", "2.10.3"]) == code
    shown = capsys.readouterr().out
    assert shown.startswith("requirements.txt on MWAA's Airflow 2.10.3 (Python 3.11)\n")
    assert shown.splitlines()[-1].startswith("Refused:" if code else "Installs")


@pytest.mark.parametrize(("file", "airflow"), [("requirements.txt", "2.10.2"), ("missing.txt", "2.10.3")])
def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, airflow: str) -> None:
    (tmp_path / "requirements.txt").write_text("boto3\n")
    with pytest.raises(SystemExit) as ended:
        check_requirements.main([str(tmp_path / file), "--airflow", airflow])
    assert ended.value.code == 2
    assert "accepted: " in capsys.readouterr().err


def test_the_command_needs_nothing_but_python(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("boto3\n")
    command = [sys.executable, "-S", "-m", "mwaa_continuity.check_requirements", "--airflow", "3.3.1"]
    done = subprocess.run(
        [*command, str(tmp_path / "requirements.txt")], cwd=FUNCTIONS, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.fixture
def region(account: Account) -> ReadyRegion:
    """A Region with all that the environment needs."""
    return ReadyRegion(account)


def looked() -> tuple[bool, str]:
    """What the preflight says of the requirements file."""
    answer = preflight.handler({"action": "check", "request_id": "r-1"}, None)
    (found,) = [item for item in answer["checks"] if item["name"] == "requirements"]
    assert answer["failed"] == ([] if found["ok"] else ["requirements"])
    return bool(found["ok"]), str(found["found"])


def put(region: ReadyRegion, text: str) -> str:
    """Upload a requirements file; its version."""
    answer = region.account.s3.put_object(Bucket=DAGS, Key="requirements.txt", Body=text.encode())
    return str(answer["VersionId"])


def run_now(region: ReadyRegion, **members: Any) -> None:
    """Let an environment run in the Region."""
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY) | members


def test_preflight_finds_a_file_that_pip_would_refuse(region: ReadyRegion) -> None:
    """Failure covered: an environment that comes back without the packages that its DAGs import."""
    assert looked()[0]
    put(region, "boto3\npandas==2.2.0\n")
    ok, found = looked()
    assert not ok
    assert "line 2 (pandas==2.2.0): the constraints of Airflow 2.10.3: 2.1.4" in found


def test_preflight_lets_pass_what_runs_now(region: ReadyRegion) -> None:
    """A hibernation is not kept from its night by a file with which the environment runs anyway."""
    version = put(region, "pandas==2.2.0\n")
    made, later = ((datetime.now(UTC) + timedelta(hours=hours)).timestamp() for hours in (-1, 1))
    run_now(region, RequirementsS3ObjectVersion=None, CreatedAt=made)
    assert not looked()[0], "the file is newer than the environment"
    run_now(region, RequirementsS3ObjectVersion=None, CreatedAt=later)
    ok, found = looked()
    assert ok
    assert "runs with this file now" in found
    region.publish(RequirementsS3ObjectVersion=version)
    run_now(region, RequirementsS3ObjectVersion="another", CreatedAt=later)
    assert not looked()[0]
    run_now(region, RequirementsS3ObjectVersion=version, CreatedAt=made)
    assert looked()[0]


def test_preflight_says_where_it_did_not_look(region: ReadyRegion) -> None:
    region.publish(AirflowVersion="2.7.2")
    assert looked() == (True, "not looked at: what the image of 2.7.2 holds is not known here")
