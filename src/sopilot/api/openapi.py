"""The OpenAPI document: what FastAPI derives from the routes, plus credentials and roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from sopilot.api.auth import SECURITY_SCHEMES, Access


def least_roles(dependant: Dependant) -> Iterator[Access]:
    """The roles that a route's dependencies demand; exactly one where all is well."""
    for child in dependant.dependencies:
        role = getattr(child.call, "least_role", None)
        if role is not None:
            yield role
        yield from least_roles(child)


class Service(FastAPI):
    """A FastAPI application whose document says which credentials and role a route needs."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            schema.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
            for route in self.state.documented_routes:
                _describe(route, schema["paths"].get(route.path, {}))
            self.openapi_schema = schema
        return self.openapi_schema


def _describe(route: APIRoute, operations: dict[str, Any]) -> None:
    role = next(least_roles(route.dependant), Access.PUBLIC)
    if role is Access.PUBLIC:
        return
    for method in route.methods or ():
        operation = operations.get(method.lower())
        if operation is not None:
            operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
            operation["x-least-role"] = role.name.lower()
