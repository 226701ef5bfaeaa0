"""Build or check functions/package.zip: `python -m tests.tools.package_functions build|check`.

The same sources give the same bytes on every machine: sorted names, a fixed date and mode, no compression.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
PACKAGE = FUNCTIONS / "package.zip"
SHIPPED = {".py", ".json"}
DATE = (1980, 1, 1, 0, 0, 0)
UNIX = 3
MODE = 0o100644 << 16


def sources(folder: Path) -> dict[str, bytes]:
    """What is shipped: path inside the package -> content with \\n line ends."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(b"\r\n", b"\n")
        for path in (folder / "mwaa_continuity").rglob("*")
        if path.suffix in SHIPPED and path.is_file() and "__pycache__" not in path.parts
    }
    if not found:
        raise FileNotFoundError(f"no source below {folder / 'mwaa_continuity'}")
    return found


def package(files: dict[str, bytes]) -> bytes:
    """The zip as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = UNIX
            entry.external_attr = MODE
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def difference(committed: Path, wanted: bytes) -> str | None:
    """What differs between the committed package and the wanted one, or none."""
    if not committed.is_file():
        return f"{committed.name} is missing"
    if committed.read_bytes() == wanted:
        return None
    try:
        with zipfile.ZipFile(committed) as old, zipfile.ZipFile(io.BytesIO(wanted)) as new:
            before = {name: old.read(name) for name in old.namelist()}
            after = {name: new.read(name) for name in new.namelist()}
    except zipfile.BadZipFile:
        return f"{committed.name} is no zip"
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return f"{committed.name} is not what the sources give: {', '.join(changed) or 'same files, other bytes'}"


def main(arguments: list[str]) -> int:
    """Exit code 0 where the package is built, or is what the sources give."""
    if arguments not in (["build"], ["check"]):
        print("usage: python -m tests.tools.package_functions build|check", file=sys.stderr)
        return 2
    wanted = package(sources(FUNCTIONS))
    if arguments == ["build"]:
        if difference(PACKAGE, wanted):
            PACKAGE.write_bytes(wanted)
        print(f"{PACKAGE.name}: {len(wanted)} bytes")
        return 0
    problem = difference(PACKAGE, wanted)
    if problem:
        print(f"{problem}; `make package` builds it", file=sys.stderr)
        return 1
    print(f"{PACKAGE.name} is what the sources give")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
