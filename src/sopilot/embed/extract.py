"""Features of one file in one pass, for benchmarks and experiments; the service computes them in
the pass that ingest makes anyway."""

from __future__ import annotations

from pathlib import Path

from sopilot.core.records import Limits, Role
from sopilot.embed.base import Embedder, VideoFeatures
from sopilot.embed.color_motion import ColorMotionEmbedder
from sopilot.media.decode import run_pass
from sopilot.media.probe import probe

_NO_LIMITS = Limits(max_pixels=2**31, max_duration_sec=1e6, min_duration_sec=0.0)


def extract(
    path: Path, role: Role = Role.TRAINEE, embedder: Embedder | None = None
) -> VideoFeatures:
    """Decode `path` once and return its features. Raises what probe and run_pass raise."""
    info = probe(path, _NO_LIMITS, sha256="")
    consumer = (embedder or ColorMotionEmbedder()).consumer(info, role)
    summary = run_pass(path, info, [consumer])
    return consumer.finish(summary.duration_sec)
