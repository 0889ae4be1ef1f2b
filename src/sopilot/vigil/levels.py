"""How long the chunks of a video are, by what kind of scene it shows.

Source: the windows of the contract (vigil-incidents.md 1.1) for a generic scene, and within its
ranges per domain (1.2): work in a factory is short, a person crosses a yard slowly.
"""

from __future__ import annotations

from collections.abc import Mapping

from sopilot.core.records import Producer
from sopilot.media.chunks import DEFAULT_WINDOWS, ChunkLevel, WindowSize
from sopilot.vigil.schemas import Domain

_VERSION = "chunks-1"


def _windows(
    micro: tuple[float, int], meso: tuple[float, int], macro: tuple[float, int]
) -> Mapping[ChunkLevel, WindowSize]:
    """(length in seconds, keyframes) per level; each moves on by half its length."""
    levels = (ChunkLevel.MICRO, ChunkLevel.MESO, ChunkLevel.MACRO)
    sizes = (WindowSize(length, length / 2, count) for length, count in (micro, meso, macro))
    return dict(zip(levels, sizes, strict=True))


WINDOWS: Mapping[Domain, Mapping[ChunkLevel, WindowSize]] = {
    Domain.GENERIC: DEFAULT_WINDOWS,
    Domain.FACTORY: _windows((2.5, 4), (10.0, 12), (45.0, 16)),
    Domain.SURVEILLANCE: _windows((4.0, 2), (16.0, 12), (64.0, 16)),
    Domain.SPORTS: _windows((3.0, 5), (12.0, 12), (45.0, 16)),
}


LONGEST_MICRO_SEC = max(sizes[ChunkLevel.MICRO].length_sec for sizes in WINDOWS.values())


def chunk_producer(domain: Domain, stills: Producer) -> Producer:
    """What decides about the chunks of a video and their vectors."""
    sizes = {
        str(level): f"{size.length_sec}/{size.stride_sec}/{size.keyframe_count}"
        for level, size in WINDOWS[domain].items()
    }
    settings = (*sorted(sizes.items()), ("stills", stills.fingerprint))
    return Producer("chunks", _VERSION, settings)
