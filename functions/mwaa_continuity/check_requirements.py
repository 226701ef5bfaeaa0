"""`python -m mwaa_continuity.check_requirements --airflow VERSION FILE`: would pip on MWAA's image install it?

Needs the standard library and no network. Exit codes: 0 nothing is known that pip would refuse; 1 pip would refuse it;
2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mwaa_continuity.image_pins import Image, image, known_versions
from mwaa_continuity.requirements_check import REFUSED, UNKNOWN, WARNING, Remark, check, installs

GOOD, BAD, WRONG_USAGE = 0, 1, 2

#: What is said of a line begins no farther right, however long its name is.
_WIDEST: Final = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one file and print what is to be said of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="check_requirements", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="the requirements.txt")
    parser.add_argument("--airflow", required=True, metavar="VERSION", help=", ".join(known_versions()))
    given = parser.parse_args(arguments)
    held = image(given.airflow)
    if held is None:
        parser.error(f"--airflow is {given.airflow!r}; accepted: {', '.join(known_versions())}")
    try:
        content = given.file.read_bytes()
    except OSError as error:
        parser.error(f"FILE: {given.file} cannot be read ({error.strerror}); accepted: a requirements file")
    remarks = check(content, given.airflow)
    print("\n".join(told(remarks, given.file.name, held)))
    return GOOD if installs(remarks) else BAD


def told(remarks: Sequence[Remark], name: str, held: Image) -> list[str]:
    """What is printed: one line a remark, what to do below it, the verdict last."""
    width = min(_WIDEST, max((len(remark.about) for remark in remarks), default=0))
    lines = [f"{name} on MWAA's Airflow {held.airflow} (Python {held.python})", ""]
    for remark in remarks:
        where = f"line {remark.line}" if remark.line else "file"
        lines.append(f"  {where:9} {remark.level:8} {remark.about:{width}} {remark.found}".rstrip())
        if remark.do:
            lines.append(f"{'':21}{'do:':{width}} {remark.do}")
    return [*lines, "", verdict(remarks)]


def verdict(remarks: Sequence[Remark]) -> str:
    """The answer in one sentence."""
    counted = {level: sum(remark.level == level for remark in remarks) for level in (REFUSED, WARNING, UNKNOWN)}
    if counted[REFUSED]:
        return f"Refused: pip would install nothing of this file, because of {counted[REFUSED]} of its lines."
    unknown = f", {counted[UNKNOWN]} that cannot be told from here" if counted[UNKNOWN] else ""
    return f"Installs, as far as the image's pins tell: {counted[WARNING]} warnings{unknown}."


if __name__ == "__main__":
    sys.exit(main())
