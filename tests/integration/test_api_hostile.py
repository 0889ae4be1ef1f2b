"""What a hostile or careless client sends: bodies, texts and numbers that no form asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from caller import Caller, app_of
from fastapi.routing import APIRoute
from service_parts import open_test_runtime

from sopilot.api.app import ALIAS_PREFIXES, ROUTERS
from sopilot.api.bodies import MAX_BODY_BYTES
from sopilot.runtime import close_runtime

KEY = {"X-API-Key": "schlüssel".encode()}


async def in_blocks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    runtime = open_test_runtime(tmp_path_factory.mktemp("hostile"), api_key="schlüssel")
    yield Caller(app_of(runtime))
    close_runtime(runtime)


@pytest.mark.parametrize(
    ("headers", "is_announced"), [({}, True), (KEY, True), (KEY, False)], ids=str
)
@pytest.mark.parametrize("path", ["/score", "/api/v1/score", "/sop/score"])
def test_a_body_beyond_the_limit_is_refused(
    client: Caller, headers: dict[str, Any], is_announced: bool, path: str
) -> None:
    body: Any = b" " * (MAX_BODY_BYTES + 1)
    body = body if is_announced else in_blocks(body)
    given = {**headers, "Content-Type": "application/json"}
    response = client.send("POST", path, content=body, headers=given)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "FILE_TOO_LARGE")
    assert response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "body", [b"{", b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000, b"{}", b" " * (MAX_BODY_BYTES + 1)]
)
def test_who_may_not_come_in_hears_nothing_of_the_body(client: Caller, body: bytes) -> None:
    """Every route that reads a body asks who is calling before it does."""
    router_routes = [route for router in ROUTERS for route in router.routes]
    routes = [r for r in router_routes if isinstance(r, APIRoute) and r.body_field is not None]
    assert len(routes) >= 8
    for route in routes:
        [method] = route.methods
        kind = {"Content-Type": "application/json"}
        for prefix in ("", *ALIAS_PREFIXES):
            path = f"{prefix}{route.path}"
            answer = client.send(method, path, content=in_blocks(body), headers=kind)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")


def test_a_key_given_twice_is_found_among_very_many(client: Caller) -> None:
    """In time that grows with their number, not with its square: that would take minutes here."""
    body = b"{%s}" % b",".join(b'"%d":0' % number for number in [*range(180_000), 179_999])
    assert len(body) < MAX_BODY_BYTES
    kind = {"Content-Type": "application/json"}
    answer = client.send("POST", "/score", content=body, headers=KEY | kind)
    assert answer.status_code == 422
    assert "'179999' twice" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "kind"), [("/videos", "video/mp4"), ("/score", "application/json")]
)
def test_a_client_that_falls_silent_is_waited_for_no_longer(
    client: Caller, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    monkeypatch.setattr("sopilot.api.bodies.SILENCE_SEC", 0.05)
    ended: list[bool] = []

    async def half() -> AsyncIterator[bytes]:
        try:
            yield b"{" * 70_000
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    answer = client.send("POST", path, content=half(), headers=KEY | {"Content-Type": kind})
    assert answer.status_code == 400
    assert ended == [True]
    root = client.app.state.runtime.blobs.root
    assert list((root / "raw" / ".staged").glob("*")) == []


@pytest.mark.parametrize("path", ["/gold", "/videos", "/api/v1/gold", "/sop/videos"])
def test_an_upload_has_its_own_limit_after_the_credentials(client: Caller, path: str) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    kind = {"Content-Type": "video/mp4"}
    assert client.send("POST", path, content=body, headers=kind).status_code == 401
    accepted = client.send("POST", f"{path}?async=1", content=body, headers=KEY | kind)
    assert accepted.status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/task-profile", b'{"task_name": "\\ud800"}'),
        ("PUT", "/task-profile", b'{"\\ud800": 1}'),
        ("PUT", "/task-profile", b'{"pass_score": "61"}'),
        ("PUT", "/task-profile", b'{"pass_score": true}'),
        ("PUT", "/task-profile", b'{"pass_score": 1%s}' % (b"0" * 400)),
        ("PUT", "/task-profile", b'{"default_weights": {"w_miss": 1e308}}'),
        ("PUT", "/tasks/steps", b'{"steps": [{"step_index": 0, "name_en": "\\ud800"}]}'),
        ("PUT", "/tasks/steps", b'{"steps": [{"step_index": 0, "\\ud800": 1}]}'),
        (
            "PUT",
            "/tasks/steps",
            b'{"steps": [{"step_index": 0, "start_sec": 0, "end_sec": 1%s}]}' % (b"0" * 400),
        ),
        ("POST", "/score", b'{"gold_video_id": true, "trainee_video_id": 2}'),
        ("POST", "/score", b'{"gold_video_id": "1", "trainee_video_id": 2}'),
        ("POST", "/score", b'{"gold_video_id": 1.0, "trainee_video_id": 2}'),
        (
            "POST",
            "/score",
            b'{"gold_video_id": 1, "trainee_video_id": 2, "weights": {"w_miss": 1e308}}',
        ),
    ],
)
def test_values_that_no_form_allows(client: Caller, method: str, path: str, body: bytes) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    response = client.send(method, path, content=body, headers=headers)
    assert response.status_code == 422
    assert response.json()["detail"]


def test_a_trailing_slash_is_no_redirect_to_a_foreign_host(client: Caller) -> None:
    for path in ("/videos/", "/api/v1/videos//", "/sop/videos/"):
        response = client.send("GET", path, headers=KEY | {"Host": "evil.example"})
        assert response.status_code == 200
        assert "items" in response.json()
        assert client.send("GET", path).status_code == 401
    for path in ("/", "/api/v1", "/api/v1/", "/sop/", "/health/", "/sop/readiness/"):
        assert client.send("GET", path).status_code == 200


def test_an_upload_that_waits_while_the_server_stops_is_told_where_its_job_is(
    client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.app.state, "is_stopping", lambda: True)
    headers = KEY | {"Content-Type": "video/mp4"}
    response = client.send("POST", "/videos", content=b"no video", headers=headers)
    job_uid = response.json()["ingest_job_id"]
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.headers["Location"] == f"/videos/jobs/{job_uid}"
