"""Probes of the patches of sqs."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.local_aws.probes.inside import client


def queue_attributes() -> Any:
    queues = client("sqs")
    url = queues.create_queue(QueueName="q")["QueueUrl"]
    for name in ("Policy", "RedriveAllowPolicy"):
        value = {"Statement": [{"Sid": name}]} if name == "Policy" else {"redrivePermission": "denyAll"}
        queues.set_queue_attributes(QueueUrl=url, Attributes={name: json.dumps(value)})
    found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    queues.set_queue_attributes(QueueUrl=url, Attributes={"RedriveAllowPolicy": ""})
    if "RedriveAllowPolicy" in found:
        assert "Attributes" not in queues.get_queue_attributes(QueueUrl=url, AttributeNames=["RedriveAllowPolicy"])
    return [name in found for name in ("Policy", "RedriveAllowPolicy")]
