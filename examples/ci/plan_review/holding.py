"""Which resources hold what cannot be made again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from plan_review.reading import Change

#: By type; and what is lost with each.
_HOLD_STATE: Final[Mapping[str, str]] = {
    "aws_mwaa_environment": "an environment, with its metadata database",
    "aws_s3_bucket": "a bucket: DAGs, or every snapshot",
    "aws_dynamodb_table": "a table, such as the lease's or an event ledger",
    "aws_dynamodb_table_replica": "the lease table's replica",
    "aws_cloudformation_stack": "a stack, such as that of the lease table",
    "aws_kms_key": "a key: what it encrypted, snapshots too, opens never again",
    "aws_kms_replica_key": "a key: this Region can no longer open snapshots",
}
#: Resources of the module told by their names.
_BY_ADDRESS: Final = (
    (re.compile(r"(^|\.)aws_s3_object\.spec\[.*\]$"), "the spec that an environment is created from"),
    (re.compile(r"(^|\.)aws_dynamodb_table_item\.lease(\[.*\])?$"), "the lease: which Region is active"),
)


def holds_state(change: Change) -> str | None:
    """What is lost with a resource, or none."""
    named = next((held for pattern, held in _BY_ADDRESS if pattern.search(change.address)), None)
    return _HOLD_STATE.get(change.type, named)
