"""What the example DAGs share: Airflow 2.x and 3.x under one name, and what Terraform made in this Region."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator

try:
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag

__all__ = ["dag", "fargate", "setting"]


class NotSet(LookupError):
    """An Airflow option that a DAG needs is not there; the message names it."""


def setting(option: str) -> str:
    """Value of an Airflow option such as `lake.bucket`, which is in AIRFLOW__LAKE__BUCKET. Raises NotSet.

    Options of a Region (`regional_airflow_configuration_options`) stay in it: after a failover they are the other's.
    """
    section, _, key = option.partition(".")
    try:
        return os.environ[f"AIRFLOW__{section}__{key}".upper()]
    except KeyError:
        raise NotSet(f"the environment has no Airflow option {option!r}") from None


def fargate(container: str) -> dict[str, Any]:
    """Arguments of EcsRunTaskOperator for a container of `workloads.containers`. Raises NotSet."""
    made = json.loads(setting(f"workloads.{container}"))
    arguments = {
        "cluster": made["cluster"],
        "task_definition": made["task_definition"],
        "launch_type": "FARGATE",
        "network_configuration": {
            "awsvpcConfiguration": {
                "subnets": made["subnets"],
                "securityGroups": made["security_groups"],
                "assignPublicIp": "DISABLED",
            }
        },
        "awslogs_group": made["log_group"],
        "awslogs_stream_prefix": made["log_stream_prefix"],
    }
    # Newer versions of the operator wait for ECS to tell the name, unless they know it.
    if "container_name" in EcsRunTaskOperator.template_fields:
        arguments["container_name"] = made["container"]
    return arguments
