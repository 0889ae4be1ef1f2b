"""The sound of a video lies on the video's clock, wherever its track begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sound_films import write_film

from sopilot.media.audio import RATE_HZ, write_sound


def heard(path: Path) -> NDArray[np.int16]:
    return np.fromfile(path, np.int16)


def loud_spans(samples: NDArray[np.int16]) -> list[tuple[float, float]]:
    """Where it is loud, to a twentieth of a second."""
    step = RATE_HZ // 20
    loud = np.abs(samples[: len(samples) // step * step].reshape(-1, step)).max(axis=1) > 2000
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    return [(a / 20, b / 20) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(("late_sec", "suffix"), [(0.0, ".mp4"), (1.5, ".mp4"), (0.7, ".mkv")])
def test_a_tone_is_where_it_was_heard(tmp_path: Path, late_sec: float, suffix: str) -> None:
    path = write_film(tmp_path / f"a{suffix}", 6.0, [(2.0, 3.0), (4.0, 4.5)], sound_from=late_sec)
    target = tmp_path / "sound"
    assert write_sound(path, target, 6.0)
    samples = heard(target)
    assert len(samples) == pytest.approx(6.0 * RATE_HZ, abs=0.1 * RATE_HZ)
    spans = loud_spans(samples)
    assert [a for a, _ in spans] == pytest.approx([2.0, 4.0], abs=0.11)
    assert [b for _, b in spans] == pytest.approx([3.0, 4.5], abs=0.11)


def test_sound_ends_with_the_video(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", 6.0, [(2.0, 3.0)])
    assert write_sound(path, tmp_path / "sound", 2.5)
    assert len(heard(tmp_path / "sound")) == round(2.5 * RATE_HZ)


def test_a_video_without_a_track_has_no_sound(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", 3.0, None)
    assert not write_sound(path, tmp_path / "sound", 3.0)


def test_sound_before_the_damage_is_kept(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", 6.0, [(1.0, 2.0), (5.0, 5.5)])
    data = path.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) // 2])
    assert write_sound(broken, tmp_path / "sound", 6.0)
    assert loud_spans(heard(tmp_path / "sound"))[0][0] == pytest.approx(1.0, abs=0.11)


def test_a_stamp_far_away_fills_no_disk(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", 4.0, [(1.0, 2.0)], sound_from=3.9)
    assert write_sound(path, tmp_path / "sound", 2.0)
    assert len(heard(tmp_path / "sound")) == 2 * RATE_HZ
