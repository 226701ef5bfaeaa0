"""recreate.ensure with `update`: a standby is created, updated, told of, and left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mwaa_continuity import recreate, spec
from mwaa_continuity.errors import AwsRefused, BadSpec, CannotBeUpdated, EnvironmentNotUsable, Transient
from tests.unit.functions.conftest import (
    BINDING,
    DAGS,
    NAME,
    PRIMARY,
    SECONDARY,
    SECRET_OPTION,
    SNAPSHOTS,
    Account,
    environment,
)

OBSERVED = f"spec/{NAME}/observed.{PRIMARY}.json"
RECORD = f"spec/{NAME}/applied.{SECONDARY}.json"


def call(action: str = "ensure", **fields: Any) -> dict[str, Any]:
    return recreate.handler({"action": action, "request_id": "r-1", "update": True, **fields}, None)


def settle(account: Account, status: str = "AVAILABLE") -> dict[str, Any]:
    """Let MWAA be done."""
    there = account.mwaa.environments[SECONDARY, NAME]
    there["Status"] = status
    return there


@pytest.fixture
def secondary(account: Account) -> Account:
    """The secondary while the primary is active: lease, binding, observed spec, replicated files."""
    account.set_lease()
    version = account.s3.put_object(Bucket=DAGS, Key="requirements.txt", Body=b"x")["VersionId"]
    account.s3.put_object(Bucket=DAGS, Key="startup.sh", Body=b"x")
    account.mwaa.environments[PRIMARY, NAME] = environment() | {"RequirementsS3ObjectVersion": version}
    call("store_spec")
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    return account


@pytest.fixture
def standby(secondary: Account) -> Account:
    """The same with its standby, in step."""
    assert call()["outcome"] == "creating"
    settle(secondary)
    assert call()["outcome"] == "in_step"
    return secondary


def primary_changes(account: Account, **members: Any) -> None:
    """The primary is changed, and the heartbeat check sees it."""
    account.mwaa.environments[PRIMARY, NAME] |= members
    assert call("store_spec") == {"outcome": "stored"}


def test_a_standby_is_created_and_then_in_step(secondary: Account) -> None:
    begun = call(poll_seconds=30, timeout_minutes=120)
    assert (begun["outcome"], begun["spec_source"], begun["polls"]) == ("creating", OBSERVED, 240)
    assert secondary.published("StandbyInStep") == []
    assert call()["outcome"] == "changing"
    settle(secondary)
    done = call()
    assert (done["outcome"], done["why"], done["differing"]) == ("in_step", "", [])
    record = json.loads(secondary.s3.get_object(Bucket=SNAPSHOTS, Key=RECORD)["Body"].read())
    assert record["applied_spec_hash"] == done["applied_spec_hash"]
    assert len(done["applied_spec_hash"]) == 64
    assert record["spec_source"] == OBSERVED
    assert secondary.published("StandbyInStep") == [1.0]
    call()
    assert len(secondary.s3.list_object_versions(Bucket=SNAPSHOTS, Prefix=RECORD)["Versions"]) == 1


def test_a_change_of_the_primary_is_applied_and_nothing_else(standby: Account) -> None:
    """DESIGN: AWS's own sample calls keeping the configuration in step future work."""
    before = call()["applied_spec_hash"]
    primary_changes(standby, MaxWorkers=9, MaxWebservers=5)
    begun = call()
    assert (begun["outcome"], begun["differing"]) == ("updating", ["MaxWebservers", "MaxWorkers"])
    assert standby.mwaa.updated == [{"MaxWorkers": 9, "MaxWebservers": 5}]
    assert call()["outcome"] == "changing"
    settle(standby)
    done = call()
    assert done["outcome"] == "in_step"
    assert done["applied_spec_hash"] != before
    assert len(standby.mwaa.updated) == 1


