"""Clips, chunks, shots: every way of cutting a video covers it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from media_clips import LIMITS, texture, write_clip

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan
from sopilot.media.chunks import ChunkLevel, cut_chunks
from sopilot.media.clips import clip_spans
from sopilot.media.decode import run_pass
from sopilot.media.probe import probe
from sopilot.media.shots import ShotMeter

seconds = st.floats(0.05, 400.0)


@given(duration=seconds, window=st.floats(0.2, 60.0), overlap=st.floats(0.05, 1.0))
@example(duration=1.00001, window=0.5, overlap=1.0)
@example(duration=360.0156, window=2.0, overlap=0.5)
def test_clips_cover_the_video_and_overlap(duration: float, window: float, overlap: float) -> None:
    spans = clip_spans(duration, window, window * overlap)
    assert spans[0, 0] == 0.0
    assert spans[-1, 1] == pytest.approx(duration)
    assert np.all(np.diff(spans[:, 0]) > 0)
    assert np.all(spans[1:, 0] <= spans[:-1, 1] + 1e-6)
    assert np.allclose(spans[:, 1] - spans[:, 0], min(window, duration))


@pytest.mark.parametrize(
    ("duration", "window", "hop"), [(0.0, 1.0, 0.5), (5.0, 1.0, 0.0), (5.0, 1.0, 1.5)]
)
def test_impossible_clips_are_refused(duration: float, window: float, hop: float) -> None:
    with pytest.raises(InputError, match="0 < hop"):
        clip_spans(duration, window, hop)


@given(duration=seconds)
def test_chunks_cover_the_video_at_every_level(duration: float) -> None:
    chunks = cut_chunks(duration, [TimeSpan(0.0, duration)])
    for level in ChunkLevel:
        spans = [chunk.span for chunk in chunks if chunk.level == level]
        assert spans[0].start_sec == 0.0
        assert spans[-1].end_sec == pytest.approx(duration)
        for before, after in pairwise(spans):
            assert after.start_sec <= before.end_sec + 1e-6


def test_a_short_video_has_a_chunk_at_every_level() -> None:
    chunks = cut_chunks(5.0, [TimeSpan(0.0, 5.0)])
    levels = [chunk.level for chunk in chunks]
    assert levels.count(ChunkLevel.MACRO) == levels.count(ChunkLevel.MESO) == 1
    assert levels.count(ChunkLevel.MICRO) == 3
    macro = chunks[-1]
    assert len(macro.keyframes_sec) == 16
    assert 0 < macro.keyframes_sec[0] < macro.keyframes_sec[-1] < 5.0


@pytest.mark.parametrize(("duration", "count"), [(119.0, 1), (120.0, 1), (121.0, 2), (7200.0, 60)])
def test_a_long_shot_is_split_into_equal_parts(duration: float, count: int) -> None:
    chunks = cut_chunks(duration, [TimeSpan(0.0, duration)])
    spans = [chunk.span for chunk in chunks if chunk.level is ChunkLevel.SHOT]
    assert len(spans) == count
    assert {round(span.duration_sec, 6) for span in spans} == {round(duration / count, 6)}
    assert spans[-1].end_sec == duration


def shots_of(path: Path) -> list[float]:
    info, meter = probe(path, LIMITS), ShotMeter()
    summary = run_pass(path, info, [meter])
    shots = meter.finish(summary.duration_sec)
    assert shots[-1].end_sec == pytest.approx(summary.duration_sec)
    return [shot.start_sec for shot in shots]


def test_cuts_are_found_at_their_frame(tmp_path: Path) -> None:
    scenes = [texture(160, 96, seed) // shade for seed, shade in ((1, 1), (2, 3), (3, 1))]
    frames = [np.roll(scenes[index // 25], 2 * index, axis=1) for index in range(75)]
    path = write_clip(tmp_path / "c.mp4", frames, fps=25)
    assert shots_of(path) == pytest.approx([0.0, 1.0, 2.0], abs=0.01)


def test_a_slow_fade_and_fast_motion_are_no_cuts(tmp_path: Path) -> None:
    scene = texture(160, 96)
    fade = [(scene * (1 - index / 80)).astype(np.uint8) for index in range(60)]
    motion = [np.roll(scene, 40 * index, axis=1) for index in range(60)]
    assert shots_of(write_clip(tmp_path / "f.mp4", fade, fps=25)) == [0.0]
    assert shots_of(write_clip(tmp_path / "m.mp4", motion, fps=25)) == [0.0]
