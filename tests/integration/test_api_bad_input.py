"""What no route may accept, sent to every route that takes it: one envelope with 4xx, nothing
stored. The cases are made from the routes, so that a new one is covered as soon as it is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx import Client, Response
from service_parts import open_test_runtime
from sqlalchemy import func, select
from test_api_service import KEY, serving

from sopilot.api.app import create_app
from sopilot.api.bodies import MAX_BODY_BYTES
from sopilot.core.config import load_settings
from sopilot.runtime import Runtime
from sopilot.store.tables import metadata

CHANGING = ("post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One documented operation; body: the schema of its JSON body."""

    method: str
    path: str
    operation: Mapping[str, Any]
    body: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def address(self) -> str:
        """The path with a name of nothing in the place of its parameters."""
        parts = ("99999" if part.startswith("{") else part for part in self.path.split("/"))
        return "/".join(parts)


def routes() -> list[Route]:
    document = create_app(load_settings()).openapi()
    shapes = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            name = str((schema or {}).get("$ref", "")).rpartition("/")[2]
            found.append(Route(method, path, operation, shapes.get(name, schema)))
    return found


ROUTES = routes()
WITH_BODY = [route for route in ROUTES if route.body is not None]
UPLOADS = [
    route
    for route in ROUTES
    if "multipart/form-data" in route.operation.get("requestBody", {}).get("content", {})
]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Runtime]]:
    is_sqlite = request.param == "sqlite"
    url = None if is_sqlite else request.getfixturevalue("postgres").emptied()
    folder = tmp_path_factory.mktemp("bad-input")
    runtime = open_test_runtime(folder, url, api_key="secret", max_upload_mb=1, ingest_mode="async")
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        yield client, runtime


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Runtime]]:
    """A place for what is refused before a database is asked: one of them is enough."""
    runtime = open_test_runtime(tmp_path_factory.mktemp("parser"), api_key="secret")
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        yield client, runtime


def refused(response: Response, *statuses: int) -> str:
    """The code of a refusal, after its form was looked at."""
    assert response.status_code in (statuses or range(400, 500)), response.text[:500]
    body = response.json()
    assert set(body) == {"status", "error", "detail"}
    assert body["detail"] == body["error"]["message"] != ""
    assert response.headers["X-Request-ID"]
    return str(body["error"]["code"])


def row_count(runtime: Runtime) -> int:
    with runtime.database.read() as connection:
        tables = [t for t in metadata.sorted_tables if t.name != "audit_log"]
        counts = (connection.execute(select(func.count()).select_from(t)) for t in tables)
        return sum(int(count.scalar_one()) for count in counts)


def send(client: Client, route: Route, body: bytes) -> Response:
    headers = {**KEY, "Content-Type": "application/json"}
    return client.request(route.method, route.address, content=body, headers=headers)


def test_there_are_routes_to_look_at() -> None:
    assert len(ROUTES) > 50
    assert len(WITH_BODY) > 5
    assert len(UPLOADS) == 4


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a": NaN',
    ],
    ids=["empty", "cut", "null", "list", "number", "text", "no text", "deep", "nan"],
)
def test_a_body_of_another_form(parser: tuple[Client, Runtime], route: Route, body: bytes) -> None:
    client, runtime = parser
    before = row_count(runtime)
    is_optional = not route.operation["requestBody"].get("required", False)
    response = send(client, route, body)
    if is_optional and body in {b"", b"null"}:
        assert response.status_code < 500
        return
    refused(response, 400, 422)
    assert row_count(runtime) == before


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
def test_a_key_that_is_given_twice(parser: tuple[Client, Runtime], route: Route) -> None:
    client, runtime = parser
    before = row_count(runtime)
    for body in (b'{"x": 1, "x": 2}', b'{"y": [{"\\u0078": 1, "x": 1}]}'):
        response = send(client, route, body)
        assert refused(response, 422) == "VALIDATION_ERROR"
        assert "twice" in response.json()["detail"]
    assert row_count(runtime) == before


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
def test_every_field_refuses_what_it_is_not(place: tuple[Client, Runtime], route: Route) -> None:
    """A list of 10 000 items, an object, a huge number and NUL in every documented field."""
    client, runtime = place
    before = row_count(runtime)
    assert route.body is not None
    wrong = ([{}] * 10_000, [1] * 10_000, {"a": {"b": []}}, 10**30, "\x00", "x" * 100_000)
    for name in route.body.get("properties", {}):
        for value in wrong:
            response = send(client, route, json.dumps({name: value}).encode())
            refused(response)
    assert row_count(runtime) == before


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_nul_in_a_query_and_in_a_path(place: tuple[Client, Runtime], route: Route) -> None:
    client, _ = place
    assert refused(client.request(route.method, f"{route.address}?x=a%00b"), 422)
    if "{" in route.path:
        path = "/".join("a%00b" if p.startswith("{") else p for p in route.path.split("/"))
        assert refused(client.request(route.method, path), 422)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.operation.get("parameters")], ids=str)