def test_the_regions_own_values_stay_its_own(standby: Account) -> None:
    """Failure covered: the primary's KMS key sent to the other Region."""
    primary_changes(standby, AirflowConfigurationOptions={"secrets.backend_kwargs": f'{{"r": "{PRIMARY}"}}'})
    call()
    (members,) = standby.mwaa.updated
    assert members["AirflowConfigurationOptions"] == {
        "secrets.backend_kwargs": f'{{"r": "{SECONDARY}"}}',
        "email.from_email": "west@example.com",
    }
    assert PRIMARY not in json.dumps(members)


def test_a_tag_alone_needs_no_update(standby: Account) -> None:
    standby.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING | {"Tags": {"team": "other"}})
    assert call()["outcome"] == "updating"
    assert standby.mwaa.updated == []
    assert call()["outcome"] == "in_step"


def test_the_active_environment_is_never_touched(standby: Account) -> None:
    """Failure covered: an update in the middle of a restore, or of work."""
    standby.mwaa.environments[PRIMARY, NAME]["MaxWorkers"] = 9
    call("store_spec")
    standby.set_lease(holder=SECONDARY, token=2, live=False)
    answer = call()
    assert (answer["outcome"], answer["why"]) == ("not_standby", f"{SECONDARY} holds the lease")
    assert standby.mwaa.updated == []


def test_a_failover_creates_its_environment_itself(secondary: Account) -> None:
    secondary.set_lease(holder=SECONDARY, token=2, live=False)
    assert call()["outcome"] == "not_standby"
    assert secondary.mwaa.created == []


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "ROLLING_BACK", "MAINTENANCE", "PENDING"])
def test_what_changes_by_itself_is_waited_for(standby: Account, status: str) -> None:
    primary_changes(standby, MaxWorkers=9)
    settle(standby, status)
    assert call()["outcome"] == "changing"
    assert standby.mwaa.updated == []


def test_one_that_is_being_deleted_is_created_by_a_later_look(standby: Account) -> None:
    settle(standby, "DELETING")
    assert call()["outcome"] == "not_yet"
    del standby.mwaa.environments[SECONDARY, NAME]
    assert call()["outcome"] == "creating"


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UNAVAILABLE"])
def test_one_that_failed_is_told(standby: Account, status: str) -> None:
    settle(standby, status)
    with pytest.raises(EnvironmentNotUsable, match="delete it"):
        call()
    assert standby.published("StandbyInStep") == [1.0]  # 1 before, and 0 now: their sum


def test_what_cannot_be_updated_is_told_and_nothing_is_touched(standby: Account) -> None:
    standby.put_json(
        f"spec/{NAME}/binding.{SECONDARY}.json",
        BINDING | {"KmsKey": f"arn:aws:kms:{SECONDARY}:123456789012:alias/other"},
    )
    primary_changes(standby, AirflowVersion="3.0.6", MaxWorkers=9)
    with pytest.raises(CannotBeUpdated) as caught:
        call()
    said = str(caught.value)
    assert f"environment {NAME} in {SECONDARY} differs from its spec in what MWAA cannot change" in said
    assert "KmsKey, AirflowVersion (2.10.3 to 3.0.6)" in said
    assert f"aws mwaa delete-environment --name {NAME} --region {SECONDARY}" in said
    assert standby.mwaa.updated == []


def test_an_update_that_failed_is_not_begun_again_by_itself(standby: Account) -> None:
    """Failure covered: an environment that is changed hour after hour, and not there when it is needed."""
    primary_changes(standby, MaxWorkers=9)
    assert call()["outcome"] == "updating"
    there = settle(standby, "UPDATE_FAILED")
    there["MaxWorkers"] = 5
    option = standby.mwaa.environments[PRIMARY, NAME]["AirflowConfigurationOptions"]["secrets.backend_kwargs"]
    message = f"bad option {option.replace(PRIMARY, SECONDARY)}"
    error = {"ErrorCode": "INCORRECT_CONFIGURATION", "ErrorMessage": message}
    there["LastUpdate"] = {"Status": "FAILED", "CreatedAt": 1_700_000_000, "Error": error}
    answer = call()
    assert answer["outcome"] == "behind"
    assert answer["why"] == "the update of MaxWorkers failed: INCORRECT_CONFIGURATION: bad option ***"
    assert len(standby.mwaa.updated) == 1
    assert call(again=True)["outcome"] == "updating"
    settle(standby, "UPDATE_FAILED")["MaxWorkers"] = 5
    primary_changes(standby, MaxWorkers=8)
    assert call()["outcome"] == "updating", "another spec is tried"


