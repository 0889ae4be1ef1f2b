"""Who is let in: keys, loopback mode, roles."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from sopilot.api.auth import Access, Principal, is_local_program, needs, resolve_principal
from sopilot.core.config import Settings, load_settings
from sopilot.core.errors import AuthNotConfigured, Forbidden, Unauthorized


def request(peer: str = "127.0.0.1", settings: Settings | None = None, **headers: str) -> Request:
    named = {"host": "127.0.0.1:8000"} | {k.replace("_", "-"): v for k, v in headers.items()}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/videos",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in named.items()],
        "client": (peer, 5000),
        "app": SimpleNamespace(state=SimpleNamespace(settings=settings)),
    }
    return Request(scope)


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"host": "[::1]:8000"}, True),
        ("::ffff:127.0.0.1", {"host": "localhost"}, True),
        ("192.168.1.7", {}, False),
        ("127.0.0.1", {"x_forwarded_for": "10.0.0.1"}, False),
        ("127.0.0.1", {"forwarded": "for=10.0.0.1"}, False),
        ("127.0.0.1", {"host": "evil.example"}, False),
        ("127.0.0.1", {"origin": "https://evil.example"}, False),
        ("127.0.0.1", {"origin": "null"}, False),
        ("127.0.0.1", {"origin": "http://localhost:8000"}, True),
        ("127.0.0.1", {"x_forwarded_host": "localhost"}, False),
        ("127.0.0.1", {"x_real_ip": "10.0.0.1"}, False),
        ("127.0.0.1", {"via": "1.1 proxy"}, False),
        ("127.0.0.1", {"host": "["}, False),
        ("127.0.0.1", {"host": "evil.example@localhost"}, False),
        ("127.0.0.1", {"host": "localhost:80a"}, False),
        ("127.0.0.1", {"host": "localhost/evil"}, False),
        ("127.0.0.1", {"origin": "http://["}, False),
        ("testclient", {}, False),
    ],
)
def test_who_is_a_program_of_this_machine(
    peer: str, headers: dict[str, str], expected: bool
) -> None:
    assert is_local_program(request(peer, **headers)) is expected


@pytest.mark.parametrize(
    ("mode", "peer", "is_open"),
    [
        ("auto", "127.0.0.1", True),
        ("auto", "10.0.0.5", False),
        ("true", "127.0.0.1", False),
        ("false", "10.0.0.5", True),
    ],
)
def test_without_a_key_the_mode_decides(mode: str, peer: str, is_open: bool) -> None:
    settings = load_settings(auth_required=mode)
    if is_open:
        principal = resolve_principal(settings, request(peer), None)
        assert principal == Principal("anonymous", Access.ADMIN)
    else:
        with pytest.raises(AuthNotConfigured, match="SOPILOT_API_KEY"):
            resolve_principal(settings, request(peer), None)


def test_with_a_key_loopback_is_not_enough() -> None:
    settings = load_settings(api_key="secret")
    assert resolve_principal(settings, request(), None) is None
    assert resolve_principal(settings, request(), "secret") == Principal("token:api", Access.ADMIN)
    with pytest.raises(Unauthorized):
        resolve_principal(settings, request(), "Secret")


@pytest.mark.parametrize("key", ["", "secre", "secrets", "sécret", "秘密"])
def test_no_other_text_is_the_key(key: str) -> None:
    with pytest.raises(Unauthorized):
        resolve_principal(load_settings(api_key="secret"), request(), key)


def test_a_key_beyond_ascii_is_known_in_the_form_in_which_headers_arrive() -> None:
    settings = load_settings(api_key="秘密-é")
    given = "秘密-é".encode().decode("latin-1")
    assert resolve_principal(settings, request(), given) == Principal("token:api", Access.ADMIN)


def test_the_key_is_taken_from_the_header_or_as_a_bearer_token() -> None:
    settings = load_settings(api_key="secret")
    check = needs(Access.VIEWER)
    for headers in ({"x_api_key": "secret"}, {"authorization": "Bearer secret"}):
        principal = asyncio.run(check(request(settings=settings, **headers)))
        assert principal.actor == "token:api"
    with pytest.raises(Unauthorized, match="X-API-Key"):
        asyncio.run(check(request(settings=settings, authorization="Basic c2VjcmV0")))


def test_a_role_below_the_least_one_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = Principal("token:viewer", Access.VIEWER)
    monkeypatch.setattr("sopilot.api.auth.resolve_principal", lambda *_: viewer)
    settings = load_settings(api_key="secret")
    passed = asyncio.run(needs(Access.VIEWER)(request(settings=settings)))
    assert (passed.actor, passed.role) == (viewer.actor, viewer.role)
    with pytest.raises(Forbidden, match=r"admin.*token:viewer has viewer"):
        asyncio.run(needs(Access.ADMIN)(request(settings=settings)))
