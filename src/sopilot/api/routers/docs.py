"""The documentation of the service as one page; it fetches nothing, so it works offline."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment

from sopilot.api.auth import Anyone
from sopilot.report.pages import page_environment

router = APIRouter()

_CSP = "default-src 'none'; style-src 'unsafe-inline'"


@router.get("/openapi.json", include_in_schema=False)
def get_schema(_: Anyone, request: Request) -> JSONResponse:
    """The document that the page is made from, for programs."""
    return JSONResponse(request.app.openapi())


@router.get("/redoc", include_in_schema=False)
@router.get("/docs", include_in_schema=False)
def get_docs(_: Anyone, request: Request) -> HTMLResponse:
    """Every route with its fields and answers, made from the same schema as /openapi.json."""
    schema = request.app.openapi()
    page = _environment().get_template("docs.html.j2").render(api=schema, groups=_groups(schema))
    return HTMLResponse(page, headers={"Content-Security-Policy": _CSP})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return page_environment("sopilot.api", {"type_text": type_text})


def _groups(schema: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, in the order of the routes."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            entry = {
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "description": operation.get("description", ""),
                "role": operation.get("x-least-role", "none"),
                "parameters": [_parameter(item) for item in operation.get("parameters", [])],
                "bodies": _bodies(operation.get("requestBody", {})),
                "responses": _responses(operation["responses"]),
            }
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(entry)
    return groups


def _parameter(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": item["name"],
        "place": item["in"],
        "is_required": item.get("required", False),
        "type": type_text(item.get("schema", {})),
        "description": item.get("description", ""),
    }


def _bodies(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"media": media, "type": type_text(content.get("schema", {}))}
        for media, content in body.get("content", {}).items()
    ]


def _responses(responses: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "status": status,
            "description": response.get("description", ""),
            "type": ", ".join(
                type_text(content.get("schema", {}))
                for content in response.get("content", {}).values()
            ),
        }
        for status, response in responses.items()
    ]


def type_text(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words; named shapes by their name."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(type_text(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(repr(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_text(schema.get('items', {}))}"
    if "properties" in schema:
        return "{" + ", ".join(schema["properties"]) + "}"
    return str(schema.get("type", "any"))
