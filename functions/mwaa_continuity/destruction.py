"""What `terraform destroy` asks before it deletes anything: whether that would break the environment, or lose it."""

from __future__ import annotations

from typing import Final

from mwaa_continuity import aws, events, snapshots
from mwaa_continuity.app import Result
from mwaa_continuity.environments import existing_environment
from mwaa_continuity.errors import DestroyRefused
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable

#: What Terraform does with the resource that asks, as its provider tells it in `tf`.
DELETE: Final = "delete"
PHASES: Final = ("create", "update", DELETE)
TERRAFORM: Final = "terraform"
OWNERS: Final = (TERRAFORM, "lifecycle")
MORE: Final = 'See docs/runbooks/hibernation.md, "Terraform while it sleeps, and destroying it".'


def may_be_destroyed(event: Event, log: Log) -> Result:
    """Say nothing against a destroy, or raise `DestroyRefused`: Terraform then destroys nothing and shows the message.

    Refused while the environment exists, because it stands on what would go; and, with `snapshots_go`, while there are
    snapshots, complete or not. Nothing is looked at where Terraform creates or changes the resource that asks, or where
    it is the `owner` of the environment, which it then destroys in order.
    """
    phase = events.choice(events.as_event(event.get("tf")), "action", PHASES)
    owner = events.choice(event, "owner", OWNERS)
    lose_snapshots = events.flag(event, "snapshots_go")
    if phase != DELETE or owner == TERRAFORM:
        return {"outcome": "not_asked"}
    settings = Settings.read()
    where = f"MWAA environment {settings.environment} in {settings.region}"
    environment = existing_environment(settings.environment)
    if environment is not None:
        raise DestroyRefused(
            f"{where} exists ({environment['Status']}) and is in no state of Terraform: a destroy would break it, as it"
            " stands on the subnets, roles and keys that would go. Nothing was destroyed. Let it sleep, or delete it,"
            f" and wait until it is gone; where it stands by, apply another strategy first. {MORE}"
        )
    bucket = variable("SNAPSHOT_BUCKET")
    kept = len(snapshots.newest_first(aws.client("s3"), bucket, settings.environment)) if lose_snapshots else 0
    if kept:
        raise DestroyRefused(
            f"{where} does not exist now, and the snapshots in {bucket} ({kept}) are what it would come back from: a"
            " destroy would delete the key that opens them. Nothing was destroyed. To lose them all the same, apply"
            f" `force_destroy = true` first. {MORE}"
        )
    log.info("destroy", outcome="granted")
    return {"outcome": "granted"}
