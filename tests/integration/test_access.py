"""Access over the application: roles cell by cell, sessions, limits, what the audit log says."""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from caller import Caller, app_of
from fastapi.routing import APIRoute
from httpx import Response
from pydantic import SecretStr
from service_parts import open_test_runtime
from sqlalchemy import select

from sopilot.api.app import ALIAS_PREFIXES, PLACED_ROUTERS, ROUTERS, create_app
from sopilot.api.auth import SESSION_COOKIE
from sopilot.api.bodies import MAX_BODY_BYTES
from sopilot.api.routers import docs
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.audit import Action, breaks, rows_from
from sopilot.store.tables import ui_sessions

ROLES = ("viewer", "operator", "admin")
ANYONE, VIEWER, OPERATOR, ADMIN = "anyone", *ROLES

MATRIX = {
    ANYONE: "GET /, GET /health, HEAD /health, GET /readiness, HEAD /readiness, GET /status, "
    "GET /metrics, GET /docs, GET /redoc, GET /openapi.json",
    VIEWER: "GET /session, POST /session, DELETE /session, GET /videos, GET /videos/jobs/{job_id}, "
    "GET /videos/{video_id}, GET /dataset/summary, GET /videos/{video_id}/quality, "
    "GET /videos/{video_id}/stream, HEAD /videos/{video_id}/stream, GET /videos/{video_id}/file, "
    "HEAD /videos/{video_id}/file, GET /score, GET /score/{job_id}, GET /score/{job_id}/report, "
    "GET /score/{job_id}/report.pdf, GET /score/{job_id}/report/pdf, GET /analytics/report/pdf, "
    "GET /score/{job_id}/ensemble, GET /score/{job_id}/timeline, GET /score/{job_id}/uncertainty, "
    "GET /score/{job_id}/stream, GET /tasks, GET /task-profile, GET /task-profile/versions, "
    "GET /tasks/steps/proposal, GET /tasks/steps, GET /analytics, GET /analytics/compliance, "
    "GET /analytics/steps, GET /search, GET /train/jobs/{training_id}, GET /train/nightly/status, "
    "GET /audit/trail, GET /api/v1/incidents, GET /api/v1/incidents/{iid}, "
    "GET /api/v1/incidents/{iid}/status/stream, GET /api/v1/incidents/{iid}/media, "
    "HEAD /api/v1/incidents/{iid}/media, GET /api/v1/incidents/{iid}/report, "
    "HEAD /api/v1/incidents/{iid}/highlights/{number}, "
    "GET /api/v1/incidents/{iid}/highlights/{number}, GET /api/v1/events, "
    "GET /api/v1/events/{event_iid}, GET /api/v1/timelines, GET /api/v1/logs, "
    "GET /vigil/videos, GET /vigil/videos/{video_id}, GET /vigil/status/{video_id}, "
    "GET /vigil/videos/{video_id}/keyframe, GET /vigil/videos/{video_id}/transcript, "
    "GET /vigil/queries, GET /vigil/queries/{query_id}, GET /vigil/events/definitions, "
    "GET /vigil/events/definitions/{event_type}, "
    "GET /vigil/events/definitions/{event_type}/diff, "
    "GET /vigil/events/definitions/{event_type}/threshold, "
    "GET /vigil/events/definitions/{event_type}/rates, GET /vigil/events/runs, "
    "GET /vigil/events/runs/{run_id}, GET /vigil/events, GET /vigil/videos/{video_id}/events, "
    "GET /vigil/retention",
    OPERATOR: "POST /gold, POST /videos, PATCH /videos/{video_id}, POST /score, "
    "POST /score/{job_id}/cancel, POST /score/{job_id}/rerun, POST /score/batch, "
    "POST /score/ensemble, POST /research/soft-dtw, GET /score/export/csv, "
    "GET /score/{job_id}/export, PUT /score/{job_id}/review, "
    "GET /analytics/operators/{operator_id}/trend, "
    "GET /analytics/operators/{operator_id}/projection, "
    "GET /analytics/recommendations/{operator_id}, GET /ops/queue, "
    "POST /api/v1/incidents/upload, POST /api/v1/incidents/{iid}/analyze, "
    "POST /api/v1/incidents/{iid}/search, POST /vigil/videos, "
    "POST /vigil/videos/{video_id}/index, POST /vigil/videos/{video_id}/cancel, "
    "PUT /vigil/videos/{video_id}/transcript, POST /vigil/videos/{video_id}/transcribe, "
    "POST /vigil/videos/{video_id}/transcribe/cancel, POST /vigil/search, POST /vigil/query, "
    "POST /vigil/ask, POST /vigil/queries/{query_id}/feedback, POST /vigil/events/detect, "
    "POST /vigil/videos/{video_id}/events, PUT /vigil/events/{event_id}/review",
    ADMIN: "DELETE /videos/{video_id}, POST /admin/rescore, PUT /task-profile, PUT /tasks/steps, "
    "DELETE /tasks/steps, GET /admin/db-stats, POST /admin/backup, POST /admin/optimize, "
    "POST /train/nightly, POST /audit/export, GET /audit/export/{export_id}/file, "
    "DELETE /api/v1/incidents/{iid}, DELETE /vigil/videos/{video_id}, "
    "POST /vigil/events/definitions, PUT /vigil/events/definitions/{event_type}, "
    "PUT /vigil/videos/{video_id}/hold, PUT /vigil/retention",
}
"""The role matrix of the contract, 2.1, route by route."""
PUBLIC_PAGES = [route[4:] for route in MATRIX[ANYONE].split(", ") if route.startswith("GET ")]
LEAST = {route: role for role, routes in MATRIX.items() for route in routes.split(", ")}

