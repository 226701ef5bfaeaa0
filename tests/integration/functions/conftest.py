"""The account of the functions' unit tests serves here too."""

from __future__ import annotations

from tests.unit.functions.conftest import account, dead, service_models_are_read_once, variables

__all__ = ["account", "dead", "service_models_are_read_once", "variables"]
