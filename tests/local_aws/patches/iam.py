"""Patches of moto's IAM."""

from __future__ import annotations

from moto.iam import models, policy_validation


def regional_s3_arns() -> None:
    """moto refuses policies on ARNs of S3 Batch Operations jobs, because they name a Region. AWS accepts them."""
    rules = policy_validation.SERVICE_TYPE_REGION_INFORMATION_ERROR_ASSOCIATIONS
    rules["s3"]["valid_starting_values"] = [*rules["s3"]["valid_starting_values"], "job/"]


def service_linked_role_of_mwaa() -> None:
    """moto calls MWAA's service-linked role AWSServiceRoleForairflow. AWS calls it AWSServiceRoleForAmazonMWAA."""
    models.SERVICE_NAME_CONVERSION["airflow"] = "AmazonMWAA"


PATCHES = [regional_s3_arns, service_linked_role_of_mwaa]
