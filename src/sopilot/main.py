"""Entry point for ASGI servers (`sopilot.main:app`, `--factory sopilot.main:create_app`)."""

from __future__ import annotations

from fastapi import FastAPI

from sopilot.api.app import create_app

__all__ = ["app", "create_app"]  # noqa: F822 - app is made by __getattr__


def __getattr__(name: str) -> FastAPI:
    """`app`, made when it is first asked for: importing this module reads no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = create_app()
    globals()["app"] = found
    return found
