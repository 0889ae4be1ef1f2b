"""The whole descriptor on synthetic frames: stable where it must be, finite where it is hard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from embed_scenes import HEIGHT, SCENE, WIDTH, Picture, features_of, fed, info
from numpy.typing import NDArray

from sopilot.core.errors import NoFrames
from sopilot.core.records import Role
from sopilot.embed.activity import activity_of
from sopilot.embed.base import VideoFeatures
from sopilot.embed.color_motion import analysis_size
from sopilot.embed.rerecording import draw_rerecording

RNG = np.random.default_rng(12)
BASE = features_of(SCENE)
GOLD = features_of(SCENE, Role.GOLD)


def likeness(one: NDArray[np.float32], other: NDArray[np.float32], floor: float) -> float:
    """Median cosine of corresponding clips, each video centred on itself."""
    a, b = ((block - block.mean(axis=0)) / (one.std(axis=0) + floor) for block in (one, other))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return float(np.median(cosines))


def shifted(picture: Picture) -> Picture:
    return np.roll(picture, (0, 6), axis=(0, 1))


def noisy(picture: Picture) -> Picture:
    return np.clip(picture + RNG.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


CHANGES: list[tuple[str, Callable[[Picture], Picture]]] = [
    ("shift", shifted),
    ("darker", lambda picture: (picture * 0.85).astype(np.uint8)),
    ("brighter", lambda picture: np.clip(picture * 1.15, 0, 255).astype(np.uint8)),
    ("noise", noisy),
    ("coded", lambda picture: cv2.imdecode(cv2.imencode(".jpg", picture, (1, 80))[1], 1)),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_another_recording_of_the_same_work_looks_the_same(
    name: str, change: Callable[[Picture], Picture]
) -> None:
    other = features_of(map(change, SCENE))
    assert likeness(BASE.block("crop"), other.block("crop"), 0.03) > 0.8
    assert likeness(BASE.block("layout"), other.block("layout"), 0.02) > 0.9
    assert likeness(BASE.block("crop"), other.block("crop")[::-1], 0.03) < 0.4


def test_clips_are_1_6_s_every_0_6_s() -> None:
    assert BASE.clip_count == len(BASE.block("crop")) == len(BASE.energy)
    assert np.allclose(BASE.clip_spans[:, 0], np.arange(BASE.clip_count) * 0.6)
    assert np.allclose(np.diff(BASE.clip_spans, axis=1), 1.6)
    assert BASE.duration_sec - BASE.clip_spans[-1, 1] < 0.7
    assert BASE.block("crop").shape[1] == 4200
    assert BASE.block("layout").shape[1] == 432


def test_the_same_frames_give_the_same_bytes() -> None:
    assert features_of(SCENE).to_bytes() == BASE.to_bytes()


def test_a_freeze_is_cut_out_and_clips_keep_original_time() -> None:
    frozen = features_of([*SCENE[:60], *[SCENE[59]] * 40, *SCENE[60:]])
    assert [span.as_list() for span in frozen.freezes] == [[5.9, 10.0]]
    assert frozen.clip_count == BASE.clip_count
    assert frozen.clip_spans[-1, 1] == pytest.approx(BASE.clip_spans[-1, 1] + 4.0)
    assert likeness(BASE.block("crop"), frozen.block("crop"), 0.03) > 0.99


HARD: dict[str, list[Picture]] = {
    "one frame": SCENE[:1],
    "shorter than a window": SCENE[:7],
    "all frozen": [SCENE[0]] * 50,
    "black": [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 30,
    "noise": [RNG.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(30)],
}


@pytest.mark.parametrize("name", HARD)
def test_hard_videos_still_give_finite_features(name: str) -> None:
    made = features_of(HARD[name])
    assert made.clip_count >= 1
    assert made.clip_spans.min() >= 0
    assert made.clip_spans.max() <= made.duration_sec + 1e-9
    assert bool(made.freezes) == (name in {"all frozen", "black"})


def test_a_wholly_frozen_video_has_clips_over_its_whole_length() -> None:
    made = features_of(HARD["all frozen"])
    assert made.freezes[0].as_list() == [0.0, 5.0]
    assert (made.clip_spans[0, 0], made.clip_spans[-1, 1]) == (0.0, 5.0)
    assert made.clip_count > 4


def test_no_frame_is_an_error() -> None:
    with pytest.raises(NoFrames):
        features_of([])


BLOCKS = ("crop", "layout", "rhythm", "scene")
FRAMED = tuple(f"crop~{number}" for number in range(1, 9))


@pytest.mark.parametrize(
    ("made", "rerecordings", "framings"),
    [(BASE, (), FRAMED[:2]), (GOLD, ("@1", "@2"), FRAMED)],
    ids=["trainee", "gold"],
)
def test_golds_carry_more_views_than_trainees(
    made: VideoFeatures, rerecordings: tuple[str, ...], framings: tuple[str, ...]
) -> None:
    shown = {block + tail for block in BLOCKS for tail in ("", *rerecordings)}
    assert set(made.blocks) == shown | set(framings)
    assert made.framings("crop") == framings
    for block in BLOCKS:
        assert made.rerecordings(block) == tuple(block + tail for tail in rerecordings)


def test_what_a_trainee_carries_is_the_same_in_a_gold() -> None:
    for name in BASE.blocks:
        assert BASE.blocks.half(name).tobytes() == GOLD.blocks.half(name).tobytes()


@pytest.mark.parametrize(
    ("name", "floor", "least"),
    [("crop", 0.03, 0.4), ("layout", 0.02, 0.8), ("rhythm", 0.02, 0.4), ("scene", 1.0, 0.4)],
)
def test_rerecordings_resemble_the_gold(name: str, floor: float, least: float) -> None:
    for other in GOLD.rerecordings(name):
        assert not np.array_equal(GOLD.block(other), GOLD.block(name))
        assert likeness(GOLD.block(name), GOLD.block(other), floor) > least


@pytest.mark.parametrize("name", FRAMED)
def test_framings_resemble_the_same_clips_more_than_others(name: str) -> None:
    own, framed = GOLD.block("crop"), GOLD.block(name)
    others = [likeness(own, np.roll(framed, shift, axis=0), 0.03) for shift in (5, 10, 15)]
    assert likeness(own, framed, 0.03) > 0.1 + max(others)


def test_the_framings_of_every_video_resemble_most() -> None:
    levels = [likeness(GOLD.block("crop"), GOLD.block(name), 0.03) for name in FRAMED]
    assert min(levels[:2]) > max(levels[2:])


def test_a_slow_source_that_repeats_frames_still_moves() -> None:
    slow = features_of([SCENE[index - index % 2] for index in range(len(SCENE))])
    assert slow.freezes == ()
    assert likeness(BASE.block("layout"), slow.block("layout"), 0.02) > 0.9
    assert np.median(np.abs(slow.block("crop")[:, 1764:1908]).sum(axis=1)) > 0.5


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((320, 180), (192, 108)),
        ((1080, 1920), (108, 192)),
        ((101, 77), (142, 108)),
        ((4000, 100), (324, 108)),
    ],
)
def test_the_shorter_side_is_108_px(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert analysis_size(info(*size)) == expected


def test_rerecordings_are_fixed_and_lie_on_either_side() -> None:
    one, again, two = (draw_rerecording(number, WIDTH, HEIGHT) for number in (1, 1, 2))
    assert (one.warp == again.warp).all()
    assert (one.noise == again.noise).all()
    assert one.warp[0, 1] * two.warp[0, 1] < 0


@pytest.mark.parametrize("pictures", [SCENE[:60], [SCENE[0]] * 60], ids=["moving", "frozen"])
def test_written_piece_by_piece_they_are_the_same(pictures: list[Picture], tmp_path: Path) -> None:
    expected = features_of(pictures, Role.GOLD)
    consumer, duration_sec = fed(pictures, Role.GOLD)
    consumer.write(tmp_path / "features", duration_sec, expected.producer)
    assert (tmp_path / "features").read_bytes() == expected.to_bytes()


def test_the_centre_of_movement_does_not_depend_on_where_memory_lies() -> None:
    flow = RNG.normal(0, 3, (108, 192, 2)).astype(np.float32)
    found = set()
    for offset in range(16):
        room = np.empty(flow.size + 32, np.float32)
        moved = room[offset : offset + flow.size].reshape(flow.shape)
        moved[...] = flow
        found.add(activity_of(moved))
    assert len(found) == 1
