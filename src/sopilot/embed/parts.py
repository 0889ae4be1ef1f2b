"""Which columns of the features show what: parts that tell how a step was done.

Read by `sop.residual`. The named parts belong to the colour-motion family; features of another
backend are looked at block by block.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sopilot.embed.base import VideoFeatures
from sopilot.embed.color_motion import NAME
from sopilot.embed.crop import CROP_LENGTH
from sopilot.embed.hog import EDGE_LENGTH, FLOW_LENGTH
from sopilot.embed.layout import CELLS
from sopilot.embed.rhythm import RHYTHM_LENGTH

_MOVED: Final = slice(EDGE_LENGTH, EDGE_LENGTH + FLOW_LENGTH)

PARTS: Final[Mapping[str, tuple[str, slice]]] = MappingProxyType(
    {
        "edges": ("crop", slice(0, EDGE_LENGTH)),
        "movement": ("crop", _MOVED),
        "movement_change": (
            "crop",
            slice(CROP_LENGTH + _MOVED.start, CROP_LENGTH + _MOVED.stop),
        ),
        "place": ("layout", slice(0, CELLS)),
        "place_change": ("layout", slice(CELLS, 2 * CELLS)),
        "motion": ("layout", slice(2 * CELLS, 3 * CELLS)),
        "rhythm": ("rhythm", slice(0, RHYTHM_LENGTH)),
    }
)
"""Name to block and its columns. What the hands look like (foreground, colours) is left out: it
differs between people, not between ways of working. Source: docs/scoring.md 4."""

MOTION: Final = frozenset({"movement", "movement_change", "motion", "rhythm"})
"""Parts that change where a camera repeats frames."""

Columns = Mapping[str, tuple[str, slice]]


def parts_of(features: VideoFeatures) -> Columns:
    """Name of every part to its block and columns there."""
    if features.producer.name == NAME:
        return {name: part for name, part in PARTS.items() if part[0] in features.blocks}
    blocks = (name for name in features.blocks if not {"@", "~"} & set(name))
    return {name: (name, slice(None)) for name in blocks}
