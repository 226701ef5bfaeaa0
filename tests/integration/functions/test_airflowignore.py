"""The managed .airflowignore, read by the real Airflow: its regexps are RE2's, which skips what it cannot compile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from mwaa_continuity import visibility

PYTHON = Path(__file__).resolve().parents[3] / "build" / "airflow" / "2.10.3" / "bin" / "python"
VISIBLE = ["continuity/__init__.py", "continuity/engine/copy.py", "continuity_restore.py"]
HIDDEN = ["c.py", "continui.py", "etl.py", "packed.zip", "team/continuity_x.py", "team/etl.py", "Continuity.py"]

FIND = """
import json, sys
from airflow.utils.file import find_path_from_directory
print(json.dumps(list(find_path_from_directory(sys.argv[1], ".airflowignore", sys.argv[2]))))
"""


@pytest.mark.parametrize("syntax", ["regexp", "glob"])
def test_airflow_sees_the_metadata_dags_and_nothing_else(tmp_path: Path, syntax: str) -> None:
    """Failure covered: with DAGs not paused at creation, catch-up fires before the restore."""
    assert PYTHON.exists(), "make set-up-airflow installs Airflow 2.10.3"
    folder = tmp_path / "dags"
    for name in [*VISIBLE, *HIDDEN]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    content = visibility.ignore_file("2.10.3", {"core.dag_ignore_file_syntax": syntax})
    (folder / ".airflowignore").write_text(content)
    done = subprocess.run(
        [PYTHON, "-c", FIND, folder, syntax],
        env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert sorted(str(Path(path).relative_to(folder)) for path in found) == sorted(VISIBLE)
