"""Patches of moto's Service Quotas."""

from __future__ import annotations

from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

_MWAA = {
    "L-67D41C6B": ("Environments per account per Region", 10.0),
    "L-78AC1883": ("Workers per environment", 25.0),
}


def quotas_of_mwaa() -> None:
    """moto knows the quotas of VPC only. AWS knows those of MWAA, under the service code airflow."""
    original = ServiceQuotasBackend.get_service_quota

    def get_service_quota(backend: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != "airflow" or quota_code not in _MWAA:
            return original(backend, service_code, quota_code)
        name, value = _MWAA[quota_code]
        return {"ServiceCode": service_code, "QuotaCode": quota_code, "QuotaName": name, "Value": value}

    ServiceQuotasBackend.get_service_quota = get_service_quota  # type: ignore[method-assign]


PATCHES = [quotas_of_mwaa]
