"""The pipelines of examples/ci: what they name exists, and they hold no key and no permission that they do not need."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CI = ROOT / "examples" / "ci"
WORKFLOWS = sorted((CI / "github-actions").glob("*.yml"))
BUILDSPECS = sorted((CI / "codebuild").glob("*.yml"))
#: Of the reader's own repository: files and folders that only they have.
OF_THE_READER = ("my_dags", "images", "requirements.txt", "accounts/plan-labels.txt")


def name(path: Path) -> str:
    return path.name


def read(path: Path) -> dict[str, Any]:
    """A YAML file as GitHub and CodeBuild read it: `on` is a key, not a truth."""
    read_document: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - texts only
    return read_document


def scripts(path: Path) -> list[str]:
    """Every shell script of a file."""
    document = read(path)
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [command for phase in document["phases"].values() for command in phase["commands"]]


@pytest.mark.parametrize("path", [*WORKFLOWS, *BUILDSPECS], ids=name)
def test_every_command_and_path_exists(path: Path) -> None:
    """Failure covered: an example that stops working when a target is renamed."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = "\n".join(scripts(path))
    called = set(re.findall(r"\bmake (?:--no-print-directory )?([a-z-]+)", text))
    assert called <= targets
    for found in re.findall(r"(?<![\w/$\"{])(?:examples|accounts|my_dags|images)/[\w./-]*", text):
        assert found.startswith(OF_THE_READER) or (ROOT / found.rstrip("/")).exists(), found
    for script in scripts(path):
        checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_what_a_workflow_uses_is_pinned_and_what_it_may_is_small(path: Path) -> None:
    """Failure covered: an action is replaced under its tag; a job that plans can write to the repository."""
    document = read(path)
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert "timeout-minutes" in job
        permissions = job["permissions"]
        assert permissions["contents"] == "read"
        assumes = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
        assert (permissions.get("id-token") == "write") == bool(assumes)
        # Whoever holds a role of the account does not write to the repository, and the other way round.
        assert not (assumes and set(permissions) - {"contents", "id-token"})
        assert all("role-to-assume" in step["with"] for step in assumes)
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] == "false"
            # What somebody else wrote reaches a script by the environment only.
            assert "${{" not in step.get("run", "")
    text = path.read_text()
    assert re.search(r"\bsecrets[.\[]", text) is None
    assert "pull_request_target" not in text
    assert "AWS_SECRET_ACCESS_KEY" not in text


def test_a_pull_request_gets_no_role_that_writes() -> None:
    text = (CI / "github-actions" / "plan.yml").read_text()
    assert set(re.findall(r"\b([A-Z]+)_ROLE_", text)) == {"REVIEW"}


def test_what_is_applied_is_what_was_saved_after_somebody_agreed() -> None:
    jobs = read(CI / "github-actions" / "apply.yml")["jobs"]
    plan, apply = jobs["plan"], jobs["apply"]
    assert apply["needs"] == "plan"
    assert apply["environment"] == "${{ matrix.account }}"
    assert apply["strategy"]["max-parallel"] == "1"
    saved, taken = ("\n".join(step.get("run", "") for step in job["steps"]) for job in (plan, apply))
    (where,) = set(re.findall(r"s3://\S+", saved))
    assert where in taken
    assert "terraform plan" not in taken
    assert "make plan" not in taken
    # Secondaries own what must outlive the primaries.
    for roots in (plan["strategy"]["matrix"]["include"], apply["strategy"]["matrix"]["include"]):
        for account in ("sandbox", "test", "prod"):
            assert [root["role"] for root in roots if root["account"] == account] == ["secondary", "primary"]
            for root in roots:
                backend = (ROOT / "accounts" / root["account"] / f"{root['role']}.s3.tfbackend").read_text()
                assert f'region = "{root["region"]}"' in backend


@pytest.mark.parametrize(
    "path", [CI / "github-actions" / "dags.yml", CI / "codebuild" / "dags.buildspec.yml"], ids=name
)
def test_syncing_dags_leaves_alone_what_is_not_the_readers(path: Path) -> None:
    """Failure covered: a sync with --delete takes the metadata DAGs away, or what hides a standby's DAGs."""
    (sync,) = [line for script in scripts(path) for line in script.splitlines() if "s3 sync" in line]
    assert "--delete" in sync
    for kept in ('--exclude "continuity*"', '--exclude ".airflowignore"'):
        assert kept in sync
    metadata = [path.name for path in (ROOT / "dags").iterdir() if path.suffix == ".py"]
    assert metadata
    assert all(found.startswith("continuity") for found in metadata)


GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in *--paginate*) printf '%s' "$FOUND" ;; esac
"""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("", "api --method POST repos/o/r/issues/7/comments --field body=@{file} --silent"),
        ("12\n13\n", "api --method PATCH repos/o/r/issues/comments/12 --field body=@{file} --silent"),
    ],
)
def test_one_comment_is_kept(tmp_path: Path, found: str, expected: str) -> None:
    """Failure covered: a comment a push, until nobody reads them."""
    gh, file, calls = tmp_path / "gh", tmp_path / "comment.md", tmp_path / "calls"
    gh.write_text(GH)
    gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
    file.write_text("<!-- plan-review: plan -->\ntext\n")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": str(calls), "FOUND": found}
    command = [str(CI / "upsert-comment.sh"), "o/r", "7", str(file)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    asked, wrote = calls.read_text().splitlines()
    assert "repos/o/r/issues/7/comments" in asked
    assert wrote == expected.format(file=file)


def test_a_file_without_a_marker_is_no_comment(tmp_path: Path) -> None:
    file = tmp_path / "comment.md"
    file.write_text("text\n")
    command = [str(CI / "upsert-comment.sh"), "o/r", "7", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "begins with no marker; accepted" in done.stderr) == (2, True)
