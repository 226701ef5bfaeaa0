"""Patches of moto's EC2."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import security_groups


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


PATCHES = [rule_description]
