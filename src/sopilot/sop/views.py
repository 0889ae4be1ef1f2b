"""Which blocks of the features are views of the scorer."""

from __future__ import annotations

from sopilot.core.errors import InsufficientClips
from sopilot.embed.base import VideoFeatures

VIEWS = ("crop", "layout")
"""Close view of the hands, and layout of the whole picture. Source: docs/scoring.md 1."""


def view_names(features: VideoFeatures) -> tuple[str, ...]:
    """The views that take part: those of VIEWS that the features have, else all their blocks.

    Raises InsufficientClips when there are none.
    """
    names = tuple(name for name in features.blocks if not {"@", "~"} & set(name))
    if not names:
        raise InsufficientClips("the video has no features; ingest it again")
    return tuple(name for name in VIEWS if name in names) or names
