"""Measured changes of made videos whose truth is known, and of arrays that are no change at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sopilot.core.errors import StoreError
from sopilot.core.records import Limits
from sopilot.core.timespan import TimeSpan
from sopilot.media.decode import run_pass
from sopilot.media.encode import VideoWriter
from sopilot.media.probe import probe
from sopilot.media.shots import ShotMeter
from sopilot.media.signals import SignalMeter, Signals
from sopilot.vlm.signal import SignalEvent, SignalType, signal_events, window_scores

FPS = 24.0
SIZE = (256, 144)
Scene = Callable[[float, np.random.Generator], NDArray[np.uint8]]


def background(seed: int = 1) -> NDArray[np.uint8]:
    dice = np.random.default_rng(seed)
    small = dice.integers(60, 190, (18, 32, 3)).astype(np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))


WALL = background()


def block(pixels: NDArray[np.uint8], x: float, size: int = 24) -> None:
    left = int(x) % (SIZE[0] - size)
    pixels[60 : 60 + size, left : left + size] = (240, 240, 240)


def worker(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    """Something always moves, with noise of a camera on top."""
    pixels = WALL.copy()
    block(pixels, 60 + 50 * np.sin(2.2 * time_sec))
    noise = dice.normal(0, 2, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def burst(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    pixels = worker(time_sec, dice)
    if 6.0 <= time_sec < 6.8:
        for offset in range(6):
            block(pixels, 900 * time_sec + 40 * offset, 40)
    return pixels


def flash(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    pixels = worker(time_sec, dice)
    if 5.0 <= time_sec < 5.4:
        return np.clip(pixels.astype(int) + 70, 0, 255).astype(np.uint8)
    return pixels


def lights_off(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    pixels = worker(time_sec, dice)
    return (pixels * (0.08 if time_sec >= 5.0 else 1.0)).astype(np.uint8)


def knock(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    pixels = worker(time_sec, dice)
    return np.roll(pixels, 14, axis=1) if time_sec >= 3.0 else pixels


def freezes(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    pixels = WALL.copy()
    moving_sec = min(time_sec, 6.0) if time_sec < 11.0 else time_sec
    for offset in range(3):
        block(pixels, 200 * moving_sec + 70 * offset)
    noise = dice.normal(0, 0.5, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def still(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    del time_sec
    return np.clip(WALL + dice.normal(0, 3, WALL.shape), 0, 255).astype(np.uint8)


def black(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    del time_sec, dice
    return np.zeros_like(WALL)


def noise(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    del time_sec
    return dice.integers(0, 255, WALL.shape).astype(np.uint8)


def cut(time_sec: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    wall = WALL if time_sec < 5.0 else background(7)
    return np.clip(wall + dice.normal(0, 2, wall.shape), 0, 255).astype(np.uint8)


def measured(
    scene: Scene, folder: Path, length_sec: float = 12.0
) -> tuple[Signals, tuple[SignalEvent, ...]]:
    path = folder / "scene.mp4"
    dice = np.random.default_rng(3)
    with VideoWriter(path, SIZE, fps=FPS) as writer:
        for index in range(int(length_sec * FPS)):
            writer.write(scene(index / FPS, dice))
    info = probe(path, Limits(10**8, 1e4, 0.0), "0" * 64)
    meter, shots = SignalMeter(), ShotMeter()
    summary = run_pass(path, info, [meter, shots])
    signals = meter.finish(summary.duration_sec)
    return signals, signal_events(signals, shots.finish(summary.duration_sec))


@pytest.mark.parametrize(
    ("scene", "kind", "start_sec", "end_sec"),
    [
        (burst, SignalType.UNUSUAL_MOTION, 6.0, 6.8),
        (flash, SignalType.LIGHT_CHANGE, 5.0, 5.4),
        (lights_off, SignalType.LIGHT_CHANGE, 5.0, 5.2),
        (knock, SignalType.CAMERA_MOVED, 3.0, 3.2),
        (freezes, SignalType.STILLNESS, 6.0, 11.0),
    ],
)
def test_a_change_is_found_where_it_is(
    scene: Scene, kind: SignalType, start_sec: float, end_sec: float, tmp_path: Path
) -> None:
    _, found = measured(scene, tmp_path)
    (event,) = [item for item in found if item.type is kind]
    assert event.span.start_sec == pytest.approx(start_sec, abs=0.4)
    assert event.span.end_sec == pytest.approx(end_sec, abs=0.75)
    assert event.span.overlap_sec(event.highlight) == pytest.approx(event.highlight.duration_sec)
    at_the_end = event.percentile < 60 if kind is SignalType.STILLNESS else event.percentile > 90
    assert at_the_end
    assert {item.type for item in found} == {kind}


@pytest.mark.parametrize("scene", [worker, still, black, noise, cut])
def test_what_goes_on_as_usual_is_no_event(scene: Scene, tmp_path: Path) -> None:
    assert measured(scene, tmp_path)[1] == ()


def test_the_conspicuous_window_ranks_first(tmp_path: Path) -> None:
    signals, _ = measured(burst, tmp_path)
    spans = [TimeSpan(1.5 * index, 1.5 * (index + 1)) for index in range(8)]
    scores = window_scores(signals, spans)
    assert int(np.argmax(scores)) == 4
    assert ((scores >= 0) & (scores <= 1)).all()


def test_signals_survive_their_file(tmp_path: Path) -> None:
    signals, found = measured(flash, tmp_path, 7.0)
    meter = SignalMeter()
    for index, name in enumerate(("one", "two")):
        del index
        meter = SignalMeter()
        for value in (10, 200, 200):
            meter.take(0.0, np.full((90, 160), value, np.uint8))
        meter.write(tmp_path / name, 1.5)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    again = Signals.from_file(tmp_path / "one")
    assert again.light.tolist() == [0.0, 190.0, 0.0]
    assert again.motion.tolist() == [0.0, 0.0, 0.0]
    assert again.duration_sec == 1.5
    assert found == signal_events(signals, ())
    (tmp_path / "one").write_bytes(b"torn")
    with pytest.raises(StoreError, match="ingest the video again"):
        Signals.from_file(tmp_path / "one")


def made_of(motion: list[float]) -> Signals:
    count = len(motion)
    zeros = np.zeros(count, np.float32)
    return Signals(
        times_sec=np.arange(count) / 8.0,
        motion=np.array(motion, np.float32),
        changed=zeros,
        luma=zeros + 100,
        light=zeros,
        shift=zeros,
        alike=zeros + 1,
        duration_sec=count / 8.0,
    )


@given(st.lists(st.floats(0, 60, width=32), min_size=1, max_size=200))
def test_events_lie_in_the_video_apart_and_in_order(motion: list[float]) -> None:
    signals = made_of(motion)
    found = signal_events(signals, ())
    for kind in SignalType:
        spans = [event.span for event in found if event.type is kind]
        assert spans == sorted(spans)
        for one, two in itertools.pairwise(spans):
            assert one.end_sec <= two.start_sec
    for event in found:
        assert 0 <= event.span.start_sec <= event.span.end_sec <= signals.duration_sec
        assert 0 <= event.percentile <= 100


@given(st.integers(30, 70), st.floats(-20, 20))
def test_a_later_burst_is_found_as_much_later_at_any_brightness(
    start: int, brighter: float
) -> None:
    motion = [1.0] * 120
    motion[start : start + 5] = [30.0] * 5
    signals = made_of(motion)
    (event,) = signal_events(replace(signals, luma=signals.luma + np.float32(brighter)), ())
    assert event.span.start_sec == pytest.approx((start - 1) / 8)
    assert event.span.end_sec == pytest.approx((start + 5) / 8)


@pytest.mark.parametrize("shift", [(4, 0), (0, 6), (-8, 4), (10, -6)])
def test_a_shift_is_measured_to_within_a_pixel(shift: tuple[int, int]) -> None:
    from sopilot.media.signals import _shift

    texture = cv2.GaussianBlur(background(4)[:, :, 0][:130, :230], (0, 0), 2)
    before = np.ascontiguousarray(texture[20:110, 30:190])
    dx, dy = shift
    now = np.ascontiguousarray(texture[20 - dy : 110 - dy, 30 - dx : 190 - dx])
    assert _shift(before, now) == pytest.approx(shift, abs=1)
    assert _shift(before, before.copy()) == (0, 0)