def test_parameters_refuse_what_they_are_not(place: tuple[Client, Runtime], route: Route) -> None:
    client, _ = place
    for parameter in route.operation["parameters"]:
        schema = parameter["schema"]
        kinds = {schema.get("type"), *(part.get("type") for part in schema.get("anyOf", ()))}
        if parameter["in"] != "query" or not kinds & {"integer", "number"}:
            continue
        for value in ("x", "-1", "1e400", "9" * 400, ""):
            response = client.request(
                route.method, route.address, params={parameter["name"]: value}
            )
            refused(response)


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.method in CHANGING and r not in UPLOADS], ids=str
)
def test_a_body_beyond_the_limit(place: tuple[Client, Runtime], route: Route) -> None:
    client, _ = place
    response = send(client, route, b" " * (MAX_BODY_BYTES + 1))
    assert refused(response, 413) == "FILE_TOO_LARGE"


@pytest.mark.parametrize("route", UPLOADS, ids=str)
def test_an_upload_beyond_its_limit_or_with_bad_fields(
    place: tuple[Client, Runtime], route: Route
) -> None:
    client, runtime = place
    before = row_count(runtime)

    def upload(fields: Any, content: bytes = b"x") -> Response:
        return client.post(route.path, data=fields, files={"file": ("a.mp4", content)})

    assert refused(upload({}, b"x" * (2 << 20)), 413) == "FILE_TOO_LARGE"
    wrong: list[Any] = [{"site_id": ["a", "b"]}]
    if route.path.endswith("/incidents/upload"):
        wrong += [{"domain": "space"}, {"events": "x" * 12_001}]
    elif route.path == "/vigil/videos":
        wrong += [{"domain": "space"}, {"recorded_at": "yesterday"}, {"camera_id": "x" * 129}]
    else:
        wrong += [{"task_id": "x" * 129}, {"enforce_quality": "perhaps"}]
    for fields in wrong:
        assert refused(upload(fields), 422) == "VALIDATION_ERROR"
    assert refused(upload({f"field{n}": "x" for n in range(10_000)}), 422) == "VALIDATION_ERROR"
    assert row_count(runtime) == before


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("<script>alert(1)</script>.mp4", "script>.mp4"),
        ("a\x00\r\nX: y.mp4", "aX: y.mp4"),
        ("研修" * 300 + ".mp4", ("研修" * 300 + ".mp4")[-255:]),
        ("..", ".."),
    ],
)
def test_a_hostile_file_name_is_only_a_name(
    place: tuple[Client, Runtime], tmp_path: Path, name: str, kept: str
) -> None:
    client, runtime = place
    headers = {"Content-Type": "video/mp4"}
    response = client.post(
        "/videos",
        params={"filename": name.replace("\x00", "\x01"), "force": "true"},
        content=b"no video",
        headers=headers,
    )
    assert response.status_code == 202, response.text
    found = client.get(f"/videos/{response.json()['video_id']}").json()
    assert found["original_filename"] == kept
    outside = {p.name for p in runtime.blobs.root.parent.rglob("*passwd*")}
    assert outside == set()
