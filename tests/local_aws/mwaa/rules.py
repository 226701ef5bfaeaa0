"""What MWAA demands beyond the shapes of its API: class limits, versions, combinations, allowed statuses."""

from __future__ import annotations

from typing import Any

from tests.local_aws.mwaa.errors import invalid

#: Versions that MWAA creates environments of, oldest first.
OFFERED_VERSIONS = ("2.7.2", "2.8.1", "2.9.2", "2.10.1", "2.10.3", "2.11.0", "2.11.2", "3.0.6", "3.2.1", "3.3.1")
CLASSES = ("mw1.micro", "mw1.small", "mw1.medium", "mw1.large", "mw1.xlarge", "mw1.2xlarge")
MOST_WORKERS = 50
#: Statuses in which MWAA takes an update or a deletion.
UPDATABLE = frozenset({"AVAILABLE", "UPDATE_FAILED"})
DELETABLE = frozenset({"AVAILABLE", "CREATE_FAILED", "UPDATE_FAILED", "UNAVAILABLE", "PENDING"})
#: Statuses in which the web server of an environment answers.
SERVING = frozenset({"AVAILABLE", "UPDATE_FAILED"})
#: Options that name a file in the bucket, and the option that names its version.
FILES = {
    "RequirementsS3Path": "RequirementsS3ObjectVersion",
    "PluginsS3Path": "PluginsS3ObjectVersion",
    "StartupScriptS3Path": "StartupScriptS3ObjectVersion",
}
#: Options of an environment that are not imitated: asking for them fails instead of being ignored.
NOT_IMITATED = ("Teams", "IdentityCenterConfiguration")
_BASE_DEFAULTS: dict[str, Any] = {
    "EnvironmentClass": "mw1.small",
    "MinWorkers": 1,
    "WebserverAccessMode": "PRIVATE_ONLY",
    "EndpointManagement": "SERVICE",
    "WeeklyMaintenanceWindowStart": "SUN:03:30",
}


def version_key(version: str) -> tuple[int, ...]:
    """Sort key of an Airflow version."""
    return tuple(int(part) for part in version.split("."))


def with_defaults(document: dict[str, Any], newest_version: str) -> dict[str, Any]:
    """The document with what MWAA fills in where the caller said nothing."""
    micro = document.get("EnvironmentClass") == "mw1.micro"
    counts = {"MaxWorkers": 1 if micro else 10, "Schedulers": 1 if micro else 2}
    counts |= {"MinWebservers": 1 if micro else 2, "MaxWebservers": 1 if micro else 2}
    return {**_BASE_DEFAULTS, **counts, "AirflowVersion": newest_version, **document}


def merged(document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The document after an update: what is given replaces what was; subnets stay, because they cannot be changed."""
    network = {**document["NetworkConfiguration"], **change.get("NetworkConfiguration", {})}
    logging = {**document.get("LoggingConfiguration", {}), **change.get("LoggingConfiguration", {})}
    return {
        **document,
        **change,
        "NetworkConfiguration": network,
        **({"LoggingConfiguration": logging} if logging else {}),
    }


def check_document(document: dict[str, Any]) -> None:
    """Raise ValidationException unless MWAA would run what a complete document (see `with_defaults`) describes."""
    for option in NOT_IMITATED:
        if option in document:
            raise invalid(f"{option}: not imitated by the stand-in")
    if document["AirflowVersion"] not in OFFERED_VERSIONS:
        raise invalid(
            f"AirflowVersion: {document['AirflowVersion']} is not supported; accepted: {', '.join(OFFERED_VERSIONS)}"
        )
    if document["EnvironmentClass"] not in CLASSES:
        raise invalid(
            f"EnvironmentClass {document['EnvironmentClass']} is not supported; accepted: {', '.join(CLASSES)}"
        )
    _check_sizes(document)
    _check_network(document["NetworkConfiguration"])
    _check_paths(document)


def check_update(current: dict[str, Any], changed: dict[str, Any]) -> None:
    """Raise ValidationException for a change that MWAA does not make to an existing environment."""
    before, after = current["AirflowVersion"], changed["AirflowVersion"]
    if version_key(after) < version_key(before):
        raise invalid(f"AirflowVersion: {after} is older than {before}; an environment cannot be downgraded")
    if after != before and version_key(after)[0] != version_key(before)[0]:
        raise invalid(
            f"AirflowVersion: {before} cannot be upgraded to {after} in place; accepted: a version of the same major"
        )


def check_status(name: str, status: str, allowed: frozenset[str], what: str) -> None:
    """Raise ValidationException unless something may be done in this status."""
    if status not in allowed:
        raise invalid(
            f"Environment {name} cannot be {what}: its status is {status}; accepted: {', '.join(sorted(allowed))}"
        )


def _check_sizes(document: dict[str, Any]) -> None:
    micro = document["EnvironmentClass"] == "mw1.micro"
    least, most = (1, 1) if micro else (2, 5)
    for option in ("Schedulers", "MinWebservers", "MaxWebservers"):
        if not least <= document[option] <= most:
            raise invalid(
                f"{option}: {document[option]}; accepted for {document['EnvironmentClass']}: from {least} to {most}"
            )
    most_workers = 1 if micro else MOST_WORKERS
    if document["MaxWorkers"] > most_workers:
        raise invalid(
            f"MaxWorkers: {document['MaxWorkers']}; accepted for {document['EnvironmentClass']}: up to {most_workers}"
        )
    for least_option, most_option in (("MinWorkers", "MaxWorkers"), ("MinWebservers", "MaxWebservers")):
        if document[least_option] > document[most_option]:
            raise invalid(
                f"{least_option}: {document[least_option]} is more than {most_option}, which is {document[most_option]}"
            )


def _check_network(network: dict[str, Any]) -> None:
    for option, accepted in (("SubnetIds", "2 subnets"), ("SecurityGroupIds", "1 to 5 security groups")):
        if not network.get(option):
            raise invalid(f"NetworkConfiguration.{option}: missing; accepted: {accepted}")
    if len(set(network["SubnetIds"])) != 2:
        raise invalid("NetworkConfiguration.SubnetIds: the two subnets must differ")


def _check_paths(document: dict[str, Any]) -> None:
    if not document["DagS3Path"].strip("/"):
        raise invalid("DagS3Path: empty; accepted: the folder of the DAGs in the bucket, for example dags")
    for path_option in ("DagS3Path", *FILES):
        if document.get(path_option, "").startswith(("/", "s3://")):
            raise invalid(f"{path_option}: '{document[path_option]}'; accepted: a path relative to the bucket")
    for path_option, version_option in FILES.items():
        if document.get(version_option) and not document.get(path_option):
            raise invalid(f"{version_option}: given without {path_option}")
