"""The one WSGI application of the stand-in: control, outage, faults, authorization, then the service itself."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wrappers import Response

from tests.local_aws.attempts import Attempts
from tests.local_aws.authz.actions import UnknownResource
from tests.local_aws.authz.authorizer import Denied
from tests.local_aws.authz.calls import Call, parse_call
from tests.local_aws.authz.s3_actions import home_region
from tests.local_aws.batch_replication import BatchReplication
from tests.local_aws.contract import PERMITTED_AIRFLOW_ROLES, Service, WsgiApp
from tests.local_aws.control import ControlApp
from tests.local_aws.errors import access_denied_code, aws_error
from tests.local_aws.outage import GLOBAL_SERVICES, reset_connection
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.sessions import role_behind

StartResponse = Callable[..., Any]


class RequestHandler(MotoRequestHandler):
    """Writes a line per request into the log of the stand-in, without colours."""

    def connection_dropped(self, *_error_and_environ: Any) -> None:
        """Nothing was answered, so nothing told the loop that the connection is over."""
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.server.log_line(f"{self.command} {self.path} {code} {size}")  # type: ignore[attr-defined]  # Server, below


class Server(ThreadedWSGIServer):
    """One thread per request; keeps connections from queueing when many processes start at once."""

    request_queue_size = 256

    def __init__(self, port: int, app: Any, log_line: Callable[[str], None]) -> None:
        super().__init__("127.0.0.1", port, app, handler=RequestHandler)
        self.log_line = log_line

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly end that the base class sends first: it would come before a reset."""
        self.close_request(request)

    def log(self, type: str, message: str, *args: Any) -> None:  # the name is werkzeug's
        self.log_line(f"{type}: {message % args if args else message}")


def load_mwaa(platform: LocalPlatform) -> tuple[Service | None, str]:
    """The MWAA service, or None and why it could not be loaded."""
    try:
        module = importlib.import_module("tests.local_aws.mwaa")
        service: Service = module.MwaaService(platform)
    except (ImportError, AttributeError):
        return None, traceback.format_exc(limit=3)
    return service, ""


class Application:
    """Every request to the stand-in passes through here."""

    def __init__(
        self,
        platform: LocalPlatform,
        mwaa: Service | None,
        mwaa_missing: str,
        control: ControlApp,
        batch: BatchReplication,
    ) -> None:
        self._platform = platform
        self._mwaa = mwaa
        self._mwaa_missing = mwaa_missing
        self._control = control
        self._moto: WsgiApp = DomainDispatcherApplication(create_backend_app)
        self._batch = batch
        self._attempts = Attempts()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/_local/"):
            return self._control(environ, start_response)
        call = parse_call(environ)
        if call is None:
            return self._moto(environ, start_response)
        self._fail_if_down(environ, call)
        if fault := self._platform.faults.take(call.names, call.operation, call.region):
            message = f"fault injected into {call.service}:{call.operation}"
            return aws_error(environ, call.service, fault.error, message, fault.status)(environ, start_response)
        if denied := self._denial(environ, call):
            return denied(environ, start_response)
        return self._attempts.serve(self._service_of(call), environ, start_response)

    def _fail_if_down(self, environ: dict[str, Any], call: Call) -> None:
        regions = [] if call.service in GLOBAL_SERVICES else [call.region]
        if call.service == "s3" and (home := home_region(call.params.get("Bucket", ""))):
            regions.append(home)
        if not self._platform.outages.down():
            return
        role = role_behind(call.access_key)
        inside = self._mwaa.regions_of(role) if self._mwaa and role else frozenset[str]()
        if not all(self._platform.outages.reachable(region, inside) for region in regions):
            reset_connection(environ)

    def _denial(self, environ: dict[str, Any], call: Call) -> Response | None:
        role_arn = role_behind(call.access_key)
        if role_arn is None:
            return None
        try:
            roles = self._platform.authorizer.check_call(role_arn, call)
        except Denied as denied:
            code = access_denied_code(call.service)
            self._platform.record("denied", call.region, role=role_arn, message=str(denied))
            return aws_error(environ, call.service, code, str(denied), 400 if code.endswith("Exception") else 403)
        except UnknownResource as unknown:
            return aws_error(environ, call.service, "AccessDeniedException", str(unknown), 403)
        if roles is not None:
            environ[PERMITTED_AIRFLOW_ROLES] = roles
        return None

    def _service_of(self, call: Call) -> WsgiApp:
        if call.signing_name == "airflow":
            return self._mwaa.app if self._mwaa else self._no_mwaa
        if call.service == "s3control" and self._batch.serves(call.operation):
            return lambda environ, start_response: self._batch.answer(call, environ)(environ, start_response)
        return self._moto

    def _no_mwaa(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        message = f"the MWAA service of the stand-in could not be loaded: {self._mwaa_missing}"
        return aws_error(environ, "mwaa", "InternalServerException", message, 500)(environ, start_response)
