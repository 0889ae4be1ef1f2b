"""Retakes and hopeless recordings show what their names say."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.verdicts.baselines import (
    ColourRows,
    colour_score,
    describe,
    duration_score,
    warping_cost,
)
from benchmarks.verdicts.copies import ABUSES, HARMLESS, Abuse, Copy
from benchmarks.verdicts.retake import Retake, draw_retake, frames, rate_of, record

FPS, COUNT = 10.0, 30


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds; a bright bar wanders from left to right over a dark ground."""
    path = tmp_path_factory.mktemp("retake") / "film.mp4"
    record(scene(), FPS, path, Retake("as filmed", crf=10))
    return path


def scene() -> list[np.ndarray]:
    pictures = []
    for index in range(COUNT):
        picture = np.full((36, 64, 3), 60, np.uint8)
        picture[:, 2 * index : 2 * index + 4] = 200
        pictures.append(picture)
    return pictures


def shown(film: Path, target: Path, retake: Retake) -> list[np.ndarray]:
    Copy(film, retake)(target)
    return list(frames(target))


def bar_at(picture: np.ndarray) -> float:
    """Where the bar is, as a share of the width."""
    level = picture.mean(axis=(0, 2)).astype(np.float64)
    return float(np.flatnonzero(level > 0.75 * level.max()).mean() / picture.shape[1])


@pytest.mark.parametrize("fps", [8.0, 10.0, 12.0, 25.0, 60.0])
def test_another_rate_shows_the_same_in_the_same_time(
    film: Path, tmp_path: Path, fps: float
) -> None:
    pictures = shown(film, tmp_path / "x.mp4", Retake("rate", fps=fps))
    assert rate_of(tmp_path / "x.mp4") == pytest.approx(fps)
    assert len(pictures) == pytest.approx(COUNT / FPS * fps, abs=1)
    middle = pictures[round(1.5 * fps)]
    assert bar_at(middle) == pytest.approx(bar_at(scene()[15]), abs=0.05)


@pytest.mark.parametrize(("speed", "count"), [(0.8, 37.5), (1.2, 25)])
def test_speed_changes_the_length(film: Path, tmp_path: Path, speed: float, count: float) -> None:
    pictures = shown(film, tmp_path / "x.mp4", Retake("speed", speed=speed))
    assert len(pictures) == pytest.approx(count, abs=1)


def test_size_mirror_and_shift(film: Path, tmp_path: Path) -> None:
    half = shown(film, tmp_path / "half.mp4", Retake("half", size=(0.5, 0.5)))
    assert half[0].shape == (18, 32, 3)
    mirrored = shown(film, tmp_path / "mirrored.mp4", Retake("mirrored", is_mirrored=True))
    moved = shown(film, tmp_path / "moved.mp4", Retake("moved", shift=(0.1, 0.0)))
    place = bar_at(scene()[10])
    assert bar_at(mirrored[10]) == pytest.approx(1 - place, abs=0.04)
    assert bar_at(moved[10]) == pytest.approx(place + 0.1, abs=0.04)


def test_a_lead_in_holds_the_first_picture_and_is_never_quite_still(
    film: Path, tmp_path: Path
) -> None:
    pictures = shown(film, tmp_path / "x.mp4", Retake("lead-in", lead_in_sec=2.0, crf=18))
    assert len(pictures) == COUNT + 20
    assert all(bar_at(picture) < 0.1 for picture in pictures[:20])
    changes = [np.mean(a != b) for a, b in pairwise(pictures[:20])]
    assert min(changes) > 0.1


def test_a_retake_is_the_same_every_time(film: Path, tmp_path: Path) -> None:
    retake = draw_retake(np.random.default_rng(3), 0)
    assert retake == draw_retake(np.random.default_rng(3), 0)
    for name in ("a", "b"):
        Copy(film, retake)(tmp_path / f"{name}.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_harmless_copies_have_names_of_their_own() -> None:
    assert len({retake.name for retake in HARMLESS}) == len(HARMLESS)


@pytest.mark.parametrize("kind", ABUSES)
def test_a_hopeless_recording_is_as_long_as_its_source(
    film: Path, tmp_path: Path, kind: str
) -> None:
    Abuse(film, kind)(tmp_path / "x.mp4")
    assert len(list(frames(tmp_path / "x.mp4"))) == COUNT


def test_hopeless_recordings_show_another_order_or_nothing() -> None:
    pictures = scene()
    places = [bar_at(picture) for picture in pictures]
    assert [bar_at(picture) for picture in ABUSES["reversed"](pictures)] == places[::-1]
    mixed = [bar_at(picture) for picture in ABUSES["shuffled"](pictures)]
    assert sorted(mixed) == sorted(places)
    assert mixed != places
    assert {bar_at(picture) for picture in ABUSES["static"](pictures)} == {places[10]}


def test_the_baseline_describes_clips_of_four_seconds() -> None:
    rows = ColourRows()
    for picture in scene():
        rows.take(0.0, picture)
    # 30 pictures at 4 fps: one clip of 16, and a rest of 14.
    assert np.load(io.BytesIO(rows.finish())).shape == (2, 12)
    numbers = describe(np.stack(scene()).astype(np.float32) / 255)
    assert numbers[0] == pytest.approx(numbers[10], abs=1e-3)
    assert (numbers[6:9] > 0).all()


@pytest.mark.parametrize(
    ("cost", "mean"),
    [([[0.0]], 0.0), ([[1.0, 5.0], [5.0, 1.0]], 1.0), ([[1.0, 1.0, 5.0], [5.0, 5.0, 1.0]], 1.0)],
)
def test_the_baseline_warps_along_the_cheapest_path(cost: list[list[float]], mean: float) -> None:
    assert warping_cost(np.array(cost)) == pytest.approx(mean)


def test_baseline_scores() -> None:
    rows = np.eye(12, dtype=np.float32)[:3]
    assert colour_score(rows, rows) == 100.0
    assert colour_score(rows, rows[::-1]) < 100.0
    assert colour_score(rows, rows[:0]) == 0.0
    assert (duration_score(60, 30), duration_score(30, 60), duration_score(0, 0)) == (50, 50, 0)
