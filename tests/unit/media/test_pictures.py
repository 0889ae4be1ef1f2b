"""Windows of a video and the pictures that stand for them: cover, choice, file, early entry."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError, StoreError
from sopilot.core.records import Limits
from sopilot.core.timespan import TimeSpan
from sopilot.media.cut import CutClip
from sopilot.media.decode import run_pass, run_span
from sopilot.media.encode import VideoWriter
from sopilot.media.pictures import PictureFile, PicturePlan, PictureStrip
from sopilot.media.probe import probe

FPS = 20.0
LIMITS = Limits(10**8, 1e5, 0.0)


def grey_of(index: int) -> int:
    """The brightness of frame `index`: every second its own, so that a wrong time shows."""
    return 20 + 8 * int(index / FPS)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("video") / "steps.mp4")


def written(path: Path) -> Path:
    with VideoWriter(path, (96, 64), fps=FPS, gop_frames=25) as writer:
        for index in range(int(20 * FPS)):
            writer.write(np.full((64, 96, 3), grey_of(index), np.uint8))
    return path


def taken(video: Path, plan: PicturePlan, folder: Path, *, in_spans: bool = False) -> PictureFile:
    info = probe(video, LIMITS, "0" * 64)
    strip = PictureStrip(folder / "pictures", plan)
    if in_spans:
        for span in plan.reach():
            run_span(video, info, span, [strip])
    else:
        run_pass(video, info, [strip])
    strip.close()
    return PictureFile(folder / "pictures")


@given(
    duration=st.floats(0.05, 200),
    window=st.floats(0.3, 30),
    rate=st.floats(4, 30),
    count=st.integers(1, 12),
)
def test_windows_cover_the_video_without_gap(
    duration: float, window: float, rate: float, count: int
) -> None:
    windows = PicturePlan(rate, window, count).windows(duration)
    assert windows[0].span.start_sec == 0.0
    assert windows[-1].span.end_sec == duration
    for one, two in itertools.pairwise(windows):
        assert (two.index, two.span.start_sec) == (one.index + 1, one.span.end_sec)


def test_a_full_window_has_its_first_and_last_sample() -> None:
    plan = PicturePlan(10.0, 1.5, 5)
    chosen = [k for k in range(15, 30) if plan.window_of(k) == 1]
    assert chosen == [15, 19, 22, 25, 29]
    assert [k for k in range(60) if PicturePlan(10.0, 2.0, 4).window_of(k) == 0] == [0, 6, 13, 19]


@given(window=st.floats(0.3, 30), first=st.integers(0, 400), count=st.integers(1, 3))
def test_spans_that_end_with_windows_reach_no_further(
    window: float, first: int, count: int
) -> None:
    spans = tuple((k * window, (k + 1) * window) for k in range(first, first + count))
    plan = PicturePlan(30.0, window / 2, 3, spans=spans)
    asked = [window.index for window in plan.windows((first + count + 2) * window)]
    assert asked == [*range(2 * first, 2 * (first + count))]
    (reach,) = plan.reach()
    assert (reach.start_sec, reach.end_sec) == pytest.approx((spans[0][0], spans[-1][1]))


def test_a_window_without_a_sample_is_refused() -> None:
    with pytest.raises(InputError, match="longer"):
        PicturePlan(1.0, 0.5, 3)


def test_pictures_are_those_of_their_times(video: Path, tmp_path: Path) -> None:
    import cv2

    plan = PicturePlan(10.0, 1.5, 5)
    pictures = taken(video, plan, tmp_path)
    for window in plan.windows(20.0):
        for shown in pictures.of(window.index):
            assert window.span.start_sec <= shown.frame.time_sec < window.span.end_sec
            data = np.frombuffer(shown.frame.jpeg, np.uint8)
            grey = float(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).mean())
            assert abs(grey - grey_of(round(shown.frame.time_sec * FPS))) < 4
    assert pictures.picture_count == 13 * 5 + 2  # the tail of half a second has two of the five


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
def test_an_early_entry_gives_the_same_pictures(ending: str, tmp_path: Path) -> None:
    """MPEG-TS begins at a stamp of its own; some containers lead to a frame behind the start."""
    video = written(tmp_path / f"steps.{ending}")
    spans = ((7.6, 8.1), (13.0, 13.2))
    plan = PicturePlan(10.0, 0.75, 4, spans=spans)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, entered = (
        taken(video, plan, tmp_path / name, in_spans=name == "b") for name in ("a", "b")
    )
    windows = plan.windows(20.0)
    assert [window.index for window in windows] == [10, 17]
    for window in windows:
        assert len(whole.of(window.index)) == 4
        for one, two in zip(whole.of(window.index), entered.of(window.index), strict=True):
            assert (one.frame.time_sec, one.sha256) == (two.frame.time_sec, two.sha256)


def test_the_same_video_gives_the_same_file(video: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        taken(video, PicturePlan(4.0, 2.0, 3), tmp_path / name).close()
        made.append((tmp_path / name / "pictures").read_bytes())
    assert made[0] == made[1]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_bytes(b"torn")
    with pytest.raises(StoreError, match="analyse the video again"):
        PictureFile(tmp_path / "pictures")


def test_a_cut_clip_shows_its_span(video: Path, tmp_path: Path) -> None:
    info = probe(video, LIMITS, "0" * 64)
    span = TimeSpan(9.0, 11.0)
    clip = CutClip(tmp_path / "clip.mp4", info, span)
    run_span(video, info, span, [clip])
    clip.close()
    found = probe(tmp_path / "clip.mp4", LIMITS, "0" * 64)
    assert found.duration_sec == pytest.approx(2.0, abs=0.06)
    assert clip.frame_count == 40
