"""Authentication of the API server of an environment (Airflow 3): tokens that the MWAA API signed.

MWAA runs Airflow 3 under the FAB auth manager, as Airflow 2: users and roles are rows of the metadata database. This
is that auth manager, which takes the tokens of the MWAA API besides Airflow's own: whoever IAM lets take on an Airflow
role becomes a user with that role, created at the first visit.
"""

from __future__ import annotations

import os
import secrets
from typing import Any
from urllib.parse import parse_qs

from airflow import __version__
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.models import Role, User
from airflow.utils.session import create_session
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from local_aws_tokens import SECRET_VARIABLE, role_of, user_of  # type: ignore[import-not-found]  # beside this file
from packaging.version import Version
from sqlalchemy import select
from starlette.routing import Route
from werkzeug.security import generate_password_hash

#: Removed from the environment, so that no page of this server sees it.
_SECRET = os.environ.pop(SECRET_VARIABLE)
#: Until then the pages' own script reads the cookie.
_COOKIE_FOR_SERVER_ONLY = Version(__version__) >= Version("3.1.1")


class MwaaAuthManager(FabAuthManager):
    """FAB's auth manager, which also knows the tokens of the MWAA API."""

    def get_fastapi_app(self) -> FastAPI | None:
        """FAB's pages, and before them the address that turns a web login token into a session."""
        app = super().get_fastapi_app()
        if app is not None:
            app.router.routes.insert(0, Route("/aws_mwaa/login", self._login, methods=["POST"]))
        return app

    async def get_user_from_token(self, token: str) -> Any:
        """The user behind a token of the MWAA API, or behind a JWT of Airflow's."""
        role = role_of(_SECRET, "rest", token)
        return self._user(role) if role else await super().get_user_from_token(token)

    async def _login(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        role = role_of(_SECRET, "web", form.get("token", [""])[0])
        if role is None:
            return Response("Forbidden", 403)
        response = RedirectResponse("/", 302)
        response.set_cookie(
            COOKIE_NAME_JWT_TOKEN, self.generate_jwt(self._user(role)), httponly=_COOKIE_FOR_SERVER_ONLY
        )
        return response

    def _user(self, role: str) -> User:
        name = user_of(role)
        with create_session() as session:
            user = session.scalar(select(User).where(User.username == name))
            if user is None:
                user = User(username=name, first_name="MWAA", last_name=role, email=f"{name}@localhost", active=True)
                user.password = generate_password_hash(secrets.token_urlsafe(24))
                user.roles = [session.scalars(select(Role).where(Role.name == role)).unique().one()]
                session.add(user)
                session.flush()
            number = user.id
        return self.deserialize_user({"sub": str(number)})
