"""Check of the spec's requirements file against what the image of the spec's version holds."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from mwaa_continuity import aws, requirements_check, visibility
from mwaa_continuity.image_pins import image
from mwaa_continuity.preflight_subject import Finding, Subject, listed
from mwaa_continuity.requirements_check import REFUSED, Remark

#: No requirements file is longer; a larger object is none.
LONGEST: Final = 1_000_000

#: Statuses in which the environment went through its start with the file.
USABLE: Final = frozenset({"AVAILABLE", "CREATING_SNAPSHOT", "MAINTENANCE", "UPDATE_FAILED", "UPDATING"})

_SHOWN: Final = 5


def check_requirements(subject: Subject) -> Finding:
    """Whether pip would install the requirements file on the image.

    Where an environment of the same version runs with the same file now, what is found is said and is no failure: the
    recreated one would start as that did.
    """
    path, version = subject.document.get("RequirementsS3Path"), str(subject.document.get("AirflowVersion", ""))
    if not path:
        return Finding(True, "the spec names none")
    if image(version) is None:
        return Finding(True, f"not looked at: what the image of {version} holds is not known here")
    taken = version_taken(subject, str(path))
    if visibility.head(aws.client("s3"), subject.bucket, str(path), taken) is None:
        return Finding(True, f"not looked at: {path} is not there, which check `files` tells")
    return judged(subject, str(path), taken, version)


def judged(subject: Subject, path: str, taken: str | None, version: str) -> Finding:
    """What is to be said of the file, which is there."""
    s3 = aws.client("s3")
    answer = s3.get_object(Bucket=subject.bucket, Key=path, **({"VersionId": taken} if taken else {}))
    if answer["ContentLength"] > LONGEST:
        return Finding(False, f"{path} is longer than {LONGEST} bytes", "name a requirements file")
    found = refused(answer["Body"].read(), version)
    if not found:
        return Finding(True, f"{path}: nothing is known that pip would refuse on the image of {version}")
    found = f"{path}, on the image of {version}: {found}"
    if runs_with_it(subject, taken, answer["LastModified"]):
        return Finding(True, f"{found}. The environment runs with this file now, whatever pip made of it")
    return Finding(False, found, "make check-requirements says what to do about each line; upload the mended file")


def refused(content: bytes, version: str) -> str:
    """The lines of a file that pip would refuse, and why; empty where there is none."""
    remarks = requirements_check.check(content, version)
    lines = [told(remark) for remark in remarks if remark.level == REFUSED]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return listed(lines[:_SHOWN] + more)


def version_taken(subject: Subject, path: str) -> str | None:
    """The version of the file that `recreate.ensure` takes: the spec's where it is there, else the current one."""
    version = subject.document.get("RequirementsS3ObjectVersion")
    there = version and visibility.head(aws.client("s3"), subject.bucket, path, version) is not None
    return str(version) if there else None


def runs_with_it(subject: Subject, taken: str | None, written: datetime) -> bool:
    """Whether the environment that is there runs this version of Airflow with this very file.

    Without a version of the file's, it has the one that was there when it was made or last updated.
    """
    running = subject.environment
    if running is None or running.get("Status") not in USABLE:
        return False
    if any(running.get(field) != subject.document.get(field) for field in ("AirflowVersion", "RequirementsS3Path")):
        return False
    if taken or running.get("RequirementsS3ObjectVersion"):
        return taken == running.get("RequirementsS3ObjectVersion")
    times = [running.get("CreatedAt"), (running.get("LastUpdate") or {}).get("CreatedAt")]
    return any(isinstance(time, datetime) and written <= time for time in times)


def told(remark: Remark) -> str:
    """One line of the file that pip refuses."""
    return f"line {remark.line} ({remark.about}): {remark.found}"
