"""A plan as one Markdown comment of a pull request: what is taken away first, never cut; the rest as far as it fits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from plan_review.attributes import ABSENT, SENSITIVE, UNKNOWN, Attribute
from plan_review.holding import holds_state
from plan_review.reading import CREATE, DANGEROUS, DELETE, FORGET, IMPORT, KINDS, MOVE, REPLACE, UPDATE, Change, Plan

#: What GitHub takes as the body of a comment. Counted in bytes of UTF-8, which are never fewer than its characters.
LIMIT: Final = 65_536

_DONE: Final = {
    REPLACE: "replaced",
    DELETE: "deleted",
    FORGET: "forgotten",
    UPDATE: "updated",
    CREATE: "created",
    IMPORT: "imported",
    MOVE: "moved",
}
#: How much is said: every attribute, only those that force a replacement, only addresses; and of the harmless part
#: in the end only how many of each type.
FULL, FORCING, ADDRESSES, COUNTS = range(4)
#: What is given up first: the harmless part, then attributes of the dangerous one. Its addresses never.
_STEPS: Final = ((FULL, FULL), (FULL, ADDRESSES), (FULL, COUNTS), (FORCING, COUNTS), (ADDRESSES, COUNTS))
_LONGEST_VALUE: Final = 160
#: Values that say no more than none does.
_EMPTY: Final = frozenset({ABSENT, "false", "0", '""', "[]", "{}"})
_SHORTENED: Final = (
    "\n> Shortened to fit into a comment: the plan itself, in the log of this run, has every attribute.\n"
)


class TooLong(ValueError):
    """What is replaced and deleted does not fit into one comment, and must not be cut."""


def marker(name: str) -> str:
    """The first line of a comment, by which the next run finds it. Raises `ValueError` for an unusable name."""
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", name) or "--" in name:
        raise ValueError(f"marker is {name!r}; accepted: letters, digits, and . _ / - (no two - in a row)")
    return f"<!-- plan-review: {name} -->"


def comment(plans: Sequence[Plan], name: str, limit: int = LIMIT) -> str:
    """The comment on some plans. Raises `TooLong`."""
    size = 0
    for dangerous, harmless in _STEPS:
        shortened = (dangerous, harmless) != (FULL, FULL)
        text = "\n".join([marker(name), *body(plans, dangerous, harmless), *([_SHORTENED] if shortened else [])]) + "\n"
        size = len(text.encode())
        if size <= limit:
            return text
    raise TooLong(
        f"what is replaced and deleted takes {size} bytes, and a comment holds {limit}: read the plan itself, "
        "or plan fewer roots into one comment"
    )


def body(plans: Sequence[Plan], dangerous: int, harmless: int) -> Iterator[str]:
    """Every line after the marker."""
    yield "## Terraform plan"
    yield ""
    yield from overview(plans)
    for plan in plans:
        if plan.incomplete:
            yield ""
            yield "> [!WARNING]"
            yield f"> {plain(plan.label)}: the plan is **incomplete**. It does not show all that would change."
    threatened = [plan for plan in plans if plan.of(*DANGEROUS)]
    if threatened:
        yield ""
        yield "### Replaced or deleted"
        for plan in threatened:
            yield ""
            yield f"#### {plain(plan.label)}"
            yield ""
            for change in sorted(plan.of(*DANGEROUS), key=lambda change: holds_state(change) is None):
                yield from taken_away(change, dangerous)
    for plan in plans:
        yield from rest(plan, harmless)


def overview(plans: Sequence[Plan]) -> Iterator[str]:
    """A table: a line a plan, a column a kind of change."""
    kinds = [
        kind for kind in KINDS if kind in (REPLACE, DELETE, UPDATE, CREATE) or any(plan.of(kind) for plan in plans)
    ]
    yield "| | " + " | ".join(_DONE[kind] for kind in kinds) + " |"
    yield "|---|" + "---:|" * len(kinds)
    for plan in plans:
        counts = [len(plan.of(kind)) for kind in kinds]
        cells = [
            f"**{count}**" if count and kind in DANGEROUS else str(count)
            for kind, count in zip(kinds, counts, strict=True)
        ]
        yield f"| {plain(plan.label)} | " + " | ".join(cells) + " |"


def taken_away(change: Change, detail: int) -> Iterator[str]:
    """A resource that is replaced or deleted."""
    held = holds_state(change)
    how = "**deleted**" if change.kind == DELETE else "**replaced**"
    if change.kind == REPLACE and change.keeps_running and detail < ADDRESSES:
        how += " (the new one first)"
    said = "".join([", deposed" if change.deposed else "", f", **{held}**" if held and detail < ADDRESSES else ""])
    why = f": {change.reason}" if change.reason and detail < ADDRESSES else ""
    yield f"- {how} {code(change.address)}{said}{why}"
    if change.kind == DELETE or detail == ADDRESSES:
        return
    forcing = [attribute for attribute in change.attributes if attribute.forces]
    yield from (f"  - forces it: {difference(attribute)}" for attribute in forcing)
    others = [attribute for attribute in change.attributes if not attribute.forces]
    if detail == FULL:
        yield from (f"  - {difference(attribute)}" for attribute in others if tells(attribute))
    unknown = sum(attribute.after == UNKNOWN for attribute in others)
    if unknown and detail == FULL:
        yield f"  - {unknown} more known after apply"


def rest(plan: Plan, detail: int) -> Iterator[str]:
    """What a plan changes without taking anything away."""
    parts = [*harmless_parts(plan, detail)]
    yield ""
    yield f"### {plain(plan.label)}"
    yield ""
    if not parts:
        nothing_else = "Nothing else changes." if plan.of(*DANGEROUS) else "Nothing changes."
        yield nothing_else
    for title, lines in parts:
        yield f"<details><summary>{title}</summary>"
        yield ""
        yield from lines
        yield ""
        yield "</details>"


def harmless_parts(plan: Plan, detail: int) -> Iterator[tuple[str, list[str]]]:
    """Titles with the lines below them."""
    updates, creates = plan.of(UPDATE), plan.of(CREATE)
    if updates:
        yield f"{count(len(updates), 'resource')} updated", [*listed(updates, detail)]
    if creates:
        yield f"{count(len(creates), 'resource')} created", [*by_type(creates, detail)]
    for kind in (MOVE, IMPORT, FORGET):
        if of_kind := plan.of(kind):
            title = f"{count(len(of_kind), 'resource')} {_DONE[kind]}"
            yield title + (", and no longer managed" if kind == FORGET else ""), [*listed(of_kind, detail)]
    if plan.outputs:
        lines = [f"- {difference(output)}" for output in plan.outputs]
        yield f"{count(len(plan.outputs), 'output')} changed", lines if detail < COUNTS else []
    if undone := plan.undone():
        title = f"{count(len(undone), 'resource')} changed outside of Terraform, which this plan would undo"
        yield title, [*listed(undone, detail)]
    if plan.reads:
        yield f"{count(plan.reads, 'data source')} read while applying", []


def listed(changes: Sequence[Change], detail: int) -> Iterator[str]:
    """Resources with what changes of each."""
    if detail == COUNTS:
        yield from by_type(changes, COUNTS)
        return
    for change in changes:
        from_where = f", moved from {code(change.moved_from)}" if change.moved_from else ""
        yield f"- {code(change.address)}{from_where}{', imported' if change.imported else ''}"
        if detail == FULL and change.kind in (UPDATE, IMPORT):
            yield from (f"  - {difference(attribute)}" for attribute in change.attributes)


def by_type(changes: Sequence[Change], detail: int) -> Iterator[str]:
    """How many of each type, and their addresses where there is room."""
    for kind, number in sorted(Counter(change.type for change in changes).items()):
        yield f"- {number} {code(kind)}"
        if detail < COUNTS:
            yield from (f"  - {code(change.address)}" for change in changes if change.type == kind)


def tells(attribute: Attribute) -> bool:
    """Whether an attribute of a replacement says anything: not what is only computed, or left at nothing."""
    return attribute.after != UNKNOWN and not {attribute.before, attribute.after} <= _EMPTY


def difference(attribute: Attribute) -> str:
    """One attribute: what it is, what it will be."""
    if not attribute.before and not attribute.after:
        return code(attribute.path)
    if attribute.before == attribute.after == SENSITIVE:
        return f"{code(attribute.path)}: {SENSITIVE}, another one"
    before, after = (shown(value) for value in (attribute.before, attribute.after))
    return f"{code(attribute.path)}: {before} → {after}"


def shown(value: str) -> str:
    """A value: as code, cut in its middle where it is long, words about a value as words."""
    if value.startswith("(") and value.endswith(")"):
        return value
    if len(value) > _LONGEST_VALUE:
        half = _LONGEST_VALUE // 2
        value = f"{value[:half]} … {value[-half:]}"
    return code(value)


def code(text: str) -> str:
    """Text as code that no character of it can end."""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    padding = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{padding}{text}{padding}{fence}".replace("\n", " ")


def plain(text: str) -> str:
    """Text that Markdown and HTML read as text."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text.replace("\n", " "))


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"
