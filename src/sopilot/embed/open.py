"""Chooses the feature backend once, at start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sopilot.embed.base import Embedder
from sopilot.embed.color_motion import ColorMotionEmbedder

if TYPE_CHECKING:  # the decoder child starts without the settings' libraries
    from sopilot.core.config import Settings


def open_embedder(settings: Settings) -> Embedder:
    """The backend that the settings name."""
    return embedder_named(settings.embedder_backend)


def embedder_named(backend: str) -> Embedder:
    """A backend by its name; `heuristic` is the old name of `color-motion`."""
    backends: dict[str, Embedder] = {
        "color-motion": ColorMotionEmbedder(),
        "heuristic": ColorMotionEmbedder(),
    }
    return backends[backend]
