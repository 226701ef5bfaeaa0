"""preflight: would CreateEnvironment with this Region's spec succeed, and would the environment start?

Nothing is changed. docs/architecture.md, "Preflight", says what each check looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mwaa_continuity import app, aws, events, metrics
from mwaa_continuity.app import Result
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.preflight_access import (
    check_execution_role,
    check_key,
    check_key_policy,
    check_log_groups,
    check_service_linked_role,
)
from mwaa_continuity.preflight_filters import check_network_acls, check_security_groups
from mwaa_continuity.preflight_network import check_addresses, check_routes, check_subnets, check_way_out
from mwaa_continuity.preflight_requirements import check_requirements
from mwaa_continuity.preflight_spec import (
    check_airflow_version,
    check_environment,
    check_environment_quota,
    check_snapshot,
    check_spec,
    check_worker_quota,
)
from mwaa_continuity.preflight_storage import check_dag_bucket, check_dag_folder, check_files
from mwaa_continuity.preflight_subject import Check, Finding, Subject, make
from mwaa_continuity.settings import Settings

#: The checks in the order in which they are made and answered: the first finds what most of the others look at.
CHECKS: Final[Mapping[str, Check]] = {
    "spec": check_spec,
    "environment": check_environment,
    "airflow_version": check_airflow_version,
    "environment_quota": check_environment_quota,
    "worker_quota": check_worker_quota,
    "execution_role": check_execution_role,
    "service_linked_role": check_service_linked_role,
    "key": check_key,
    "key_policy": check_key_policy,
    "dag_bucket": check_dag_bucket,
    "dag_folder": check_dag_folder,
    "files": check_files,
    "requirements": check_requirements,
    "subnets": check_subnets,
    "routes": check_routes,
    "way_out": check_way_out,
    "addresses": check_addresses,
    "security_groups": check_security_groups,
    "network_acls": check_network_acls,
    "log_groups": check_log_groups,
}


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    return app.run("preflight", {"check": check}, event, context)


def check(event: Event, log: Log) -> Result:
    """Make every check and publish how many failed. A check that cannot be made has failed."""
    settings = Settings.read()
    answer = look(settings, events.optional_snapshot_id(event), log)
    metrics.publish(aws.client("cloudwatch"), settings.environment, {"PreflightFailures": len(answer["failed"])})
    return answer


def look(settings: Settings, snapshot_id: str | None, log: Log) -> Result:
    """Make every check; nothing is changed, nothing published."""
    subject = Subject(settings, snapshot_id)
    findings = {name: make(looks, subject) for name, looks in CHECKS.items()}
    if snapshot_id:
        findings["snapshot"] = make(check_snapshot, subject)
    for name, finding in findings.items():
        if not finding.ok:
            log.warning("check failed", check=name, why=finding.found)
    failed = [name for name, finding in findings.items() if not finding.ok]
    return {"ok": not failed, "failed": failed, "checks": [told(name, finding) for name, finding in findings.items()]}


def told(name: str, finding: Finding) -> Result:
    """A check as it is answered."""
    return {"name": name, "ok": finding.ok, "found": finding.found, "do": finding.do}
