"""`python -m plan_review comment|policy|redact PLAN...`, each PLAN a file, `LABEL=FILE`, or `-` for standard input.

Exit codes: 0 done, or nothing is denied; 1 denied, or too long for a comment; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from plan_review.comment import TooLong, comment, marker
from plan_review.policy import Label, judge, read_labels
from plan_review.reading import NotAPlan, Plan, read_plan
from plan_review.redact import redacted

DONE, DENIED, WRONG_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="plan_review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    written = commands.add_parser("comment", help="write the plans as one Markdown comment to standard output")
    written.add_argument("--marker", default="plan", metavar="NAME", help="tells this comment from others (plan)")
    judged = commands.add_parser("policy", help="deny plans that take away what holds state")
    judged.add_argument("--allow", action="append", default=[], metavar="ADDRESS", help="label this resource")
    judged.add_argument("--allow-file", type=Path, metavar="FILE", help="labels: [PLAN'S LABEL: ]ADDRESS a line")
    reduced = commands.add_parser("redact", help="reduce a plan to what the comment needs, without sensitive values")
    reduced.add_argument("plan", metavar="PLAN")
    for command in (written, judged):
        command.add_argument("plans", nargs="+", metavar="PLAN")
    given = parser.parse_args(arguments)
    try:
        if given.command == "redact":
            label, text = content(given.plan)
            read_plan(label, text)
            print(json.dumps(redacted(json.loads(text))))
            return DONE
        plans = [read_plan(*content(argument)) for argument in given.plans]
        if given.command == "comment":
            marker(given.marker)
            print(comment(plans, given.marker), end="")
            return DONE
        return report(plans, [*map(Label, given.allow), *labels_of(given.allow_file)])
    except TooLong as error:
        print(f"plan_review: {error}", file=sys.stderr)
        return DENIED
    except (NotAPlan, OSError, ValueError) as error:
        print(f"plan_review: {error}", file=sys.stderr)
        return WRONG_USAGE


def content(argument: str) -> tuple[str, str]:
    """Label and text of the plan that an argument names."""
    label, equals, name = argument.rpartition("=")
    label = label if equals else "standard input" if name == "-" else Path(name).stem
    return label, sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def labels_of(file: Path | None) -> list[Label]:
    """Labels of a file, if one is named."""
    if file is None:
        return []
    try:
        return read_labels(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def report(plans: Sequence[Plan], labels: Sequence[Label]) -> int:
    """Print what the policy says of plans; the exit code."""
    denied, allowed, unused = judge(plans, labels)
    for violation in denied:
        print(f"denied   {violation.plan}: {violation.address} {violation.what}")
    for violation in allowed:
        print(f"labelled {violation.plan}: {violation.address} {violation.what}")
    for label in unused:
        print(f"unused   label {label.plan + ': ' if label.plan else ''}{label.address}: take it out")
    if denied:
        print("Label what is meant, by its address, in a commit that somebody reviews.")
        return DENIED
    print(f"Nothing is denied in {len(plans)} plan{'' if len(plans) == 1 else 's'}.")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
