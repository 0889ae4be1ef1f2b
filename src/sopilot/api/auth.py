"""Who is calling and may they: one principal resolver, one least role per route.

Credentials are a token (`X-API-Key`, or `Authorization: Bearer`), HTTP Basic, or the cookie of a
session that one of them opened. Where none is configured, the mode `auto` serves programs on this
machine only: the peer must be a loopback address that is not a proxy's, and the Host and Origin
headers must name this machine, so that a web page in the operator's browser cannot reach the
service by a name it controls.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from structlog.contextvars import get_contextvars

from sopilot.api.client import (
    client_address,
    is_local_program,
    is_own_page,
    is_proxy,
    limit_key,
)
from sopilot.api.credentials import Credential, configured, given_in, match
from sopilot.api.limits import Limits
from sopilot.core.config import AccessRole, Settings
from sopilot.core.errors import (
    AuthNotConfigured,
    Forbidden,
    RateLimited,
    StoreError,
    Unauthorized,
)
from sopilot.core.log import get_logger
from sopilot.core.records import Actor
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.sessions import find_session

SESSION_COOKIE = "sopilot_session"
SECURITY_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
    "Basic": {"type": "http", "scheme": "basic"},
    "Session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
}
"""How credentials are sent, for the OpenAPI document."""
_PRINCIPAL = "sopilot.principal"
"""Where a request's scope keeps who it is: it is found out once."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})

_log = get_logger(__name__)


class Access(IntEnum):
    """Roles in ascending power; PUBLIC routes need no credentials."""

    PUBLIC = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts and with which role; request_id, ip: of the request, for the audit log.

    session_ends: where a session's cookie says who it is, the moment of its end. credential: the
    configured one that came in the request's headers.
    """

    actor: str
    role: Access
    request_id: str | None = None
    ip: str | None = None
    session_ends: str | None = None
    credential: Credential | None = field(default=None, repr=False, compare=False)

    @property
    def by(self) -> Actor:
        """The actor as the bands below know it."""
        return Actor(self.actor, self.role.name.lower(), self.request_id, self.ip)


@dataclass(frozen=True, slots=True)
class Gate:
    """What decides who is let in: the settings, the configured credentials, the counters."""

    settings: Settings
    credentials: tuple[Credential, ...]
    limits: Limits

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """The gate of a service with these settings."""
        return cls(settings, configured(settings), Limits(settings))

    def is_open_to(self, request: HTTPConnection) -> bool:
        """Whether the caller is a program on this machine, which no credential keeps out."""
        return (
            self.settings.auth_required == "auto"
            and not self.credentials
            and not is_proxy(request, self.settings.trusted_proxies)
            and is_local_program(request)
        )

    def address_of(self, request: HTTPConnection) -> str:
        """The client's address, see `client.client_address`."""
        return client_address(request, self.settings.trusted_proxies)

    def hold_stream(self, request: HTTPConnection) -> AbstractContextManager[None]:
        """Counts a stream against its client while it is open, see `Limits.hold_stream`."""
        return self.limits.hold_stream(limit_key(self.address_of(request)))


async def resolve(request: Request) -> Principal | None:
    """The principal of a request, or None when it carries no credentials but must.

    Raises Unauthorized for wrong credentials, RateLimited for too many of them, Forbidden for a
    change that a page of another site makes with what a browser adds by itself, AuthNotConfigured
    when nothing is configured and the mode does not open the service to this client.
    """
    gate = cast(Gate, request.app.state.gate)
    if gate.credentials:
        found = await _by_header(gate, request) or await _by_cookie(gate, request)
        if found is not None:
            return found
    if gate.settings.auth_required == "false" or gate.is_open_to(request):
        _refuse_strange_page(gate, request)
        return _principal(gate, request, "anonymous", gate.settings.auth_default_role)
    if not gate.credentials:
        raise AuthNotConfigured(
            "no credentials are configured, so only programs on the server itself are served; set "
            "SOPILOT_API_KEY on the server and send it in X-API-Key"
        )
    return None


def _principal(
    gate: Gate, request: Request, actor: str, role: AccessRole, session_ends: str | None = None
) -> Principal:
    return Principal(
        actor,
        Access[role.upper()],
        get_contextvars().get("request_id"),
        gate.address_of(request) or None,
        session_ends,
    )


