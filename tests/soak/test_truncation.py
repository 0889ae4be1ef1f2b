"""A video cut off at every byte: a typed error or a valid result, and nothing left behind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from sopilot.core.config import load_settings
from sopilot.core.errors import InputError, MediaError, SopilotError
from sopilot.core.records import Actor, Role, no_progress
from sopilot.embed.base import VideoFeatures
from sopilot.embed.open import COLOR_MOTION
from sopilot.jobs.loop import run_until_finished
from sopilot.jobs.records import JobState
from sopilot.library.add import Upload, add_file
from sopilot.library.analyze import analysis_arguments, analyze
from sopilot.media.encode import VideoWriter
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.tasks import task_opener
from sopilot.store.tables import derived, videos
from sopilot.worker import kinds_of

pytestmark = pytest.mark.soak

SIZE_PX, FPS, LENGTH_SEC = (96, 64), 5.0, 4.0
BLOCKS = 24
"""The byte range is shared out to this many tests, so that xdist can spread them."""
WHOLE_WAY_POINTS = 12


def write_video(path: Path, *, index_first: bool) -> bytes:
    """A few kilobytes of moving picture."""
    random = np.random.default_rng(5)
    ground = random.integers(40, 210, (SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
    with VideoWriter(path, SIZE_PX, fps=FPS, crf=38, gop_frames=10, faststart=index_first) as out:
        for frame in range(int(FPS * LENGTH_SEC)):
            picture = np.roll(ground, 3 * frame, axis=1)
            picture[20:40, 3 * frame : 3 * frame + 16] = (30, 220, 90)
            out.write(picture)
    return path.read_bytes()


@pytest.fixture(scope="module", params=[True, False], ids=["index first", "index last"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    return write_video(path, index_first=bool(request.param))


def arguments(path: Path, folder: Path) -> dict[str, Any]:
    settings = load_settings(data_dir=folder)
    return analysis_arguments(
        settings,
        path,
        name="cut.mp4",
        sha256="0" * 64,
        role=Role.TRAINEE,
        folder=folder,
        backend=COLOR_MOTION,
    )


def try_analyze(path: Path, folder: Path) -> dict[str, Any] | SopilotError:
    """The report, or what the file is refused with; any other exception fails the test."""
    try:
        return analyze(arguments(path, folder), no_progress)
    except (InputError, MediaError) as error:
        return error


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_byte(whole: bytes, block: int, tmp_path: Path) -> None:
    size = math.ceil(len(whole) / BLOCKS)
    path, folder = tmp_path / "cut.mp4", tmp_path / "out"
    folder.mkdir()
    for end in range(block * size, min(len(whole), (block + 1) * size)):
        path.write_bytes(whole[:end])
        outcome = try_analyze(path, folder)
        if isinstance(outcome, SopilotError):
            assert len(outcome.message) > 20, f"cut at {end}: {outcome.message!r}"
            assert list(folder.iterdir()) == [], f"cut at {end}"
            continue
        features = VideoFeatures.from_bytes((folder / "features").read_bytes())
        assert features.clip_count >= 1, f"cut at {end}"
        assert outcome["duration_sec"] >= 0.7 * LENGTH_SEC, f"cut at {end}"
        for left in folder.iterdir():
            left.unlink()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    opened = open_runtime(load_settings(data_dir=tmp_path / "data"))
    yield opened
    close_runtime(opened)


def test_cut_files_on_the_whole_way_leave_nothing(
    whole: bytes, runtime: Runtime, tmp_path: Path
) -> None:
    for end in np.linspace(1, len(whole) // 2, WHOLE_WAY_POINTS).astype(int):
        path = tmp_path / f"cut-{end}.mp4"
        path.write_bytes(whole[:end])
        added = add_file(
            runtime,
            path,
            Upload("pilot_task", Role.TRAINEE),
            open_task=task_opener(runtime.settings),
            by=Actor("soak"),
        )
        done = run_until_finished(runtime.database, kinds_of(runtime), added.job.id)
        assert done.state is JobState.FAILED
        assert done.error_code
    with runtime.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(derived)) == 0
        assert set(connection.scalars(select(videos.c.status))) == {"failed"}
    left = [item for item in (tmp_path / "data").rglob("*") if item.is_file()]
    assert [item.name for item in left if not item.name.startswith("sopilot.db")] == []
