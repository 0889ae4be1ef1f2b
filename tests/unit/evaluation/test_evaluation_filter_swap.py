"""The drawn filter change: what its films show, and that they are the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sopilot.core.errors import InputError
from sopilot.core.records import Limits
from sopilot.evaluation.filter_swap import (
    PLANS,
    RATE_FPS,
    SIZE_PX,
    Act,
    frames,
    write_film,
)
from sopilot.media.probe import probe


@pytest.mark.parametrize("name", PLANS)
def test_a_film_lasts_as_long_as_the_gold(name: str) -> None:
    assert sum(length for _, length in PLANS[name]) == pytest.approx(4.0)
    assert sum(1 for _ in frames(PLANS[name], 16.0)) == round(16.0 * RATE_FPS)


def test_every_step_leaves_its_mark() -> None:
    """The lamp is lit only after the check, the new filter lies in the seat only after the swap."""
    quarter = round(4.0 * RATE_FPS)
    shown = list(frames(PLANS["gold"], 16.0))
    ends = [shown[(k + 1) * quarter - 1].astype(int) for k in range(4)]
    lamps = [end[64, 190] for end in ends]
    assert (lamps[3] - lamps[0])[1] > 100
    assert np.abs(lamps[2] - lamps[0]).max() < 30
    brightest = [end[84:97, 150:170].max() for end in ends]
    assert brightest[1] < 200 < brightest[2]
    forced = list(frames(PLANS["deviation"], 16.0))
    assert np.abs(forced[-1][84:97, 150:170].astype(int) - shown[-1][84:97, 150:170]).max() > 100
    assert all(np.array_equal(a, b) for a, b in zip(shown[: 2 * quarter], forced, strict=False))


def test_a_written_film_is_what_the_contract_says(tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    for path in (one, two):
        write_film(path, ((Act.REMOVE, 1.0),), 16.0)
    assert one.read_bytes() == two.read_bytes()
    made = probe(one, Limits(10**6, 300.0, 1.0))
    assert (made.width_px, made.height_px) == SIZE_PX
    assert made.duration_sec == pytest.approx(16.0, abs=0.1)


@pytest.mark.parametrize("duration_sec", [15.9, 241.0, float("nan")])
def test_another_length_is_refused(tmp_path: Path, duration_sec: float) -> None:
    with pytest.raises(InputError, match="give 16 to 240 seconds"):
        write_film(tmp_path / "film.mp4", PLANS["gold"], duration_sec)
    assert not list(tmp_path.iterdir())
