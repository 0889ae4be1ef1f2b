"""Chooses the feature backend once, at start."""

from __future__ import annotations

from sopilot.core.config import Settings
from sopilot.embed.base import Embedder
from sopilot.embed.color_motion import ColorMotionEmbedder


def open_embedder(settings: Settings) -> Embedder:
    """The backend that the settings name; `heuristic` is the old name of `color-motion`."""
    backends: dict[str, Embedder] = {
        "color-motion": ColorMotionEmbedder(),
        "heuristic": ColorMotionEmbedder(),
    }
    return backends[settings.embedder_backend]
