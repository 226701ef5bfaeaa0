"""The machine that keeps a standby: it comes, follows, is let alone, and what cannot be done is told."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.integration.functions.machines import (
    IGNORE,
    OBSERVED,
    Region,
    become,
    gone_live,
    observe,
    restored,
    told_as_complete,
)
from tests.unit.functions.conftest import BINDING, DAGS, NAME, PRIMARY, SECONDARY, SECRET_OPTION, Account


def settle(account: Account, status: str, after: float = 0.2, **members: Any) -> None:
    """Let an update reach a status, with what MWAA then says of the environment."""

    def reach(there: dict[str, Any]) -> None:
        there |= {"Status": status, **members}

    account.mwaa.on_update = lambda there: threading.Timer(after, reach, (there,)).start()


@pytest.fixture
def kept(region: Region) -> Region:
    """The secondary with its standby, in step."""
    observe(region.account)
    become(region.account, "AVAILABLE")
    region.deploy()
    done = region.run("standby", "first")
    assert done["status"] == "SUCCEEDED", done
    return region


def test_a_standby_comes_hidden_and_is_told(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: user DAGs act before their state is there."""
    account = region.account
    hidden: list[bool] = []
    observe(account)
    become(account, "AVAILABLE", after=0.5)
    create = account.mwaa.on_create

    def remember(document: dict[str, Any]) -> None:
        hidden.append(IGNORE in account.objects(DAGS))
        create(document)

    account.mwaa.on_create = remember
    region.deploy()
    done = region.run("standby")
    assert done["status"] == "SUCCEEDED", done
    assert hidden == [True]
    entered = region.entered(done["executionArn"])
    assert entered.count("EnsureEnvironment") == 2
    assert entered[-2:] == ["BroughtInStep", "InStepNow"]
    told = json.loads(done["output"])["brought_in_step"]
    assert told["spec_source"] == OBSERVED
    assert told_as_complete("standby", done["output"])
    assert account.mwaa.runs == {}, "nothing is restored, nothing goes live"
    assert account.lease()["holder"] == PRIMARY
    history = json.dumps(region.history(done["executionArn"]), default=str)
    assert SECRET_OPTION not in history
    assert SECRET_OPTION not in capsys.readouterr().out


def test_a_second_look_finds_nothing_to_do_and_tells_nobody(kept: Region) -> None:
    done = kept.run("standby", "second")
    assert kept.entered(done["executionArn"])[-1] == "InStep"
    assert not told_as_complete("standby", done["output"])
    assert (len(kept.account.mwaa.created), kept.account.mwaa.updated) == (1, [])


def test_a_change_of_the_primary_is_followed(kept: Region) -> None:
    """Failure covered: Min/MaxWebservers forgotten."""
    observe(kept.account, MaxWebservers=5)
    settle(kept.account, "AVAILABLE")
    done = kept.run("standby", "second")
    assert kept.entered(done["executionArn"])[-1] == "InStepNow", done
    assert kept.account.mwaa.updated == [{"MaxWebservers": 5}]


def test_what_was_revealed_by_replication_is_hidden_again(kept: Region) -> None:
    """Replication puts the user's own file, or its deletion, on top of ours: user DAGs would be parsed."""
    account = kept.account
    account.s3.put_object(Bucket=DAGS, Key=IGNORE, Body=b"mine")
    kept.run("standby", "second")
    assert b"mine" not in account.s3.get_object(Bucket=DAGS, Key=IGNORE)["Body"].read()
    account.s3.delete_object(Bucket=DAGS, Key=IGNORE)
    kept.run("standby", "third")
    assert IGNORE in account.objects(DAGS)


@pytest.mark.parametrize("live", [True, False], ids=["active", "a failover at work"])
def test_the_active_environment_is_left_alone(kept: Region, live: bool) -> None:
    account = kept.account
    observe(account, MaxWebservers=5)
    account.set_lease(holder=SECONDARY, token=2, live=live)
    account.s3.delete_object(
        Bucket=DAGS,
        Key=IGNORE,
        VersionId=account.s3.head_object(Bucket=DAGS, Key=IGNORE)["VersionId"],
    )
    done = kept.run("standby", "second")
    assert kept.entered(done["executionArn"])[-1] == "Active"
    assert account.mwaa.updated == []
    assert IGNORE not in account.objects(DAGS), "its DAGs stay visible"