CREDENTIALS: dict[str | None, dict[str, str]] = {
    None: {},
    VIEWER: {"Authorization": "Bearer look"},
    OPERATOR: {"Authorization": "Basic " + base64.b64encode(b"anna:work").decode()},
    ADMIN: {"X-API-Key": "all"},
}
KNOWN = {
    "api_role_tokens": "viewer:look",
    "basic_user": "anna",
    "basic_password": "work",
    "basic_role": "operator",
    "api_key": "all",
}


class Client(Caller):
    """A caller from another machine, with the headers beside the path."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(app_of(runtime))

    def send(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        peer: str = "192.0.2.1",
        base: str = "http://sopilot.local",
        **options: Any,
    ) -> Response:
        return super().send(method, path, peer=peer, base=base, headers=headers, **options)


def opened(tmp_path_factory: pytest.TempPathFactory, **settings: Any) -> Iterator[Client]:
    runtime = open_test_runtime(tmp_path_factory.mktemp("access"), **{**KNOWN, **settings})
    yield Client(runtime)
    close_runtime(runtime)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield from opened(tmp_path_factory)


def routes() -> list[str]:
    found = [
        route for router in (*ROUTERS, *PLACED_ROUTERS, docs.router) for route in router.routes
    ]
    own = [route for route in found if isinstance(route, APIRoute)]
    return sorted({f"{method} {route.path}" for route in own for method in route.methods})


def code_of(response: Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("route", routes())
def test_every_cell_of_the_role_matrix(client: Client, route: str) -> None:
    assert route in LEAST, "name the least role of a new route in MATRIX"
    method, path = route.split(" ")
    path = re.sub(r"\{[^}]*\}", "999999", path)
    allowed = [None, *ROLES] if LEAST[route] == ANYONE else ROLES[ROLES.index(LEAST[route]) :]
    for role, headers in CREDENTIALS.items():
        response = client.send(method, path, headers)
        if role in allowed:
            assert response.status_code not in (401, 403), role
        else:
            assert response.status_code == (401 if role is None else 403), role


def test_the_matrix_names_no_route_twice() -> None:
    listed = [route for routes in MATRIX.values() for route in routes.split(", ")]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("prefix", ["", *ALIAS_PREFIXES])
@pytest.mark.parametrize("slash", ["", "/"])
def test_public_routes_and_their_twins_need_no_credentials(
    client: Client, prefix: str, slash: str
) -> None:
    for path in PUBLIC_PAGES:
        assert client.send("GET", prefix + path.rstrip("/") + slash or "/").status_code == 200
    assert code_of(client.send("GET", prefix + "/videos" + slash)) == (401, "UNAUTHORIZED")


def test_metrics_may_be_closed(tmp_path_factory: pytest.TempPathFactory) -> None:
    for client in opened(tmp_path_factory, public_metrics=False):
        for path in ("/metrics", "/api/v1/metrics", "/metrics/"):
            assert code_of(client.send("GET", path)) == (401, "UNAUTHORIZED")
            assert client.send("GET", path, CREDENTIALS[VIEWER]).status_code == 200
        assert client.send("GET", "/health").status_code == 200


def test_a_refusal_says_how_to_come_in_and_what_is_missing(client: Client) -> None:
    refused = client.send("GET", "/videos")
    assert refused.headers["WWW-Authenticate"] == "Bearer, Basic"
    assert refused.json()["detail"] == refused.json()["error"]["message"]
    forbidden = client.send("DELETE", "/videos/1", CREDENTIALS[OPERATOR])
    assert code_of(forbidden) == (403, "FORBIDDEN")
    assert "role admin, basic:anna has operator" in forbidden.json()["detail"]


def test_required_credentials_that_nobody_configured_are_a_503(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime = open_test_runtime(tmp_path_factory.mktemp("none"), auth_required="true")
    try:
        local = {"peer": "127.0.0.1", "base": "http://127.0.0.1"}
        response = Client(runtime).send("GET", "/videos", **local)  # type: ignore[arg-type]
        assert code_of(response) == (503, "AUTH_NOT_CONFIGURED")
    finally:
        close_runtime(runtime)


# Sessions


def login(client: Client, role: str = OPERATOR, **options: Any) -> Response:
    return client.send("POST", "/session", CREDENTIALS[role], **options)


def cookie_of(response: Response) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={response.cookies[SESSION_COOKIE]}"}


def test_a_session_stands_for_its_credentials_until_it_is_closed(client: Client) -> None:
    opened = login(client)
    assert (opened.json()["actor"], opened.json()["role"]) == ("basic:anna", "operator")
    kept = cookie_of(opened)
    assert client.send("GET", "/session", kept).json() == opened.json()
    assert client.send("GET", "/ops/queue", kept).status_code == 200
    assert client.send("POST", "/admin/optimize", kept).status_code == 403
    assert client.send("DELETE", "/session", kept).status_code == 204
    assert client.send("GET", "/session", kept).status_code == 401
    assert client.send("DELETE", "/session", CREDENTIALS[VIEWER]).status_code == 204


def test_the_cookie_is_for_this_service_only_and_its_token_is_not_stored(client: Client) -> None:
    header = login(client).headers["Set-Cookie"]
    parts = {part.strip().lower() for part in header.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} == parts
    secure = login(client, base="https://sopilot.local").headers["Set-Cookie"]
    assert "secure" in secure.lower()
    token = header.partition("=")[2].partition(";")[0]
    with client.app.state.runtime.database.read() as connection:
        digests = set(connection.execute(select(ui_sessions.c.token_sha256)).scalars())
    assert token not in digests


def test_a_page_of_another_site_changes_nothing_with_the_session(client: Client) -> None:
    kept = cookie_of(login(client))
    order = {"gold_video_id": 1, "trainee_video_id": 2}
    for marks in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.send("POST", "/score", kept | marks, json=order).status_code == 403
        assert client.send("GET", "/score", kept | marks).status_code == 200
    own = {"Origin": "http://sopilot.local", "Sec-Fetch-Site": "same-origin"}
    assert client.send("POST", "/score", kept | own, json=order).status_code == 404
    # No page can send a token unasked.
    strange = CREDENTIALS[ADMIN] | {"Origin": "https://evil.example"}
    assert client.send("POST", "/score", strange, json=order).status_code == 404


def test_a_page_of_another_site_changes_nothing_with_a_remembered_password(client: Client) -> None:
    order = {"gold_video_id": 1, "trainee_video_id": 2}
    for marks in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        strange = CREDENTIALS[OPERATOR] | marks
        assert code_of(client.send("POST", "/score", strange, json=order)) == (403, "FORBIDDEN")
        assert client.send("GET", "/score", strange).status_code == 200
    listed = CREDENTIALS[OPERATOR] | {"Origin": "http://localhost:8000"}
    assert client.send("POST", "/score", listed, json=order).status_code == 404
    assert client.send("POST", "/score", CREDENTIALS[OPERATOR], json=order).status_code == 404


def test_a_page_of_another_site_changes_nothing_in_a_service_open_to_all(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime = open_test_runtime(tmp_path_factory.mktemp("open"), auth_required="false")
    try:
        client = Client(runtime)
        strange = {"Origin": "https://evil.example"}
        assert client.send("POST", "/admin/optimize", strange).status_code == 403
        assert client.send("GET", "/tasks", strange).status_code == 200
        assert client.send("POST", "/admin/optimize").status_code == 200
    finally:
        close_runtime(runtime)


def test_a_session_ends_with_its_time_and_with_its_credentials(client: Client) -> None:
    runtime: Runtime = client.app.state.runtime
    kept = cookie_of(login(client))
    changed = runtime.settings.model_copy(update={"basic_role": "viewer"})
    again = Client(_with(runtime, changed))
    assert again.send("GET", "/session", kept).json()["role"] == "viewer"
    changed = runtime.settings.model_copy(update={"basic_password": SecretStr("other")})
    assert Client(_with(runtime, changed)).send("GET", "/session", kept).status_code == 401
    with runtime.database.write() as connection:
        connection.execute(ui_sessions.update().values(expires_at="2020-01-01T00:00:00"))
    assert client.send("GET", "/session", kept).status_code == 401
    login(client)
    with runtime.database.read() as connection:
        assert len(connection.execute(select(ui_sessions)).all()) == 1  # the ended ones are gone


def _with(runtime: Runtime, settings: Any) -> Runtime:
    return replace(runtime, settings=settings)


def test_where_there_is_nothing_to_hold_there_is_no_cookie(client: Client) -> None:
    kept = cookie_of(login(client))
    assert "Set-Cookie" not in client.send("POST", "/session", kept).headers
    wrong = client.send("GET", "/session", {"Cookie": f"{SESSION_COOKIE}=nonsense"})
    assert wrong.status_code == 401


# Limits


@pytest.fixture
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield from opened(
        tmp_path_factory,
        rate_limit_rpm=10,
        rate_limit_burst=100,
        login_failures_per_minute=3,
        trusted_proxies="10.0.0.1",
    )


@pytest.mark.parametrize(
    ("path", "headers", "content", "status"),
    [
        ("/score", {"Content-Length": str(1 << 30)}, b"", 413),
        ("/score", {}, b" " * (MAX_BODY_BYTES + 1), 413),
        ("/score", {}, b"{", 422),
        ("/score", {}, b'{"a": 1, "a": 2}', 422),
        ("/score", {"Content-Type": "text/plain"}, b"{}", 422),
        ("/tasks/%00", {}, b"{}", 422),
    ],
)
def test_a_refused_body_counts_like_any_request(
    limited: Client, path: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    given = CREDENTIALS[OPERATOR] | {"Content-Type": "application/json"} | headers
    answers = [limited.send("POST", path, given, content=content) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [status] * 10 + [429]


def test_the_request_beyond_the_minutes_is_refused(limited: Client) -> None:
    answers = [limited.send("GET", "/tasks", CREDENTIALS[ADMIN]) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers[:10]]
    assert left == list(range(9, -1, -1))
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers[:10]} == {"10"}
    assert code_of(answers[10]) == (429, "RATE_LIMITED")
    assert 1 <= int(answers[10].headers["Retry-After"]) <= 60
    assert "X-RateLimit-Remaining" not in answers[10].headers
    # Monitors are not counted, other addresses are not concerned.
    assert limited.send("GET", "/health").status_code == 200
    other = limited.send("GET", "/tasks", CREDENTIALS[ADMIN], peer="192.0.2.2")
    assert other.status_code == 200


def test_no_header_changes_whom_the_limit_counts_against(limited: Client) -> None:
    marks = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP")
    numbers = itertools.count()
    codes = [
        limited.send("GET", "/tasks", {name: f"203.0.113.{next(numbers)}"}).status_code
        for name in marks * 3
    ]
    assert codes == [401] * 10 + [429] * 5


def test_behind_a_trusted_proxy_the_client_counts(limited: Client) -> None:
    def ask(client: str) -> int:
        headers = {"X-Forwarded-For": f"6.6.6.6, {client}"}
        return limited.send("GET", "/tasks", headers, peer="10.0.0.1").status_code

    assert [ask("203.0.113.1") for _ in range(11)] == [401] * 10 + [429]
    assert ask("203.0.113.2") == 401


def test_a_burst_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    for client in opened(tmp_path_factory, rate_limit_rpm=10_000, rate_limit_burst=2):
        # 40 requests last less than 20 seconds, even on a slow machine.
        answers = [client.send("GET", "/tasks", CREDENTIALS[ADMIN]) for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert {answer.headers["Retry-After"] for answer in refused} <= {"1", "2"}


def test_zero_is_no_limit(client: Client) -> None:
    answers = [client.send("GET", "/tasks", CREDENTIALS[ADMIN]) for _ in range(200)]
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers


def test_an_open_service_does_not_limit_programs_on_its_machine(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime = open_test_runtime(tmp_path_factory.mktemp("open"), rate_limit_rpm=3)
    try:
        client = Client(runtime)
        local: Any = {"peer": "127.0.0.1", "base": "http://127.0.0.1"}
        codes = [client.send("GET", "/tasks", **local).status_code for _ in range(6)]
        assert codes == [200] * 6
        marked = {"X-Forwarded-For": "203.0.113.1"}
        codes = [client.send("GET", "/tasks", marked, **local).status_code for _ in range(5)]
        assert codes == [503] * 3 + [429] * 2
    finally:
        close_runtime(runtime)


@pytest.mark.parametrize("path", ["/videos", "/status"])
def test_wrong_credentials_are_limited_per_address(limited: Client, path: str) -> None:
    wrong = {"X-API-Key": "guess"}
    for _ in range(3):
        limited.send("GET", path, wrong)
    assert code_of(limited.send("GET", "/videos", wrong)) == (429, "RATE_LIMITED")
    # Not even the right ones tell an address that guesses; others come in all the same.
    assert limited.send("GET", "/videos", CREDENTIALS[ADMIN]).status_code == 429
    assert limited.send("GET", "/status", CREDENTIALS[ADMIN]).json()["data_dir"] is None
    elsewhere = limited.send("GET", "/videos", CREDENTIALS[ADMIN], peer="192.0.2.2")
    assert elsewhere.status_code == 200


# The audit log


def test_the_log_says_who_came_and_who_was_refused(limited: Client) -> None:
    for _ in range(5):
        limited.send("GET", "/videos", {"X-API-Key": "guess", "X-Request-ID": "r-1"})
    kept = cookie_of(login(limited, peer="192.0.2.7"))
    limited.send("DELETE", "/session", kept, peer="192.0.2.7")
    with limited.app.state.runtime.database.read() as connection:
        rows = list(rows_from(connection))
    assert [row["action"] for row in rows] == [Action.LOGIN_FAILED] * 3 + [
        Action.SESSION_OPENED,
        Action.SESSION_CLOSED,
    ]
    failed, opened = rows[0], rows[3]
    assert (failed["actor"], failed["ip"], failed["request_id"]) == ("unknown", "192.0.2.1", "r-1")
    assert failed["detail"] == {"path": "/videos", "scheme": "token"}
    assert (opened["actor"], opened["role"], opened["ip"]) == (
        "basic:anna",
        "operator",
        "192.0.2.7",
    )
    assert "guess" not in repr(rows)
    assert list(breaks(rows)) == []
    trail = limited.send(
        "GET", "/audit/trail?outcome=refused", CREDENTIALS[ADMIN], peer="192.0.2.8"
    ).json()
    assert [item["seq"] for item in trail["items"]] == [3, 2, 1]


def test_the_log_says_when_the_service_starts_and_ends(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runtime = open_test_runtime(tmp_path_factory.mktemp("turns"))
    app = create_app(runtime=runtime, with_workers=False)

    async def run() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(run())
    again = open_test_runtime(runtime.settings.data_dir.parent)
    with again.database.read() as connection:
        actions = [(row["action"], row["actor"]) for row in rows_from(connection)]
    close_runtime(again)
    assert actions == [
        (Action.SERVICE_STARTED, "system:service"),
        (Action.SERVICE_STOPPED, "system:service"),
    ]


# Pages of other origins


def test_only_pages_of_listed_origins_may_read_answers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    listed, strange = {"Origin": "http://desk.local"}, {"Origin": "https://evil.example"}
    settings: Any = {"cors_origins": "http://desk.local", "rate_limit_rpm": 1}
    for client in opened(tmp_path_factory, **settings):
        first = client.send("GET", "/tasks", CREDENTIALS[ADMIN] | listed)
        assert first.headers["Access-Control-Allow-Origin"] == "http://desk.local"
        assert "Access-Control-Allow-Credentials" not in first.headers
        refused = client.send("GET", "/tasks", CREDENTIALS[ADMIN] | listed)
        assert refused.status_code == 429
        assert refused.headers["Access-Control-Allow-Origin"] == "http://desk.local"
        assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
        asked = {"Access-Control-Request-Method": "DELETE"}
        assert client.send("OPTIONS", "/videos/1", strange | asked).status_code == 400
        assert "Access-Control-Allow-Origin" not in client.send("GET", "/health", strange).headers