def test_one_that_differs_after_its_update_is_not_updated_for_ever(standby: Account) -> None:
    primary_changes(standby, MaxWorkers=9)
    for _ in range(2):
        assert call()["outcome"] in ("updating", "behind")
        settle(standby)["MaxWorkers"] = 7
    answer = call()
    assert (answer["outcome"], answer["why"]) == ("behind", "it differs in MaxWorkers after an update")
    assert len(standby.mwaa.updated) == 2


def test_what_somebody_changed_by_hand_is_put_right(standby: Account) -> None:
    standby.mwaa.environments[SECONDARY, NAME]["MaxWorkers"] = 2
    assert call()["outcome"] == "updating"
    assert standby.mwaa.updated == [{"MaxWorkers": 5}]


def test_a_refused_update_is_told_once_and_repeats_no_option(
    standby: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failure covered: bearer tokens and credentials in logs."""
    option = standby.mwaa.environments[PRIMARY, NAME]["AirflowConfigurationOptions"]["secrets.backend_kwargs"]
    primary_changes(standby, MaxWorkers=9)
    said = {"message": f"bad: {option.replace(PRIMARY, SECONDARY)}"}
    standby.mwaa.failures["UpdateEnvironment"] = (400, said, "ValidationException")
    with pytest.raises(AwsRefused, match=r"UpdateEnvironment answered ValidationException: bad: \*\*\*"):
        call()
    assert call()["outcome"] == "behind"
    assert SECRET_OPTION not in capsys.readouterr().out


def test_who_comes_second_waits(standby: Account) -> None:
    """Two looks at once: schedules and events are delivered at least once."""
    primary_changes(standby, MaxWorkers=9)
    asked = recreate.standby.is_active

    def meanwhile(settings: Any) -> bool:
        settle(standby, "UPDATING")
        return asked(settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recreate.standby, "is_active", meanwhile)
        assert call()["outcome"] == "changing"
    settle(standby)
    assert call()["outcome"] == "updating", "nothing was tried"


def test_a_version_that_has_not_arrived_is_waited_for_then_told(standby: Account) -> None:
    primary_changes(standby, RequirementsS3ObjectVersion="not-replicated-yet")
    with pytest.raises(Transient, match="not in this Region's DAG bucket: RequirementsS3ObjectVersion"):
        call(retries=2)
    answer = call(retries=3)
    assert answer["outcome"] == "behind"
    assert "RequirementsS3ObjectVersion" in answer["why"]
    version = standby.s3.put_object(Bucket=DAGS, Key="requirements.txt", Body=b"new")["VersionId"]
    primary_changes(standby, RequirementsS3ObjectVersion=version)
    assert call()["outcome"] == "updating"
    assert standby.mwaa.updated == [{"RequirementsS3Path": "requirements.txt", "RequirementsS3ObjectVersion": version}]


def test_without_a_spec_there_is_nothing_to_keep(account: Account) -> None:
    account.set_lease()
    answer = call()
    assert answer["outcome"] == "no_spec"
    assert OBSERVED in answer["why"]
    assert account.published("StandbyInStep") == []


def test_a_spec_at_fault_is_told(standby: Account) -> None:
    standby.put_json(OBSERVED, spec.from_environment(environment()) | {"MaxWorkers": "many"})
    with pytest.raises(BadSpec, match="MaxWorkers is str"):
        call()
    assert standby.published("StandbyInStep") == [1.0]


def test_a_service_in_trouble_says_nothing_of_the_standby(standby: Account) -> None:
    primary_changes(standby, MaxWorkers=9)
    standby.mwaa.failures["UpdateEnvironment"] = (503, {"message": "busy"}, "ServiceUnavailableException")
    with pytest.raises(Transient):
        call()
    del standby.mwaa.failures["UpdateEnvironment"]
    assert call()["outcome"] == "updating"
