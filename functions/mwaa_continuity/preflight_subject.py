"""What a preflight looks at, and how a check says what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import aws
from mwaa_continuity.environments import existing_environment
from mwaa_continuity.errors import ContinuityError, Transient
from mwaa_continuity.settings import Settings
from mwaa_continuity.spec import Document

Kind = TypeVar("Kind")

REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})


@dataclass(frozen=True)
class Finding:
    """What a check came to."""

    ok: bool
    found: str
    do: str = ""  #: what mends it; empty where it is ok


class NoUsableSpec(ContinuityError):
    """A check needs the spec, and there is none."""


class Subject:
    """One Region as the checks see it: its settings, the document that would be created, and what AWS says.

    What several checks need is asked for once. Clients belong to the Region of the function.
    """

    def __init__(self, settings: Settings, snapshot_id: str | None) -> None:
        self.settings = settings
        self.snapshot_id = snapshot_id
        self._document: Document | None = None
        self._shared: dict[object, Any] = {}

    def shared(self, kind: Callable[[Subject], Kind]) -> Kind:
        """What is made of the subject once, for all checks that need it."""
        if kind not in self._shared:
            self._shared[kind] = kind(self)
        made: Kind = self._shared[kind]
        return made

    @property
    def document(self) -> Document:
        """The document that would be handed to CreateEnvironment. Raises `NoUsableSpec` where there is none."""
        if self._document is None:
            raise NoUsableSpec("not looked at, because there is no usable spec")
        return self._document

    @document.setter
    def document(self, document: Document) -> None:
        """Check `spec` has found it."""
        self._document = document

    @cached_property
    def environment(self) -> Mapping[str, Any] | None:
        """This Region's environment as GetEnvironment describes it, or none."""
        return existing_environment(self.settings.environment)

    @property
    def bucket(self) -> str:
        """Name of the DAG bucket that the document names."""
        return str(self.document["SourceBucketArn"]).rsplit(":", 1)[-1]

    @property
    def partition(self) -> str:
        """The partition of the account, such as `aws`."""
        return str(self.document["ExecutionRoleArn"]).split(":")[1]

    @property
    def account_id(self) -> str:
        """The account, by its execution role."""
        return str(self.document["ExecutionRoleArn"]).split(":")[4]

    def arn(self, service: str, resource: str) -> str:
        """ARN of something of this account in this Region."""
        return f"arn:{self.partition}:{service}:{self.settings.region}:{self.account_id}:{resource}"


Check = Callable[[Subject], Finding]


def make(check: Check, subject: Subject) -> Finding:
    """Make a check. One that cannot be made has failed, says why, and keeps no other from being made."""
    try:
        return check(subject)
    except NoUsableSpec as error:
        return Finding(False, str(error), "mend what check `spec` says, then start again")
    except (BotoCoreError, ClientError) as error:
        return unanswered(error)
    except Transient as error:
        return Finding(False, f"could not be looked at: {error}", "start again in a minute")
    except ContinuityError as error:
        return Finding(False, str(error), "mend what it names, then start again")
    except Exception as error:  # noqa: BLE001 - an answer of another shape than expected must not hide the other checks
        # Its text may repeat what it stumbled over.
        return Finding(False, f"could not be looked at: {type(error).__name__}", "look at it by hand, and report this")


def unanswered(error: BotoCoreError | ClientError) -> Finding:
    """What is said of a check whose call did not succeed."""
    if aws.is_transient(error):
        do = "start again in a minute: AWS did not answer, or asked to slow down"
    elif isinstance(error, ClientError) and aws.code(error) in REFUSED:
        do = "let the function's role make this call: a boundary, the organisation or the resource's policy forbids it"
    else:
        do = "mend what AWS says, then start again"
    return Finding(False, f"could not be looked at: {aws.translated(error)}", do)


def listed(words: list[str]) -> str:
    """Words in one sentence."""
    return "; ".join(words)
