"""The one template environment of all pages: everything is escaped, nothing may be undefined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_environment(package: str, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """The templates of a package (its folder `templates/`) with these filters."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment
