"""Checks of the spec itself: is there one, may it be created, and is there a snapshot to fill it from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import aws, snapshots
from mwaa_continuity.environments import IN_THE_WAY
from mwaa_continuity.errors import BadSpec
from mwaa_continuity.preflight_subject import Finding, Subject
from mwaa_continuity.settings import variable
from mwaa_continuity.spec import ordered
from mwaa_continuity.stored_spec import document_here, find_spec

#: Versions in which MWAA creates environments, as of September 2026, by AWS's user guide ("Apache Airflow versions"),
#: and the day from which each one cannot be created any more; none where AWS has announced no end.
VERSIONS: Final[Mapping[str, date | None]] = {
    "1.10.12": date(2024, 2, 21),
    "2.0.2": date(2024, 4, 29),
    "2.2.2": date(2024, 6, 27),
    "2.4.3": date(2025, 12, 30),
    "2.5.1": date(2025, 12, 30),
    "2.6.3": date(2025, 12, 30),
    "2.7.2": None,
    "2.8.1": None,
    "2.9.2": None,
    "2.10.1": None,
    "2.10.3": None,
    "2.11.0": None,
    "2.11.2": None,
    "3.0.6": None,
    "3.2.1": None,
    "3.3.1": None,
}

#: Service Quotas calls MWAA by its signing name. AWS only ever raises what an account has above these.
QUOTA_SERVICE: Final = "airflow"
ENVIRONMENTS: Final = ("L-67D41C6B", 10)
WORKERS: Final = ("L-78AC1883", 25)


def check_spec(subject: Subject) -> Finding:
    """Whether there is a spec that becomes the document which `recreate.ensure` would create; the others need it."""
    settings, s3 = subject.settings, aws.client("s3")
    try:
        stored = find_spec(s3, settings, subject.snapshot_id)
        subject.document = document_here(s3, settings, stored)
    except BadSpec as error:
        return Finding(False, str(error), "terraform apply in the Region that it names writes spec and binding")
    return Finding(True, f"{stored.key} fits the binding of {settings.region}")


def check_environment(subject: Subject) -> Finding:
    """Whether nothing of the environment's name stands in the way."""
    if subject.environment is None:
        return Finding(True, "there is none of this name: it would be created")
    status = str(subject.environment["Status"])
    reason = IN_THE_WAY.get(status)
    if reason:
        return Finding(False, f"it is {status}", reason)
    return Finding(True, f"it is {status}")


def check_airflow_version(subject: Subject) -> Finding:
    """Whether MWAA still creates environments of this version, and of the one that runs here now.

    A history is restored into the version that it came from: what is put away comes back as what runs now.
    """
    versions = [str(subject.document.get("AirflowVersion", ""))]
    if subject.environment is not None and not subject.snapshot_id:
        versions.append(str(subject.environment.get("AirflowVersion", versions[0])))
    findings = [judge_version(version) for version in dict.fromkeys(versions)]
    return next((finding for finding in findings if not finding.ok), findings[0])


def judge_version(version: str) -> Finding:
    """Whether MWAA creates environments of a version.

    One that is newer than all known ones passes: MWAA adds versions more often than this package is updated, and no
    environment would have it if MWAA did not offer it. Any other unknown one was never offered.
    """
    upgrade = "upgrade the environment while it is running: MWAA creates none of this version"
    if not version:
        return Finding(False, "the spec names no version", "name one: MWAA would take its latest")
    if version in VERSIONS:
        end = VERSIONS[version]
        if end is None:
            return Finding(True, f"{version} is offered; no end of support is known")
        if end > datetime.now(UTC).date():
            return Finding(True, f"{version} can be created until {end.isoformat()}; upgrade before")
        return Finding(False, f"{version} cannot be created since {end.isoformat()}", upgrade)
    if ordered(version) > max(ordered(known) for known in VERSIONS):
        return Finding(
            True, f"{version} is newer than what is known here: MWAA's user guide says whether it is offered"
        )
    return Finding(False, f"{version} is not a version of MWAA's", upgrade)


def check_environment_quota(subject: Subject) -> Finding:
    """Whether the account may have one more environment in this Region."""
    pages = aws.client("mwaa").get_paginator("list_environments").paginate()
    others = {name for page in pages for name in page["Environments"]} - {subject.settings.environment}
    most, source = quota(*ENVIRONMENTS)
    found = f"{len(others)} other environments in {subject.settings.region}, {source}"
    if len(others) < most:
        return Finding(True, found)
    return Finding(False, found, f"ask Service Quotas for more ({QUOTA_SERVICE} {ENVIRONMENTS[0]}), or delete one")


def check_worker_quota(subject: Subject) -> Finding:
    """Whether the spec asks for no more workers than the account may have in an environment."""
    wanted = int(subject.document.get("MaxWorkers", 0))
    most, source = quota(*WORKERS)
    found = f"MaxWorkers is {wanted}, {source}"
    if wanted <= most:
        return Finding(True, found)
    return Finding(False, found, f"ask Service Quotas for more ({QUOTA_SERVICE} {WORKERS[0]}), or lower max_workers")


def quota(code: str, default: int) -> tuple[int, str]:
    """A quota of this account and Region, and the words for where it is from.

    Where it cannot be read, what AWS gives every account: with room under that there is room under any quota.
    """
    client = aws.client("service-quotas")
    try:
        answer: dict[str, Any] = client.get_service_quota(ServiceCode=QUOTA_SERVICE, QuotaCode=code)
    except ClientError as error:
        return default, f"{default} allowed by default (the account's own quota: {aws.code(error)})"
    except BotoCoreError as error:
        return default, f"{default} allowed by default (the account's own quota: {type(error).__name__})"
    most = int(answer["Quota"]["Value"])
    return most, f"{most} allowed"


def check_snapshot(subject: Subject) -> Finding:
    """Whether the snapshot asked for is there as a whole and its key opens. Its objects are not read again."""
    snapshot_id = str(subject.snapshot_id)
    bucket, name = variable("SNAPSHOT_BUCKET"), subject.settings.environment
    claimed, read_back = snapshots.prove_present(aws.client("s3"), bucket, name, snapshot_id)
    snapshots.prove_key(aws.client("kms"), claimed)
    said = "it was read back without faults" if read_back else "it was not read back"
    return Finding(True, f"snapshot {snapshot_id} is there, {len(claimed.objects)} objects; its key opens; {said}")
