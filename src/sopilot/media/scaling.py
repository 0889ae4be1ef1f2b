"""Picture sizes that keep the aspect ratio."""

from __future__ import annotations


def fit_size(width_px: int, height_px: int, longer_side_px: int) -> tuple[int, int]:
    """(width, height) scaled down so that the longer side is at most longer_side_px; never up."""
    ratio = min(1.0, longer_side_px / max(width_px, height_px))
    return max(1, round(width_px * ratio)), max(1, round(height_px * ratio))
