"""Tokens that the MWAA API signs: what the web server of an environment accepts, and for what."""

from __future__ import annotations

import time

import pytest

from tests.local_aws.mwaa.web import local_aws_tokens as tokens

SECRET = "planted"


@pytest.mark.parametrize("role", ["Admin", "Viewer"])
def test_a_token_gives_its_role_for_its_use(role: str) -> None:
    token = tokens.sign(SECRET, "rest", role)
    assert tokens.role_of(SECRET, "rest", token) == role
    assert tokens.role_of(SECRET, "web", token) is None
    assert tokens.role_of("another", "rest", token) is None


def test_an_altered_or_foreign_token_gives_no_role() -> None:
    token = tokens.sign(SECRET, "rest", "Viewer")
    payload, _, signature = token.partition(".")
    stronger, _, _ = tokens.sign("another", "rest", "Admin").partition(".")
    for wrong in (
        "",
        ".",
        payload,
        f"{payload}.",
        f"{stronger}.{signature}",
        f"{payload}.{signature}0",
        "a.b.c",
        "é.é",
    ):
        assert tokens.role_of(SECRET, "rest", wrong) is None


def test_a_token_lives_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.sign(SECRET, "web", "Admin")
    later = time.time() + tokens.LIFETIME_SECONDS + 1
    monkeypatch.setattr(tokens.time, "time", lambda: later)
    assert tokens.role_of(SECRET, "web", token) is None
