"""Probes of the patches of servicequotas."""

from __future__ import annotations

from typing import Any

from tests.integration.local_aws.probes.inside import client


def quotas_of_mwaa() -> Any:
    codes = ("L-67D41C6B", "L-78AC1883")
    quotas = client("service-quotas")
    return [quotas.get_service_quota(ServiceCode="airflow", QuotaCode=code)["Quota"]["Value"] for code in codes]
