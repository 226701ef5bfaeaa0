"""Which versions the stand-in runs, and that nothing of a component listens beyond loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local_aws.mwaa.airflow_versions import UnsupportedVersion, bin_dir_of, installed_versions, major_of
from tests.local_aws.mwaa.rules import OFFERED_VERSIONS


@pytest.mark.parametrize("version", OFFERED_VERSIONS)
def test_every_offered_version_has_a_major(version: str) -> None:
    major = major_of(version)
    assert major.rest_prefix == ("/api/v2" if version.startswith("3.") else "/api/v1")
    components = major.components(Path("/bin"), 4711)
    assert major.web_component in components
    assert "127.0.0.1" in " ".join(components[major.web_component])
    # Log servers listen on every interface; a DAG processor has none.
    assert all("--skip-serve-logs" in components[name] for name in ("scheduler", "triggerer"))


def test_a_major_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnsupportedVersion, match=r"does not run Airflow 4; accepted majors: \[2, 3\]"):
        major_of("4.0.0")


def test_a_version_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "3.3.1" / "bin" / "airflow"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "3.0.6").mkdir()
    assert bin_dir_of(tmp_path, "3.3.1") == program.parent
    assert installed_versions(tmp_path) == ["3.3.1"]
    with pytest.raises(UnsupportedVersion, match=r"Airflow 3.0.6 is not installed here; installed: 3.3.1"):
        bin_dir_of(tmp_path, "3.0.6")
