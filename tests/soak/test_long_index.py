"""Two hours of footage are indexed in the memory of ten minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.footage import repeated, small_sample
from benchmarks.vigil import peak_megabytes

pytestmark = pytest.mark.soak

GROWTH_LIMIT = 1.05


def test_peak_memory_of_an_index_is_flat_from_ten_minutes_to_two_hours(tmp_path: Path) -> None:
    sample = small_sample(tmp_path)
    short = peak_megabytes(repeated(sample, 15))
    long = peak_megabytes(repeated(sample, 180))
    assert long <= GROWTH_LIMIT * short, f"10 min need {short:.0f} MB, 2 h {long:.0f} MB"
