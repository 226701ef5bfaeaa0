"""Probes of the patches of ecs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from moto.ecs.models import EC2ContainerServiceBackend


def memory_of_the_task() -> Any:
    definition: Any = SimpleNamespace(container_definitions=[{"name": "one"}])
    return EC2ContainerServiceBackend._calculate_task_resource_requirements(definition)["MEMORY"]