async def _by_header(gate: Gate, request: Request) -> Principal | None:
    given = given_in(request.headers)
    if given is None:
        return None
    key = limit_key(gate.address_of(request))
    gate.limits.require_login(key)
    credential = match(gate.credentials, given)
    if credential is not None:
        if credential.scheme == "basic":  # a browser adds these by itself, as it does a cookie
            _refuse_strange_page(gate, request)
        who = _principal(gate, request, credential.actor, credential.role)
        return replace(who, credential=credential)
    gate.limits.count_failure(key)
    who = _principal(gate, request, "unknown", "viewer")
    await run_in_threadpool(_record_failure, request, who, given.scheme)
    raise Unauthorized(
        "the credentials are not valid; send the configured key in X-API-Key, a token as "
        "Authorization: Bearer, or user and password as Authorization: Basic"
    )


def _record_failure(request: Request, who: Principal, scheme: str) -> None:
    """Into the audit log; a database that does not answer must not hide the refusal."""
    runtime = cast(Runtime, request.app.state.runtime)
    by = Actor(who.actor, "none", who.request_id, who.ip)
    detail = {"path": request.url.path[:256], "scheme": scheme}
    try:
        with runtime.database.write() as connection:
            record(connection, by, Action.LOGIN_FAILED, "login", outcome="refused", detail=detail)
    except StoreError:
        _log.warning("login.not_recorded", exc_info=True)


def _refuse_strange_page(gate: Gate, request: Request) -> None:
    """Raises Forbidden for a change that a page of another site may have made a browser ask for."""
    if request.method in _READS or is_own_page(request, gate.settings.cors_origins):
        return
    raise Forbidden(
        "a page of another site cannot change anything with what the browser adds by itself (a "
        "session, HTTP Basic); use the service's own pages, send a token, or name the page's "
        "origin in SOPILOT_CORS_ORIGINS"
    )


async def _by_cookie(gate: Gate, request: Request) -> Principal | None:
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    found = await run_in_threadpool(_session, gate, request, token)
    if found is None:
        return None
    _refuse_strange_page(gate, request)
    credential, ends = found
    return _principal(gate, request, credential.actor, credential.role, ends)


def _session(gate: Gate, request: Request, token: str) -> tuple[Credential, str] | None:
    runtime = cast(Runtime, request.app.state.runtime)
    with runtime.database.read() as connection:
        found = find_session(connection, token, [item.digest for item in gate.credentials])
    return None if found is None else (gate.credentials[found[0]], found[1])


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
        if _PRINCIPAL not in request.scope:
            request.scope[_PRINCIPAL] = await resolve(request)
        principal = cast(Principal | None, request.scope[_PRINCIPAL])
        if principal is None:
            raise Unauthorized(
                "no credentials; send a key in the X-API-Key header, a token as Authorization: "
                "Bearer, or user and password as Authorization: Basic"
            )
        require(principal, least)
        return principal

    check.least_role = least  # type: ignore[attr-defined]
    return check


class GuardedRoute(APIRoute):
    """A route that knows its caller before a byte of the body is read.

    FastAPI reads and parses a body first and asks the dependencies afterwards: whoever may not
    come in would be told what is wrong with the body.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, behind this route's own check where there is a body to read."""
        handle = super().get_route_handler()
        calls = [child.call for child in self.dependant.dependencies]
        checks = [cast(Check, call) for call in calls if getattr(call, "least_role", 0)]
        if self.body_field is None or not checks:
            return handle

        async def guarded(request: Request) -> Response:
            for check in checks:
                await check(request)
            return await handle(request)

        return guarded


async def anyone() -> None:
    """The dependency of public routes that answer all callers alike."""


async def public(request: Request) -> Principal | None:
    """The dependency of public routes that tell known callers more: the principal, or None."""
    try:
        return await resolve(request)
    except (Unauthorized, AuthNotConfigured, RateLimited):
        return None


async def monitor(request: Request) -> None:
    """The dependency of figures that are public unless the settings close them."""
    if not cast(Gate, request.app.state.gate).settings.public_metrics:
        await _viewer(request)


_viewer = needs(Access.VIEWER)
anyone.least_role = Access.PUBLIC  # type: ignore[attr-defined]
public.least_role = Access.PUBLIC  # type: ignore[attr-defined]
monitor.least_role = Access.PUBLIC  # type: ignore[attr-defined]

Anyone = Annotated[None, Depends(anyone)]
Monitor = Annotated[None, Depends(monitor)]
MaybePrincipal = Annotated[Principal | None, Depends(public)]
Viewer = Annotated[Principal, Depends(_viewer)]
Operator = Annotated[Principal, Depends(needs(Access.OPERATOR))]
Admin = Annotated[Principal, Depends(needs(Access.ADMIN))]
