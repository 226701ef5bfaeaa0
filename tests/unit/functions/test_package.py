"""functions/package.zip: the same bytes from the same sources, and a zip that Python imports the handlers from."""

from __future__ import annotations

import os
import sys
import time
import zipfile
import zipimport
from pathlib import Path

import pytest

from tests.tools import package_functions
from tests.tools.state_machine_templates import FUNCTIONS


def tree(folder: Path, newline: bytes = b"\n") -> Path:
    package = folder / "mwaa_continuity"
    package.mkdir(parents=True)
    (package / "__init__.py").write_bytes(b'"""x"""' + newline)
    (package / "b.py").write_bytes(b"x = 1" + newline)
    (package / "table.json").write_bytes(b"{}" + newline)
    (package / "notes.txt").write_bytes(b"not shipped")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "b.py").write_bytes(b"not shipped")
    return folder


def test_time_mode_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "a"), tree(tmp_path / "b", b"\r\n")
    changed = second / "mwaa_continuity" / "b.py"
    os.utime(changed, (time.time() - 10**6, time.time() - 10**6))
    changed.chmod(0o777)
    built = [package_functions.package(package_functions.sources(folder)) for folder in (first, second)]
    assert built[0] == built[1]


def test_what_is_shipped(tmp_path: Path) -> None:
    files = package_functions.sources(tree(tmp_path))
    assert sorted(files) == [
        "mwaa_continuity/__init__.py",
        "mwaa_continuity/b.py",
        "mwaa_continuity/table.json",
    ]


def test_a_difference_is_named(tmp_path: Path) -> None:
    files = package_functions.sources(tree(tmp_path))
    wanted = package_functions.package(files)
    committed = tmp_path / "package.zip"
    assert package_functions.difference(committed, wanted) == "package.zip is missing"
    committed.write_bytes(wanted)
    assert package_functions.difference(committed, wanted) is None
    committed.write_bytes(package_functions.package(files | {"mwaa_continuity/b.py": b"y = 2\n"}))
    assert package_functions.difference(committed, wanted) == (
        "package.zip is not what the sources give: mwaa_continuity/b.py"
    )
    committed.write_bytes(b"no zip")
    assert package_functions.difference(committed, wanted) == "package.zip is no zip"


def test_the_committed_package_holds_every_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(package_functions.PACKAGE) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.namelist() == sorted(archive.namelist())
    monkeypatch.setattr(sys, "path", [str(package_functions.PACKAGE), *sys.path])
    importer = zipimport.zipimporter(f"{package_functions.PACKAGE}/mwaa_continuity")
    for function in FUNCTIONS:
        code = importer.get_code(function)
        assert "handler" in code.co_names


def test_wrong_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert package_functions.main(["rebuild"]) == 2
    assert "build|check" in capsys.readouterr().err
