"""Patches of moto's ECS."""

from __future__ import annotations

import copy
from typing import Any

from moto.ecs.models import EC2ContainerServiceBackend


def memory_of_the_task() -> None:
    """moto cannot run a task whose containers name no memory of their own. On Fargate that of the task is enough."""
    original = EC2ContainerServiceBackend._calculate_task_resource_requirements

    def requirements(task_definition: Any) -> dict[str, Any]:
        filled = copy.copy(task_definition)
        filled.container_definitions = [{"memoryReservation": 0, **c} for c in task_definition.container_definitions]
        return original(filled)

    EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(requirements)  # type: ignore[method-assign,assignment]


PATCHES = [memory_of_the_task]
