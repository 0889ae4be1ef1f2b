"""The session of a browser: opened with credentials, kept in a cookie, closed by the user."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response

from sopilot.api.auth import SESSION_COOKIE, Gate, GuardedRoute, Principal, Viewer
from sopilot.api.client import is_https
from sopilot.api.deps import RuntimeDep, failures
from sopilot.api.schemas_session import SessionResponse
from sopilot.store.audit import Action, record
from sopilot.store.sessions import close_session, open_session

router = APIRouter(tags=["session"], route_class=GuardedRoute)


@router.get("/session", summary="Who am I", responses=failures())
async def get_session(who: Viewer) -> SessionResponse:
    """The actor and role of the credentials or the cookie that came with the request."""
    return _answer(who, who.session_ends)


@router.post("/session", summary="Open a session", responses=failures())
def post_session(
    who: Viewer, request: Request, response: Response, runtime: RuntimeDep
) -> SessionResponse:
    """A cookie for a browser, in exchange for the credentials in the request's headers.

    Without credentials to hold (an open service, or a session already) no cookie is set.
    """
    credential = who.credential
    if credential is None:
        return _answer(who, who.session_ends)
    gate = cast(Gate, request.app.state.gate)
    hours = gate.settings.session_hours
    with runtime.database.write() as connection:
        token, ends = open_session(
            connection, credential.actor, credential.role, credential.digest, hours
        )
        record(connection, who.by, Action.SESSION_OPENED, "session", detail={"expires_at": ends})
    _set_cookie(gate, request, response, token, round(hours * 3600.0))
    return _answer(who, ends)


@router.delete("/session", summary="Close the session", status_code=204, responses=failures())
def delete_session(who: Viewer, request: Request, response: Response, runtime: RuntimeDep) -> None:
    """The cookie is worth nothing afterwards; nothing happens where there is no session."""
    gate = cast(Gate, request.app.state.gate)
    token = request.cookies.get(SESSION_COOKIE, "")
    with runtime.database.write() as connection:
        if close_session(connection, token, [item.digest for item in gate.credentials]):
            record(connection, who.by, Action.SESSION_CLOSED, "session")
    _set_cookie(gate, request, response, "", 0)


def _answer(who: Principal, ends: str | None) -> SessionResponse:
    return SessionResponse(actor=who.actor, role=who.role.name.lower(), expires_at=ends)


def _set_cookie(
    gate: Gate, request: Request, response: Response, value: str, max_age_sec: int
) -> None:
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=max_age_sec,
        secure=is_https(request, gate.settings.trusted_proxies),
        httponly=True,
        samesite="strict",
    )
