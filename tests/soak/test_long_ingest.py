"""An hour of video is ingested in the memory of a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.footage import repeated, sample_720p
from benchmarks.ingest import peak_megabytes

pytestmark = pytest.mark.soak

GROWTH_LIMIT = 1.05


def test_peak_memory_is_flat_from_one_minute_to_sixty(tmp_path: Path) -> None:
    minute = sample_720p(tmp_path)
    short = peak_megabytes(minute)
    hour = peak_megabytes(repeated(minute, 60))
    assert hour <= GROWTH_LIMIT * short, f"1 min needs {short:.0f} MB, 60 min {hour:.0f} MB"
