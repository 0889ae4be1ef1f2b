"""Who is let in: modes without credentials, and roles. What credentials are is told elsewhere."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from sopilot.api.auth import Access, Gate, Principal, needs, public, resolve
from sopilot.core.config import load_settings
from sopilot.core.errors import AuthNotConfigured, Forbidden, Unauthorized


def request(
    peer: str = "127.0.0.1", values: dict[str, Any] | None = None, **headers: str
) -> Request:
    named = {"host": "127.0.0.1:8000"} | {k.replace("_", "-"): v for k, v in headers.items()}
    settings = load_settings(**(values or {}))
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/videos",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in named.items()],
        "client": (peer, 5000),
        "app": SimpleNamespace(state=SimpleNamespace(settings=settings, gate=Gate.of(settings))),
    }
    return Request(scope)


def principal(request: Request) -> tuple[str, Access] | None:
    found = asyncio.run(resolve(request))
    return None if found is None else (found.actor, found.role)


@pytest.mark.parametrize(
    ("mode", "peer", "is_open"),
    [
        ("auto", "127.0.0.1", True),
        ("auto", "10.0.0.5", False),
        ("true", "127.0.0.1", False),
        ("false", "10.0.0.5", True),
    ],
)
def test_without_credentials_the_mode_decides(mode: str, peer: str, is_open: bool) -> None:
    asked = request(peer, {"auth_required": mode})
    if is_open:
        assert principal(asked) == ("anonymous", Access.ADMIN)
    else:
        with pytest.raises(AuthNotConfigured, match="SOPILOT_API_KEY"):
            principal(asked)
        assert asyncio.run(public(asked)) is None


def test_a_proxy_of_this_machine_is_no_program_even_if_it_marks_nothing() -> None:
    values = {"trusted_proxies": "127.0.0.0/8"}
    with pytest.raises(AuthNotConfigured):
        principal(request("127.0.0.1", values))
    assert principal(request("::1", values, host="[::1]:8000")) == ("anonymous", Access.ADMIN)


@pytest.mark.parametrize("mode", ["auto", "false"])
def test_who_comes_without_credentials_has_the_default_role(mode: str) -> None:
    values = {"auth_required": mode, "auth_default_role": "viewer"}
    assert principal(request(values=values)) == ("anonymous", Access.VIEWER)


def test_with_a_key_loopback_is_not_enough() -> None:
    values = {"api_key": "secret"}
    assert principal(request(values=values)) is None
    assert principal(request(values=values, x_api_key="secret")) == ("token:api", Access.ADMIN)
    with pytest.raises(Unauthorized, match="X-API-Key"):
        asyncio.run(needs(Access.VIEWER)(request(values=values)))


def test_a_service_open_to_all_still_knows_its_credentials() -> None:
    values = {"auth_required": "false", "auth_default_role": "viewer", "api_key": "secret"}
    assert principal(request("10.0.0.5", values)) == ("anonymous", Access.VIEWER)
    known = request("10.0.0.5", values, authorization="Bearer secret")
    assert principal(known) == ("token:api", Access.ADMIN)


def test_the_address_of_a_principal_is_the_clients() -> None:
    values = {"api_key": "secret", "trusted_proxies": "10.0.0.5"}
    asked = request("10.0.0.5", values, x_api_key="secret", x_forwarded_for="6.6.6.6, 192.0.2.9")
    assert asyncio.run(needs(Access.ADMIN)(asked)).by.ip == "192.0.2.9"


def test_a_role_below_the_least_one_is_forbidden() -> None:
    asked = request(values={"api_role_tokens": "viewer:look"}, x_api_key="look")
    passed = asyncio.run(needs(Access.VIEWER)(asked))
    assert passed == Principal("token:viewer", Access.VIEWER, None, "127.0.0.1")
    with pytest.raises(Forbidden, match=r"admin.*token:viewer has viewer"):
        asyncio.run(needs(Access.ADMIN)(asked))
