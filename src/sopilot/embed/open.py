"""Chooses the feature backend once, at start; what was chosen is shown in health and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sopilot.core.errors import BadSettings
from sopilot.embed.base import Embedder
from sopilot.embed.color_motion import ColorMotionEmbedder
from sopilot.embed.look import LookEmbedder
from sopilot.embed.stills import StillEmbedder

if TYPE_CHECKING:  # the decoder child starts without the settings' libraries
    from sopilot.core.config import Settings

COLOR_MOTION = "color-motion"


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend in force for the life of the process. failed_from: the one that was asked for
    and cannot be used; None where nothing failed."""

    backend: str
    failed_from: str | None = None

    @property
    def has_failed_over(self) -> bool:
        """Whether another backend than the one asked for makes the features."""
        return self.failed_from is not None


def choose_backend(settings: Settings) -> Choice:
    """What the settings ask for, or what may stand in for it.

    `heuristic` is the old name of color-motion; `auto` takes the best backend there is. Raises
    BadSettings for one that this version does not have where no other may stand in.
    """
    asked = settings.embedder_backend
    if asked != "vjepa2":
        return Choice(COLOR_MOTION)
    if not settings.allow_embedder_fallback:
        raise BadSettings(
            "SOPILOT_EMBEDDER_BACKEND=vjepa2: this version has no V-JEPA 2 backend, and "
            "SOPILOT_ALLOW_EMBEDDER_FALLBACK=false forbids another; set color-motion, or allow it"
        )
    return Choice(COLOR_MOTION, failed_from=asked)


def open_embedder(settings: Settings) -> Embedder:
    """The backend that `choose_backend` names. Raises BadSettings."""
    return embedder_named(choose_backend(settings).backend)


def embedder_named(backend: str) -> Embedder:
    """A backend by the name that a `Choice` gives it."""
    backends: dict[str, Embedder] = {COLOR_MOTION: ColorMotionEmbedder()}
    return backends[backend]


def open_stills(settings: Settings) -> StillEmbedder:
    """The backend that describes single pictures. Raises BadSettings where it cannot be used."""
    if settings.still_backend == "look":
        return LookEmbedder()
    from sopilot.embed.image_text import ImageTextEmbedder

    if settings.still_model_dir is None:
        raise BadSettings(
            f"SOPILOT_STILL_BACKEND={settings.still_backend} needs the folder of a checkpoint; set "
            "SOPILOT_STILL_MODEL_DIR, or SOPILOT_STILL_BACKEND=look"
        )
    return ImageTextEmbedder(settings.still_model_dir, settings.still_device)
