"""What MWAA's images hold: which packages at which versions, and which versions pip is held to when it adds to them.

One file per version of Airflow below `image_pins/`; docs/requirements.md says what they are taken from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from mwaa_continuity.versions import parse_version

FOLDER: Final = resources.files("mwaa_continuity") / "image_pins"

_AIRFLOW: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Image:
    """One of MWAA's images. Names of packages are normalized."""

    airflow: str
    python: str  #: such as "3.11"
    packages: Mapping[str, str | None]  #: what is in it; no version where its build does not fix one
    enforced: Mapping[str, str]  #: what MWAA holds every installation to
    constraints: Mapping[str, str]  #: of this version of Airflow: what a file without constraints is held to besides


def known_versions() -> list[str]:
    """Versions of Airflow whose image is known, oldest first."""
    return sorted(
        (file.name.removesuffix(".json") for file in FOLDER.iterdir()), key=lambda version: parse_version(version).key
    )


def image(airflow: str) -> Image | None:
    """The image of a version of Airflow, or none where it is not known."""
    file = FOLDER / f"{airflow}.json"
    if not _AIRFLOW.fullmatch(airflow) or not file.is_file():
        return None
    held = json.loads(file.read_text(encoding="utf-8"))
    return Image(airflow, held["python"], held["packages"], held["enforced"], held["constraints"])
