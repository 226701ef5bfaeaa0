"""Patches of moto's EC2."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import security_groups, vpcs
from moto.ec2.utils import generate_route_id


def rule_description() -> None:
    """moto forgets the description of a security group rule that names another group. AWS keeps it."""
    init = security_groups.SecurityGroupRule.__init__

    def description(rule: Any) -> str | None:
        peer = rule.source_group or {}
        text: str | None = rule.ip_range.get("Description") or peer.get("Description") or rule.peer_description
        return text

    def init_with_description(rule: Any, *args: Any, **kwargs: Any) -> None:
        init(rule, *args, **kwargs)
        rule.peer_description = (rule.source_group or {}).get("Description")

    security_groups.SecurityGroupRule.__init__ = init_with_description
    security_groups.SecurityGroupRule.description = property(description)


def endpoints_without_routes() -> None:
    """moto does not delete a gateway endpoint whose route is gone, as when a client repeats the call. AWS does."""
    delete = vpcs.VPCBackend.delete_vpc_endpoints

    def has_route(backend: Any, table: str, endpoint: Any) -> bool:
        route = generate_route_id(table, endpoint.destination_prefix_list_id)
        return table in backend.route_tables and route in backend.route_tables[table]._routes

    def delete_with_what_is_left(backend: Any, vpce_ids: list[str] | None = None) -> None:
        for endpoint in filter(None, map(backend.vpc_end_points.get, vpce_ids or [])):
            endpoint.route_table_ids = [t for t in endpoint.route_table_ids if has_route(backend, t, endpoint)]
        delete(backend, vpce_ids)

    vpcs.VPCBackend.delete_vpc_endpoints = delete_with_what_is_left


PATCHES = [endpoints_without_routes, rule_description]
