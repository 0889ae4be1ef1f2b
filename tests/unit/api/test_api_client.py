"""Where a request comes from: whom headers may change, and whom not."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request

from sopilot.api.client import (
    client_address,
    is_https,
    is_local_program,
    is_own_page,
    limit_key,
)


def request(peer: str | None = "127.0.0.1", scheme: str = "http", **headers: str) -> Request:
    named = {"host": "127.0.0.1:8000"} | {k.replace("_", "-"): v for k, v in headers.items()}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": scheme,
        "path": "/videos",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in named.items()],
        "client": None if peer is None else (peer, 5000),
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
        (None, {}, False),
    ],
)
def test_who_is_a_program_of_this_machine(
    peer: str | None, headers: dict[str, str], expected: bool
) -> None:
    assert is_local_program(request(peer, **headers)) is expected


PROXIES = ("10.0.0.1", "10.1.0.0/16", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.9", "1.2.3.4", "192.0.2.9"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.2.3", "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4:51000", "1.2.3.4"),
        ("fd00::1", "[2001:db8::7]:51000", "2001:db8::7"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4, evil", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.1.0.4", "10.1.0.4"),
        ("socket", "1.2.3.4", "socket"),
    ],
)
def test_only_a_trusted_proxy_names_another_client(
    peer: str, forwarded: str, expected: str
) -> None:
    assert client_address(request(peer, x_forwarded_for=forwarded), PROXIES) == expected
    assert client_address(request(peer, x_forwarded_for=forwarded), ()) == peer


def test_a_request_without_a_peer_has_no_address() -> None:
    assert client_address(request(None, x_forwarded_for="1.2.3.4"), PROXIES) == ""


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_limits_count_a_subscriber_once(address: str, key: str) -> None:
    assert limit_key(address) == key


@pytest.mark.parametrize(
    ("peer", "scheme", "headers", "expected"),
    [
        ("1.2.3.4", "https", {}, True),
        ("1.2.3.4", "http", {"x_forwarded_proto": "https"}, False),
        ("10.0.0.1", "http", {"x_forwarded_proto": "https"}, True),
        ("10.0.0.1", "http", {"x_forwarded_proto": "https, http"}, False),
        ("10.0.0.1", "http", {}, False),
    ],
)
def test_tls_is_believed_of_trusted_proxies(
    peer: str, scheme: str, headers: dict[str, str], expected: bool
) -> None:
    assert is_https(request(peer, scheme, **headers), PROXIES) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:9000"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://["}, False),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8000"}, False),
        ({"sec_fetch_site": "same-origin", "origin": "https://behind.a.proxy"}, True),
        ({"sec_fetch_site": "cross-site", "origin": "https://desk.local"}, True),
        ({"origin": "https://desk.local"}, True),
        ({"origin": "https://desk.local.evil.example"}, False),
    ],
)
def test_which_pages_are_ours(headers: dict[str, str], expected: bool) -> None:
    assert is_own_page(request(**headers), ["https://desk.local"]) is expected
