"""Who is calling and may they: one principal resolver, one least role per route.

Credentials are the `X-API-Key` header or the same value as a Bearer token. Without any configured
key the service is open to programs on this machine only: the peer must be a
loopback address that is not a proxy's, and the Host and Origin headers must name this machine, so
that a web page in the operator's browser cannot reach it by a name it controls.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from structlog.contextvars import get_contextvars

from sopilot.core.config import Settings
from sopilot.core.errors import AuthNotConfigured, Forbidden, Unauthorized
from sopilot.core.records import Actor


class Access(IntEnum):
    """Roles in ascending power; PUBLIC routes need no credentials."""

    PUBLIC = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts and with which role; request_id, ip: of the request, for the audit log."""

    actor: str
    role: Access
    request_id: str | None = None
    ip: str | None = None

    @property
    def by(self) -> Actor:
        """The actor as the bands below know it."""
        return Actor(self.actor, self.role.name.lower(), self.request_id, self.ip)


ANONYMOUS = Principal("anonymous", Access.ADMIN)
"""The principal of a service without credentials: whoever reaches it is trusted."""

SECURITY_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
"""How credentials are sent, for the OpenAPI document."""


_PROXY_MARKS = frozenset({"forwarded", "x-real-ip", "via"})
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_local_program(request: Request) -> bool:
    """Is the caller a program on this machine, addressing this machine by a local name?"""
    if request.client is None or not _is_loopback(request.client.host):
        return False
    if any(name in _PROXY_MARKS or name.startswith("x-forwarded") for name in request.headers):
        return False
    host = _HOST.fullmatch(request.headers.get("host", ""))
    if host is None or not _is_loopback(host["name"]):
        return False
    origin = request.headers.get("origin")
    return origin is None or _is_loopback(_host_of(origin))


def _host_of(origin: str) -> str:
    """The host of an Origin header; empty when it names none."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _same(given: str, expected: str) -> bool:
    # HTTP libraries hand header bytes over as Latin-1; a key is sent as UTF-8.
    return hmac.compare_digest(given.encode("latin-1", "replace"), expected.encode())


def resolve_principal(settings: Settings, request: Request, given: str | None) -> Principal | None:
    """The principal of a request, or None when it carries no credentials but must.

    Raises Unauthorized for a wrong key, AuthNotConfigured when no key is configured and the mode
    does not open the service to this client.
    """
    expected = settings.api_key.get_secret_value() if settings.api_key else ""
    if expected:
        if given is None:
            return None
        if not _same(given, expected):
            raise Unauthorized("the API key is not valid; send the configured key in X-API-Key")
        return Principal("token:api", Access.ADMIN)
    if settings.auth_required == "false":
        return ANONYMOUS
    if settings.auth_required == "auto" and is_local_program(request):
        return ANONYMOUS
    raise AuthNotConfigured(
        "no API key is configured, so only programs on the server itself are served; set "
        "SOPILOT_API_KEY on the server and send it in X-API-Key"
    )


def _given_key(request: Request) -> str | None:
    # Read here, not by sub-dependencies: each of those would be solved anew for every request.
    key = request.headers.get("x-api-key")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return key if key is not None else token.strip() if scheme.lower() == "bearer" else None


def require(principal: Principal, least: Access) -> None:
    """Raise Forbidden unless the principal has at least this role."""
    if principal.role < least:
        raise Forbidden(
            f"this needs the role {least.name.lower()}, {principal.actor} has "
            f"{principal.role.name.lower()}; use other credentials"
        )


Check = Callable[[Request], Coroutine[Any, Any, Principal]]


def needs(least: Access) -> Check:
    """The dependency that lets a request pass from role `least` on; keeps `least` readable.

    It is a coroutine on purpose: a plain function would cost a second thread hop per request.
    """

    async def check(request: Request) -> Principal:
        principal = resolve_principal(request.app.state.settings, request, _given_key(request))
        if principal is None:
            raise Unauthorized("no credentials; send the API key in the X-API-Key header")
        principal = replace(
            principal,
            request_id=get_contextvars().get("request_id"),
            ip=request.client.host if request.client else None,
        )
        require(principal, least)
        return principal

    check.least_role = least  # type: ignore[attr-defined]
    return check


async def public(request: Request) -> Principal | None:
    """The dependency of public routes: the principal where credentials prove one, else None."""
    try:
        return resolve_principal(request.app.state.settings, request, _given_key(request))
    except (Unauthorized, AuthNotConfigured):
        return None


public.least_role = Access.PUBLIC  # type: ignore[attr-defined]

MaybePrincipal = Annotated[Principal | None, Depends(public)]
Viewer = Annotated[Principal, Depends(needs(Access.VIEWER))]
Operator = Annotated[Principal, Depends(needs(Access.OPERATOR))]
Admin = Annotated[Principal, Depends(needs(Access.ADMIN))]
