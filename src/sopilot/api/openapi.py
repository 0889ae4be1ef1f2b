"""The OpenAPI document: what FastAPI derives from the routes, plus credentials and roles, every
failure that a route can answer, and an example of every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from sopilot.api.auth import SECURITY_SCHEMES, Access
from sopilot.api.deps import MEANINGS
from sopilot.api.errors import STATUS
from sopilot.api.examples import error_example, example_of

_ENVELOPE = {"$ref": "#/components/schemas/ErrorEnvelope"}
_ANYWHERE = (413, 422, 429, 500, 503)
"""Before any route is asked: a body beyond the limit, a NUL in the address, too many requests, a
server in trouble."""
_GUARDED = (401, 403)
_CHANGING = (507,)
_WITH_BODY = (400,)
"""A body that is no text where JSON is asked for."""
_REPLACED = ("HTTPValidationError", "ValidationError")
"""FastAPI's own form of a refusal, which this service does not send."""


def least_roles(dependant: Dependant) -> Iterator[Access]:
    """The roles that a route's dependencies demand; exactly one where all is well."""
    for child in dependant.dependencies:
        role = getattr(child.call, "least_role", None)
        if role is not None:
            yield role
        yield from least_roles(child)


class Service(FastAPI):
    """A FastAPI application whose document says which credentials and role a route needs, how it
    may fail, and what its answers look like."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            components = schema.setdefault("components", {})
            components["securitySchemes"] = SECURITY_SCHEMES
            for route in self.state.documented_routes:
                for method in route.methods or ():
                    operation = schema["paths"].get(route.path, {}).get(method.lower())
                    if operation is not None:
                        _describe(route, method, operation)
            for name in _REPLACED:
                components["schemas"].pop(name, None)
            components["examples"] = _with_examples(schema)
            self.openapi_schema = schema
        return self.openapi_schema


def _describe(route: APIRoute, method: str, operation: dict[str, Any]) -> None:
    """Credentials, role, and the failures that go without saying."""
    role = next(least_roles(route.dependant), Access.PUBLIC)
    statuses = [*_ANYWHERE]
    if role is not Access.PUBLIC:
        operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
        operation["x-least-role"] = role.name.lower()
        statuses += _GUARDED
    if method != "GET":
        statuses += _CHANGING
    if "requestBody" in operation:
        statuses += _WITH_BODY
    responses = operation["responses"]
    for status in statuses:
        responses.setdefault(str(status), {"description": MEANINGS[status]})
    for status, response in responses.items():
        if int(status) >= 400 and not _has_own_shape(response):
            response["description"] = response.get("description") or MEANINGS[int(status)]
            response["content"] = {"application/json": {"schema": _ENVELOPE}}
    operation["responses"] = dict(sorted(responses.items()))


def _has_own_shape(response: dict[str, Any]) -> bool:
    """Whether a failure answers with something else than the envelope, as a health check does."""
    schemas = (content.get("schema", {}) for content in response.get("content", {}).values())
    names = [str(schema.get("$ref", "")).rpartition("/")[2] for schema in schemas]
    return any(name and name not in {*_REPLACED, "ErrorEnvelope"} for name in names)


def _with_examples(schema: dict[str, Any]) -> dict[str, Any]:
    """Point every JSON answer of the document to an example; the examples by name."""
    shapes = schema["components"]["schemas"]
    found: dict[str, Any] = {}
    for methods in schema["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json")
                if content is None or "example" in content:
                    continue
                name = str(content["schema"].get("$ref", "")).rpartition("/")[2]
                if content["schema"] == _ENVELOPE:
                    name = f"Error{status}"
                    found[name] = {"value": error_example(int(status), STATUS)}
                elif name not in found:
                    name = name or operation["operationId"]
                    found[name] = {"value": example_of(content["schema"], shapes)}
                content["examples"] = {"default": {"$ref": f"#/components/examples/{name}"}}
    return found