def test_an_update_that_fails_is_told_once_and_left(kept: Region) -> None:
    """Failure covered: an environment that is changed hour after hour, and not there when it is needed."""
    error = {"ErrorCode": "INCORRECT_CONFIGURATION", "ErrorMessage": "no such class"}
    last = {"Status": "FAILED", "CreatedAt": 1_700_000_000, "Error": error}
    observe(kept.account, MaxWebservers=5)
    settle(kept.account, "UPDATE_FAILED", MaxWebservers=4, LastUpdate=last)
    done = kept.run("standby", "second")
    assert (done["status"], done["error"]) == ("FAILED", "StandbyBehind")
    assert "the update of MaxWebservers failed: INCORRECT_CONFIGURATION: no such class" in done["cause"]
    left = kept.run("standby", "third")
    assert kept.entered(left["executionArn"])[-1] == "Behind"
    assert len(kept.account.mwaa.updated) == 1
    by_hand = kept.run("standby", "fourth", again=True)
    assert (by_hand["status"], by_hand["error"]) == ("FAILED", "StandbyBehind")
    assert len(kept.account.mwaa.updated) == 2


def test_what_cannot_be_updated_fails_with_what_to_do(kept: Region) -> None:
    kept.account.put_json(
        f"spec/{NAME}/binding.{SECONDARY}.json",
        BINDING | {"NetworkConfiguration": {"SubnetIds": ["subnet-c", "subnet-d"], "SecurityGroupIds": ["sg-a"]}},
    )
    done = kept.run("standby", "second")
    assert (done["status"], done["error"]) == ("FAILED", "CannotBeUpdated")
    assert "NetworkConfiguration.SubnetIds" in done["cause"]
    assert "delete-environment" in done["cause"]


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UNAVAILABLE"])
def test_a_creation_that_fails_is_told(region: Region, status: str) -> None:
    """Failure covered: CREATE_FAILED polls until the time limit."""
    observe(region.account)
    become(region.account, status)
    region.deploy()
    done = region.run("standby")
    assert (done["status"], done["error"]) == ("FAILED", "EnvironmentNotUsable")
    assert f"is {status}" in done["cause"]


def test_before_the_primary_is_applied_there_is_nothing_to_keep(region: Region) -> None:
    """The secondary is applied first: its own binding arrives before any spec."""
    region.account.s3.delete_object(Bucket=DAGS, Key="requirements.txt")
    region.deploy()
    done = region.run("standby")
    assert done["status"] == "SUCCEEDED", done
    assert region.entered(done["executionArn"])[-1] == "NotYet"
    assert region.account.mwaa.created == []


def test_two_looks_at_once_make_one_environment(region: Region) -> None:
    """Schedules and events come at least once."""
    observe(region.account)
    become(region.account, "AVAILABLE", after=1.0)
    region.deploy()
    ends = [region.wait(arn) for arn in [region.start("standby", f"run-{n}") for n in (1, 2)]]
    assert [end["status"] for end in ends] == ["SUCCEEDED", "SUCCEEDED"]
    assert (len(region.account.mwaa.created), region.account.mwaa.updated) == (1, [])


def test_a_failover_takes_the_standby_over(kept: Region) -> None:
    """Nothing is created: the environment is there, and its DAGs are revealed once."""
    kept.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    done = kept.run("failover", reason="the primary is dead")
    assert done["status"] == "SUCCEEDED", done
    assert len(kept.account.mwaa.created) == 1
    assert IGNORE not in kept.account.objects(DAGS)
    assert "WaitForEnvironment" not in kept.entered(done["executionArn"])
    assert kept.run("standby", "after")["status"] == "SUCCEEDED"
    assert IGNORE not in kept.account.objects(DAGS)


def test_a_second_attempt_onto_a_standby_hides_nothing_that_runs(kept: Region) -> None:
    """The environment is older than the lease: that it was revealed is remembered, not told by its age."""

    def refuse() -> dict[str, Any]:
        raise RuntimeError("Continuity.GoLiveFailed")

    kept.answer_dags({"continuity_restore": restored, "continuity_go_live": refuse})
    assert kept.run("failover", "first-attempt")["status"] == "FAILED"
    assert IGNORE not in kept.account.objects(DAGS)
    seen: list[bool] = []

    def look() -> dict[str, Any]:
        seen.append(IGNORE in kept.account.objects(DAGS))
        return restored()

    kept.answer_dags({"continuity_restore": look, "continuity_go_live": gone_live})
    assert kept.run("failover", "second-attempt")["status"] == "SUCCEEDED"
    assert seen == [False]
