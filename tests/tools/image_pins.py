"""Write what one of MWAA's images holds to functions/mwaa_continuity/image_pins/<version>.json.

python -m tests.tools.image_pins VERSION PYTHON CONSTRAINTS ENFORCED PACKAGES

The last three are files of lines `name==version`: the constraints that Airflow publishes for the version, those to
which MWAA holds every installation (both lie in `etc/` of the image's published source), and what its build resolves.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from mwaa_continuity.requirements_file import normalized
from mwaa_continuity.versions import parse_version

FOLDER = Path(__file__).resolve().parents[2] / "functions" / "mwaa_continuity" / "image_pins"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>\S+)")


def pins(text: str) -> dict[str, str]:
    """Normalized names with their versions, sorted. Raises `ValueError` for a line that is no pin and no comment."""
    found = {}
    for line in text.splitlines():
        said = line.partition("#")[0].strip()
        pin = _PIN.fullmatch(said)
        if said and pin is None:
            raise ValueError(f"{said!r} is no pin; accepted: name==version")
        if pin:
            parse_version(pin["version"])
            found[normalized(pin["name"])] = pin["version"]
    return dict(sorted(found.items()))


def document(python: str, constraints: str, enforced: str, packages: str) -> dict[str, object]:
    """The file's content. A package that nothing pins keeps no version: the image's build takes the newest."""
    held, always, inside = pins(constraints), pins(enforced), pins(packages)
    return {
        "python": python,
        "packages": {
            name: version if version in (held.get(name), always.get(name)) else None for name, version in inside.items()
        },
        "enforced": always,
        "constraints": held,
    }


def main(arguments: list[str]) -> int:
    """Exit code 0 where the file is written."""
    if len(arguments) != 5:
        print("usage: python -m tests.tools.image_pins VERSION PYTHON CONSTRAINTS ENFORCED PACKAGES", file=sys.stderr)
        return 2
    airflow, python, *files = arguments
    content = document(python, *(Path(file).read_text(encoding="utf-8") for file in files))
    target = FOLDER / f"{airflow}.json"
    target.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    print(target.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
