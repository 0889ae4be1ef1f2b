"""Properties that every route has: a least role, a summary, its errors, its twins."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from sopilot.api.app import ALIAS_PREFIXES, PLACED_ROUTERS, ROUTERS, create_app
from sopilot.api.auth import Access
from sopilot.api.openapi import least_roles
from sopilot.api.routers import docs
from sopilot.core.config import load_settings
from sopilot.incidents.page import MEDIA_TYPES


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_app(load_settings(data_dir=tmp_path_factory.mktemp("data")))


def api_routes(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def routes() -> list[APIRoute]:
    routers = (*ROUTERS, *PLACED_ROUTERS, docs.router)
    return [route for router in routers for route in api_routes(router)]


def test_every_route_declares_its_least_role() -> None:
    assert len(routes()) > 20
    bare = [route.path for route in routes() if len(list(least_roles(route.dependant))) != 1]
    assert bare == []


def test_only_these_routes_are_public() -> None:
    public = {r.path for r in routes() if Access.PUBLIC in least_roles(r.dependant)}
    pages = {"/", "/docs", "/redoc", "/openapi.json"}
    assert public == pages | {"/health", "/readiness", "/status", "/metrics"}


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/videos", Access.VIEWER),
        ("GET", "/score/{job_id}", Access.VIEWER),
        ("GET", "/dataset/summary", Access.VIEWER),
        ("PATCH", "/videos/{video_id}", Access.OPERATOR),
        ("DELETE", "/videos/{video_id}", Access.ADMIN),
        ("POST", "/gold", Access.OPERATOR),
        ("POST", "/videos", Access.OPERATOR),
        ("POST", "/score", Access.OPERATOR),
        ("POST", "/score/{job_id}/cancel", Access.OPERATOR),
        ("PUT", "/task-profile", Access.ADMIN),
        ("PUT", "/tasks/steps", Access.ADMIN),
        ("DELETE", "/tasks/steps", Access.ADMIN),
    ],
)
def test_roles_follow_the_contract(method: str, path: str, role: Access) -> None:
    [route] = [r for r in routes() if r.path == path and method in r.methods]
    assert list(least_roles(route.dependant)) == [role]


def test_the_schema_is_complete(app: FastAPI) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = app.openapi()
    operations = [
        (f"{method} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    assert [name for name, found in operations if not found.get("summary")] == []
    assert [name for name, found in operations if not found.get("description")] == []
    guarded = [(name, found) for name, found in operations if found.get("security")]
    assert len(guarded) >= 15
    assert [name for name, found in guarded if "401" not in found["responses"]] == []
    placed = {route.path for router in PLACED_ROUTERS for route in api_routes(router)}
    places = {name.partition(" ")[2] for name, _ in operations}
    assert placed < places
    assert not any(place.startswith(ALIAS_PREFIXES) for place in places - placed)


def answers(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    """Every documented answer, by method, path and status."""
    return [
        (f"{method} {path} {status}", response)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        for status, response in operation["responses"].items()
    ]


def test_every_answer_has_an_example_that_its_schema_allows(app: FastAPI) -> None:
    components = app.openapi()["components"]
    wrong = {}
    for name, response in answers(app):
        for media, content in response.get("content", {}).items():
            if media in {"application/pdf", "image/jpeg", "video/*", MEDIA_TYPES["docx"]}:
                continue
            if "examples" not in content:
                assert content["example"], name
                continue
            where = content["examples"]["default"]["$ref"].rpartition("/")[2]
            value = components["examples"][where]["value"]
            whole = {**content["schema"], "components": components}
            if not jsonschema_rs.is_valid(whole, value):
                wrong[name] = value
    assert wrong == {}


def test_every_failure_is_the_envelope(app: FastAPI) -> None:
    others = {"get /health 503", "get /readiness 503"}  # they say what does not work
    envelope = {"$ref": "#/components/schemas/ErrorEnvelope"}
    for name, response in answers(app):
        if name[-3:] >= "400" and name not in others:
            assert response["content"]["application/json"]["schema"] == envelope, name
            assert response["description"], name
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]


def test_uploads_document_both_forms_of_a_body(app: FastAPI) -> None:
    body: dict[str, Any] = app.openapi()["paths"]["/gold"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "video/*"}
    assert "enforce_quality" in body["multipart/form-data"]["schema"]["properties"]


def test_making_the_application_touches_no_file(tmp_path: Path) -> None:
    create_app(load_settings(data_dir=tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


def test_endpoints_are_short() -> None:
    long = {}
    for route in routes():
        lines = inspect.getsource(route.endpoint).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(("def ", "async def ")))
        if len(lines) - start > 22:  # 15 of body, the rest signature
            long[route.path] = len(lines) - start
    assert long == {}
