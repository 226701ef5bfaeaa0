"""What Terraform makes of `modules/metadata-lake`: its tables, the statements of its state machine, its saved queries.

Terraform itself is asked, in a console that needs no account, so that tests run the very text that is deployed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = Path("modules/metadata-lake")
TABLES = Path("dags/continuity/lake_tables.json")
BUCKET = "lake-bucket"
VARIABLES = {
    "name": "lake",
    "prefix": "lake-us-east-1",
    "environments": '["one", "two", "three"]',
    "bucket": BUCKET,
    "key_arn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}
ASKED = """jsonencode({ tables = local.tables, statements = local.statements, queries = local.queries,
view = file("${path.module}/sql/attempt.sql"), retry = local.retry })"""


@dataclass(frozen=True)
class LakeModule:
    """tables: as the catalogue has them; statements: of each table, as the state machine has them; queries: by name;
    view: the statement that makes it."""

    tables: Mapping[str, Any]
    statements: Sequence[Mapping[str, str]]
    queries: Mapping[str, str]
    view: str
    retry: Sequence[Any]

    def machine(self, retry: Sequence[Any] | None = None) -> str:
        """The definition of the state machine; `retry`: in the place of its own."""
        values = {
            "partition": "aws",
            "database": "lake_metadata",
            "workgroup": "lake-us-east-1-lake",
            "statements": json.dumps(self.statements),
            "view": json.dumps(self.view),
            "retry": json.dumps(self.retry if retry is None else retry),
        }
        text = (ROOT / MODULE / "merge.asl.json").read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace("${" + name + "}", value)
        return text


@cache
def lake_module() -> LakeModule:
    """Raises `subprocess.CalledProcessError`, its output in a note, where Terraform does not take the module."""
    with tempfile.TemporaryDirectory(prefix="lake-module-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / MODULE, folder / MODULE, ignore=shutil.ignore_patterns(".terraform*", "tests"))
        (folder / TABLES).parent.mkdir(parents=True)
        shutil.copy(ROOT / TABLES, folder / TABLES)
        _terraform(folder / MODULE, "init", "-backend=false", "-input=false")
        given = [part for name, value in VARIABLES.items() for part in ("-var", f"{name}={value}")]
        answer = _terraform(folder / MODULE, "console", *given, asked=" ".join(ASKED.split("\n")))
    return LakeModule(**json.loads(json.loads(answer)))


def _terraform(folder: Path, *arguments: str, asked: str = "") -> str:
    settings = {"TF_CLI_CONFIG_FILE": str(ROOT / "build/terraform.rc"), "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env={**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **settings},
        input=asked,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, done.args)
        error.add_note(done.stdout + done.stderr)
        raise error
    return done.stdout
