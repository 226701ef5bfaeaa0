"""Hiding user DAGs: what is hidden, and that the user's own file comes back untouched."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwaa_continuity import visibility
from mwaa_continuity.errors import BadSpec
from tests.unit.functions.conftest import DAGS, Account

KEY = "dags/.airflowignore"


def hidden_by_regexp(path: str) -> bool:
    """As Airflow matches its regexp syntax: a search in the path below the DAG folder, one expression a line."""
    content = visibility.ignore_file("2.10.3", {})
    return any(re.search(line, path) for line in content.splitlines())


def test_the_default_syntax_follows_the_version() -> None:
    assert visibility.ignore_file("2.10.3", {}) == visibility.ignore_file(
        "3.0.6", {"core.dag_ignore_file_syntax": "regexp"}
    )
    assert visibility.ignore_file("3.0.6", {}) == "/*\n!/continuity*\n"
    assert visibility.ignore_file("2.9.2", {"core.dag_ignore_file_syntax": "glob"}) == "/*\n!/continuity*\n"


def test_an_unknown_syntax_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"core.dag_ignore_file_syntax is of no known kind; accepted: regexp, glob"):
        visibility.ignore_file("2.10.3", {"core.dag_ignore_file_syntax": "csv"})


def test_no_expression_needs_look_ahead() -> None:
    """Airflow compiles with RE2 and skips what RE2 cannot compile: user DAGs would then stay visible."""
    assert not [line for line in visibility.regexps() if "(?" in line]


@pytest.mark.parametrize(
    "path", ["etl.py", "c", "cont", "continuit.py", "team/continuity_x.py", "Continuity.py", "x.zip"]
)
def test_user_dags_are_hidden(path: str) -> None:
    """Failure covered: catch-up fires before the restore."""
    assert hidden_by_regexp(path)


@pytest.mark.parametrize("path", ["continuity_restore.py", "continuity/__init__.py", "continuity"])
def test_metadata_dags_stay_visible(path: str) -> None:
    assert not hidden_by_regexp(path)


@given(st.text(alphabet=st.characters(exclude_characters="\n", codec="utf-8"), min_size=1))
def test_exactly_what_does_not_begin_with_continuity_is_hidden(path: str) -> None:
    assert hidden_by_regexp(path) == (not path.startswith("continuity"))


def test_hiding_twice_stacks_nothing_and_revealing_leaves_nothing(account: Account) -> None:
    assert visibility.hide(account.s3, DAGS, KEY, "x") == "hidden"
    assert visibility.hide(account.s3, DAGS, KEY, "x") == "already_hidden"
    assert len(account.s3.list_object_versions(Bucket=DAGS)["Versions"]) == 1
    assert visibility.reveal(account.s3, DAGS, KEY) == 1
    assert visibility.reveal(account.s3, DAGS, KEY) == 0
    answer = account.s3.list_object_versions(Bucket=DAGS)
    assert "Versions" not in answer
    assert "DeleteMarkers" not in answer


def test_the_users_own_file_is_current_again(account: Account) -> None:
    own = account.s3.put_object(Bucket=DAGS, Key=KEY, Body=b"^drafts/\n")["VersionId"]
    other = account.s3.put_object(Bucket=DAGS, Key=KEY + ".bak", Body=b"x")["VersionId"]
    visibility.hide(account.s3, DAGS, KEY, "x")
    late = account.s3.put_object(Bucket=DAGS, Key=KEY, Body=b"^late/\n")["VersionId"]
    assert visibility.hide(account.s3, DAGS, KEY, "x") == "hidden", "a file that arrived meanwhile lies on top"
    assert visibility.reveal(account.s3, DAGS, KEY) == 2
    current = account.s3.get_object(Bucket=DAGS, Key=KEY)
    assert current["Body"].read() == b"^late/\n"
    left = {version["VersionId"] for version in account.s3.list_object_versions(Bucket=DAGS)["Versions"]}
    assert left == {own, other, late}


@pytest.mark.parametrize("deleted", [False, True])
def test_a_change_that_replication_brings_late_is_covered_again(account: Account, deleted: bool) -> None:
    """Failure covered: with DAGs not paused at creation, catch-up fires before the restore."""
    account.s3.put_object(Bucket=DAGS, Key=KEY, Body=b"drafts")
    assert visibility.hide(account.s3, DAGS, KEY, "x") == "hidden"
    if deleted:
        account.s3.delete_object(Bucket=DAGS, Key=KEY)
    else:
        account.s3.put_object(Bucket=DAGS, Key=KEY, Body=b"drafts and more")
    assert visibility.hide(account.s3, DAGS, KEY, "x") == "hidden"
    assert account.s3.get_object(Bucket=DAGS, Key=KEY)["Body"].read() == b"x"
    assert visibility.reveal(account.s3, DAGS, KEY) == 2
    assert (KEY in account.objects(DAGS)) is not deleted
    if not deleted:
        assert account.s3.get_object(Bucket=DAGS, Key=KEY)["Body"].read() == b"drafts and more"


def test_a_users_file_without_versions_is_not_overwritten(account: Account) -> None:
    account.s3.create_bucket(Bucket="plain-bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    account.s3.put_object(Bucket="plain-bucket", Key=KEY, Body=b"mine")
    with pytest.raises(BadSpec, match="plain-bucket keeps no versions; accepted: a versioned bucket"):
        visibility.hide(account.s3, "plain-bucket", KEY, "x")
    assert account.s3.get_object(Bucket="plain-bucket", Key=KEY)["Body"].read() == b"mine"


@pytest.mark.parametrize(
    ("folder", "key"), [("dags", KEY), ("dags/", KEY), ("/a/b/", "a/b/.airflowignore"), ("", ".airflowignore")]
)
def test_the_key_of_the_file(folder: str, key: str) -> None:
    assert visibility.ignore_key(folder) == key
