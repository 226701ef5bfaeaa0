"""What a destroy by Terraform is told: nothing goes while the environment, or what it comes back from, is there."""

from __future__ import annotations

from typing import Any

import pytest

from mwaa_continuity import backup
from mwaa_continuity.errors import BadInput, DestroyRefused
from tests.unit.functions.conftest import NAME, SECONDARY, SNAPSHOTS, Account, environment

SNAPSHOT = "20261121T080000Z-0123abcd"


def ask(phase: Any = "delete", **fields: Any) -> dict[str, Any]:
    """As the provider does: the input, and what Terraform is about to do."""
    tf = {"action": phase, "prev_input": None}
    event = {"action": "may_be_destroyed", "owner": "lifecycle", "tf": tf, **fields}
    return backup.handler(event, None)


def test_nothing_speaks_against_a_destroy_where_nothing_is(account: Account) -> None:
    assert ask(snapshots_go=True) == {"outcome": "granted"}


@pytest.mark.parametrize("status", ["AVAILABLE", "CREATING", "DELETING", "CREATE_FAILED"])
@pytest.mark.parametrize("snapshots_go", [True, False])
def test_an_environment_that_exists_is_not_broken(account: Account, status: str, snapshots_go: bool) -> None:
    """Failure covered: a destroy takes roles and machines, then fails at the subnets, and what runs is broken."""
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, status)
    with pytest.raises(DestroyRefused, match=rf"{NAME} in {SECONDARY} exists \({status}\).* Nothing was destroyed\."):
        ask(snapshots_go=snapshots_go)


def test_one_that_was_deleted_is_none(account: Account) -> None:
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, "DELETED")
    assert ask(snapshots_go=True) == {"outcome": "granted"}


def test_what_sleeps_is_not_lost(account: Account) -> None:
    """Failure covered: a destroy schedules the key for deletion, fails at the bucket, and in a month no snapshot
    opens."""
    account.snapshot(SNAPSHOT, region=SECONDARY)
    with pytest.raises(DestroyRefused, match=rf"snapshots in {SNAPSHOTS} \(1\) .* apply `force_destroy = true` first"):
        ask(snapshots_go=True)
    assert ask(snapshots_go=False) == {"outcome": "granted"}


def test_snapshots_of_another_environment_are_not_asked_for(account: Account) -> None:
    account.s3.put_object(Bucket=SNAPSHOTS, Key=f"snapshots/another/{SNAPSHOT}/manifest.json", Body=b"{}")
    assert ask(snapshots_go=True) == {"outcome": "granted"}


@pytest.mark.parametrize("phase", ["create", "update"])
def test_it_is_asked_when_it_is_destroyed_and_not_before(account: Account, phase: str) -> None:
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    assert ask(phase) == {"outcome": "not_asked"}
    assert account.mwaa.calls == []


def test_what_terraform_owns_it_destroys_itself(account: Account) -> None:
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.snapshot(SNAPSHOT, region=SECONDARY)
    assert ask(owner="terraform", snapshots_go=True) == {"outcome": "not_asked"}
    assert account.mwaa.calls == []


@pytest.mark.parametrize("tf", [None, "delete", {}, {"action": "read"}])
def test_whoever_is_not_terraform_is_refused(account: Account, tf: Any) -> None:
    with pytest.raises(BadInput):
        backup.handler({"action": "may_be_destroyed", "owner": "lifecycle", "tf": tf}, None)


def test_an_owner_that_is_not_known_is_refused(account: Account) -> None:
    with pytest.raises(BadInput, match="owner is another word; accepted: terraform, lifecycle"):
        ask(owner="somebody")
