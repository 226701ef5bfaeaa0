"""The control interface below `/_local/`: outages, faults, schedules, and a look at what happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.local_aws.contract import Service
from tests.local_aws.faults import BadFault
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.replica_views import ReplicaViews

Fire = Callable[[str, str], None]
Kill = Callable[[str], None]


class BadRequest(ValueError):
    """The request to the control interface is not valid; the message names the field."""


class ControlApp:
    """WSGI application of the control interface; see docs/architecture.md for the table of what it takes."""

    def __init__(
        self,
        platform: LocalPlatform,
        mwaa: Service | None,
        fire: Fire,
        kill: Kill,
        notices: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._platform = platform
        self._mwaa = mwaa
        self._fire = fire
        self._kill = kill
        self._views = ReplicaViews()
        self._read: dict[str, Callable[[], Any]] = {
            "health": lambda: {"status": "ok", "down": platform.outages.down(), "mwaa": mwaa is not None},
            "events": platform.timeline.events,
            "authz": platform.authorizer.log,
            "environments": lambda: mwaa.environments() if mwaa else [],
            "sns": notices,
        }
        self._write: dict[str, Callable[[dict[str, Any]], Any]] = {
            "outage": self._outage,
            "fault": self._fault,
            "fire": self._fire_schedule,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            answer, status = self._answer(request), 200
        except (BadRequest, BadFault, LookupError) as error:
            answer, status = {"error": str(error)}, 400
        response = Response(json.dumps(answer, default=str), status, mimetype="application/json")
        return response(environ, start_response)

    def _answer(self, request: Request) -> Any:
        name = request.path.removeprefix("/_local/").strip("/")
        if request.method == "GET" and name in self._read:
            return self._read[name]()
        if request.method == "DELETE" and name == "fault":
            self._platform.faults.clear()
            return {"faults": 0}
        if request.method == "POST" and name in self._write:
            try:
                body = json.loads(request.get_data() or b"{}")
            except ValueError as error:
                raise BadRequest(f"body: not JSON ({error})") from error
            if not isinstance(body, dict):
                raise BadRequest("body: accepted: a JSON object")
            return self._write[name](body)
        accepted = [f"GET {key}" for key in self._read] + [f"POST {key}" for key in self._write] + ["DELETE fault"]
        raise BadRequest(f"{request.method} {request.path}; accepted below /_local/: {', '.join(accepted)}")

    def _outage(self, body: dict[str, Any]) -> dict[str, Any]:
        region, down, cut_off = _text(body, "region"), body.get("down"), body.get("cut_off", False)
        for name, given in (("down", down), ("cut_off", cut_off)):
            if not isinstance(given, bool):
                raise BadRequest(f"{name}: {given!r}; accepted: true or false")
        if cut_off:
            self._views.part(region)
        self._platform.outages.set(region, bool(down), bool(cut_off))
        if down:
            self._kill(region)
        else:
            self._views.join(region)
        if self._mwaa and not cut_off:
            self._mwaa.set_outage(region, bool(down))
        self._platform.record("outage", region, down=down, cut_off=cut_off)
        return {"down": self._platform.outages.down()}

    def _fault(self, body: dict[str, Any]) -> dict[str, Any]:
        self._platform.faults.add(body)
        return {"added": body}

    def _fire_schedule(self, body: dict[str, Any]) -> dict[str, Any]:
        region, name = _text(body, "region"), _text(body, "name")
        self._fire(region, name)
        return {"fired": name}


def _text(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{field}: {value!r}; accepted: a non-empty string")
    return value
