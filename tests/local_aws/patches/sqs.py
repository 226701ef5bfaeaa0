"""Patches of moto's SQS (invoking functions is `event_sources`'s)."""

from __future__ import annotations

import json
from typing import Any

from moto.sqs import models


def queue_attributes() -> None:
    """moto forgets a queue's policy when anything else of it is set, and RedriveAllowPolicy at once. AWS keeps them.

    What AWS answers of RedrivePolicy has no spaces; Terraform compares the text.
    """
    queue = models.Queue
    set_attributes, found_attributes = queue._set_attributes, queue.attributes.fget

    def keeping(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        policy = self.policy if hasattr(self, "_policy_json") else None
        set_attributes(self, {"Policy": policy, **attributes}, now)
        self.redrive_allow_policy = self.redrive_allow_policy or None  # an empty text takes it away

    def set_ones(self: Any) -> dict[str, Any]:
        found = {name: value for name, value in found_attributes(self).items() if value is not None}
        if "RedrivePolicy" in found:
            found["RedrivePolicy"] = json.dumps(self.redrive_policy, separators=(",", ":"))
        return found

    queue._set_attributes = keeping
    queue.attributes = property(set_ones)
    queue.redrive_allow_policy = None
    queue.BASE_ATTRIBUTES = [*queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]


PATCHES = [queue_attributes]
