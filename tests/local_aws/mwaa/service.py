"""The MWAA API of the stand-in, over a real Airflow per environment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.fernet import Fernet
from werkzeug.wrappers import Request

from tests.local_aws.contract import PERMITTED_AIRFLOW_ROLES, Platform
from tests.local_aws.mwaa import rest, rules
from tests.local_aws.mwaa.account_rules import check_account, ensure_service_linked_role
from tests.local_aws.mwaa.airflow_versions import installed_versions
from tests.local_aws.mwaa.databases import Databases
from tests.local_aws.mwaa.environment import Environment
from tests.local_aws.mwaa.errors import ServiceError, invalid, not_found
from tests.local_aws.mwaa.live import LiveEnvironment
from tests.local_aws.mwaa.protocol import ApiCall, read_call, service_model, write_answer, write_error
from tests.local_aws.mwaa.runner import AirflowRunner
from tests.local_aws.mwaa.transitions import Transitions
from tests.local_aws.mwaa.validation import validate

#: Seconds that every creation takes at least, to imitate the 20 to 40 minutes of AWS in small.
CREATION_SECONDS_VARIABLE = "LOCAL_AWS_MWAA_CREATION_SECONDS"
#: Airflow roles, the strongest first.
_ROLES = ("Admin", "Op", "User", "Viewer", "Public")
_MOST_TAGS = 50
_PAGE = 25


class MwaaService:
    """Implements `contract.Service`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._databases = Databases(platform.state_dir / "postgres")
        self._transitions = Transitions(platform, float(os.environ.get(CREATION_SECONDS_VARIABLE, "0")))
        self._lives: dict[tuple[str, str], LiveEnvironment] = {}
        self._lock = threading.RLock()
        self._operations: dict[str, Callable[[ApiCall, dict[str, Any]], dict[str, Any]]] = {
            "CreateEnvironment": self._create,
            "GetEnvironment": self._get,
            "UpdateEnvironment": self._update,
            "DeleteEnvironment": self._delete,
            "ListEnvironments": self._list,
            "CreateCliToken": self._cli_token,
            "CreateWebLoginToken": self._web_token,
            "InvokeRestApi": self._invoke,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._tags,
        }

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The API as a WSGI application."""
        try:
            call = read_call(Request(environ))
            validate(service_model().operation_model(call.operation).input_shape, call.params)
            if call.operation not in self._operations:
                raise invalid(f"{call.operation} is no longer available")
            response = write_answer(self._operations[call.operation](call, environ))
        except ServiceError as error:
            response = write_error(error)
        return response(environ, start_response)

    def set_outage(self, region: str, down: bool) -> None:
        """Kill (SIGKILL) every Airflow of the Region, or start those again on their databases that do not run."""
        for live in self._of_region(region):
            if down:
                live.kill()
            elif live.runner is None and live.environment.status in rules.SERVING:
                self._transitions.bring_back(live)

    def regions_of(self, execution_role: str) -> frozenset[str]:
        """Regions in which an environment runs under the role."""
        own = [live.environment for live in self._all()]
        return frozenset(e.region for e in own if e.document["ExecutionRoleArn"] == execution_role)

    def environments(self) -> list[dict[str, Any]]:
        """Every environment with what test equipment may see of it, secrets included."""
        return [_inside(live) for live in self._all()]

    def stop(self) -> None:
        """Kill every Airflow and stop every database server."""
        self._transitions.close()
        for live in self._all():
            live.kill()
        self._databases.stop()
        self._transitions.join()

    def _create(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in call.params.items() if key not in ("Name", "Tags") and value is not None}
        document = rules.with_defaults(given, self._newest_version())
        rules.check_document(document)
        name, tags = call.params["Name"], call.params.get("Tags") or {}
        self._fail_if_exists(call.region, name)
        check_account(self._platform, call.region, document)
        ensure_service_linked_role(self._platform)
        with self._lock:
            self._fail_if_exists(call.region, name)
            environment = Environment(call.region, name, document, Fernet.generate_key().decode(), dict(tags))
            live = LiveEnvironment(self._platform, self._databases, environment)
            self._lives[call.region, name] = live
        self._transitions.create(live)
        return {"Arn": environment.arn}

    def _get(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        return {"Environment": self._live(call).environment.describe()}

    def _update(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        live = self._live(call)
        environment = live.environment
        given = {key: value for key, value in call.params.items() if key != "Name" and value is not None}
        strategy = given.pop("WorkerReplacementStrategy", None)
        with environment.lock:
            rules.check_status(environment.name, environment.status, rules.UPDATABLE, "updated")
            before = environment.document
            after = rules.merged(before, given)
            rules.check_document(after)
            rules.check_update(before, after)
            check_account(self._platform, call.region, after)
            environment.begin_update(after, strategy)
        self._transitions.update(live, before)
        return {"Arn": environment.arn}

    def _delete(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        live = self._live(call)
        environment = live.environment
        with environment.lock:
            rules.check_status(environment.name, environment.status, rules.DELETABLE, "deleted")
            self._transitions.set_status(environment, "DELETING")

        def forget() -> None:
            with self._lock:
                del self._lives[environment.region, environment.name]

        self._transitions.delete(live, forget)
        return {}

    def _list(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        names = sorted(live.environment.name for live in self._of_region(call.region))
        after = call.params.get("NextToken", "")
        left = [name for name in names if name > after]
        page = left[: call.params.get("MaxResults", _PAGE)]
        return {"Environments": page, **({"NextToken": page[-1]} if len(left) > len(page) else {})}

    def _cli_token(self, call: ApiCall, environ: dict[str, Any]) -> dict[str, Any]:
        live, runner = self._serving(call)
        return {"CliToken": runner.token("cli", _strongest(environ)), "WebServerHostname": live.environment.hostname}

    def _web_token(self, call: ApiCall, environ: dict[str, Any]) -> dict[str, Any]:
        live, runner = self._serving(call)
        role = _strongest(environ)
        answer = {"WebToken": runner.token("web", role), "WebServerHostname": live.environment.hostname}
        return {**answer, "IamIdentity": "local", "AirflowIdentity": f"mwaa-{role.lower()}"}

    def _invoke(self, call: ApiCall, environ: dict[str, Any]) -> dict[str, Any]:
        _, runner = self._serving(call)
        return rest.invoke(runner, _strongest(environ), call.params)

    def _tag(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        environment = self._tagged(call)
        with environment.lock:
            tags = {**environment.tags, **call.params["Tags"]}
            if len(tags) > _MOST_TAGS:
                raise invalid(f"tags: {len(tags)} tags; accepted: up to {_MOST_TAGS}")
            environment.tags = tags
        return {}

    def _untag(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        environment = self._tagged(call)
        with environment.lock:
            gone = set(call.params["tagKeys"])
            environment.tags = {key: value for key, value in environment.tags.items() if key not in gone}
        return {}

    def _tags(self, call: ApiCall, _: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": dict(self._tagged(call).tags)}

    def _tagged(self, call: ApiCall) -> Environment:
        arn = call.params["ResourceArn"]
        for live in self._of_region(call.region):
            if live.environment.arn == arn:
                return live.environment
        raise not_found(arn)

    def _live(self, call: ApiCall) -> LiveEnvironment:
        with self._lock:
            live = self._lives.get((call.region, call.params["Name"]))
        if live is None:
            raise not_found(f"Environment {call.params['Name']}")
        return live

    def _serving(self, call: ApiCall) -> tuple[LiveEnvironment, AirflowRunner]:
        live = self._live(call)
        rules.check_status(live.environment.name, live.environment.status, rules.SERVING, "called")
        runner = live.runner
        if runner is None:
            raise ServiceError("InternalServerException", f"the web server of {live.environment.name} is not running")
        return live, runner

    def _fail_if_exists(self, region: str, name: str) -> None:
        if (region, name) in self._lives:
            raise invalid(f"Environment {name} already exists.")

    def _newest_version(self) -> str:
        """AWS takes the newest version it offers; the stand-in the newest of those that it can run."""
        offered = [name for name in installed_versions(self._platform.airflow_home) if name in rules.OFFERED_VERSIONS]
        return max(offered, key=rules.version_key, default=rules.OFFERED_VERSIONS[-1])

    def _all(self) -> list[LiveEnvironment]:
        with self._lock:
            return list(self._lives.values())

    def _of_region(self, region: str) -> list[LiveEnvironment]:
        return [live for live in self._all() if live.environment.region == region]


def _strongest(environ: dict[str, Any]) -> str:
    """The strongest Airflow role that IAM lets the caller take on; the account's administrator is Admin."""
    permitted = environ.get(PERMITTED_AIRFLOW_ROLES, _ROLES)
    for role in _ROLES:
        if role in permitted:
            return role
    raise ServiceError("AccessDeniedException", "", {"Message": "no Airflow role is permitted"})


def _inside(live: LiveEnvironment) -> dict[str, Any]:
    environment, runner = live.environment, live.runner
    return {
        "region": environment.region,
        "name": environment.name,
        "arn": environment.arn,
        "status": environment.status,
        "airflow_version": environment.document["AirflowVersion"],
        "environment_id": environment.environment_id,
        "web_url": runner.web_url if runner else None,
        "database_url": environment.database_url,
        "fernet_key": environment.fernet_key,
        "log_dir": str(live.log_dir),
        "pids": runner.pids() if runner else [],
    }
