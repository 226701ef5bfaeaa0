"""What a plan may not do unless it is labelled: take away what holds state, or leave an environment without logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plan_review.holding import holds_state
from plan_review.reading import CREATE, DANGEROUS, DELETE, REPLACE, UPDATE, Change, Plan

_PUBLISHED: Final = re.compile(r'(^|\.)aws_s3_object\.spec\["published"\]$')
#: Logs without which nobody sees why an environment does not work: of the native resource, and of the spec.
_LOGS: Final[Mapping[str, str]] = {
    "scheduler_logs": "SchedulerLogs",
    "webserver_logs": "WebserverLogs",
    "worker_logs": "WorkerLogs",
}


@dataclass(frozen=True)
class Label:
    """Leave to do one denied thing: the address, and for which plan; "" for any."""

    address: str
    plan: str = ""

    def covers(self, violation: Violation) -> bool:
        """Whether it is about this violation."""
        return self.address == violation.address and self.plan in ("", violation.plan)


@dataclass(frozen=True)
class Violation:
    """Something that the policy denies."""

    plan: str
    address: str
    what: str


def violations(plan: Plan) -> Iterator[Violation]:
    """Everything in a plan that the policy denies."""
    if plan.incomplete:
        yield Violation(plan.label, "", "the plan is incomplete: nobody can tell what it takes away")
    for change in plan.of(*DANGEROUS):
        held = holds_state(change)
        if held and not change.deposed:
            yield Violation(plan.label, change.address, f"{'replaces' if change.kind == REPLACE else 'deletes'} {held}")
    for change in plan.of(CREATE, UPDATE, REPLACE):
        silent = silenced(change)
        if silent:
            yield Violation(plan.label, change.address, f"leaves the environment without {', '.join(silent)}")


def silenced(change: Change) -> list[str]:
    """Logs that an environment would not write: a native one, or one that is created from the spec."""
    if change.kind == DELETE:
        return []
    if change.type == "aws_mwaa_environment":
        blocks = change.after.get("logging_configuration") or [{}]
        return [name for name in _LOGS if not _enabled(blocks[0].get(name), "enabled")]
    content = change.after.get("content")
    if not _PUBLISHED.search(change.address) or not isinstance(content, str):
        return []  # another object, or one whose content is known after apply
    logging = json.loads(content).get("LoggingConfiguration", {})
    return [name for name in _LOGS.values() if not logging.get(name, {}).get("Enabled")]


def _enabled(blocks: Any, name: str) -> bool:
    """Whether a nested block of Terraform's says so."""
    return bool(blocks) and bool(blocks[0].get(name))


def read_labels(text: str) -> list[Label]:
    """Labels from a file: an address a line, or a plan's label and an address; `#` begins a comment.

    Raises `ValueError` for a line that is neither.
    """
    labels = []
    for number, line in enumerate(text.splitlines(), 1):
        said = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not said:
            continue
        plan, separator, address = said.partition(": ")
        if not separator or '"' in plan:
            plan, separator, address = "", "", said
        if " " in re.sub(r'"[^"]*"', "", address.strip()):
            raise ValueError(f"line {number}: accepted: an address, or a plan's label, a colon and an address")
        labels.append(Label(address.strip(), plan.strip() if separator else ""))
    return labels


def judge(plans: Sequence[Plan], labels: Sequence[Label]) -> tuple[list[Violation], list[Violation], list[Label]]:
    """What is denied, what is denied but labelled, and labels that are about nothing."""
    found = [violation for plan in plans for violation in violations(plan)]
    allowed = [violation for violation in found if any(label.covers(violation) for label in labels)]
    unused = [label for label in labels if not any(label.covers(violation) for violation in found)]
    return [violation for violation in found if violation not in allowed], allowed, unused
