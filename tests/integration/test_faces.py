"""Real faces from an upload to what viewers get: blurred in every frame, the rest as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from service_parts import add, open_test_runtime, work

from benchmarks.face_clips import Box, Walk, astronaut, ground, write_faces
from sopilot.core.config import load_settings
from sopilot.core.records import Role, VideoInfo, no_progress
from sopilot.embed.open import COLOR_MOTION
from sopilot.jobs.records import JobState
from sopilot.library import analyze as analysis
from sopilot.library import queries
from sopilot.library.analyze import FEATURES, MASKED, SIGNALS
from sopilot.media.decode import PassSummary, run_pass
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.pictures import load_strip
from sopilot.store.derived import list_derived

FPS, COUNT, SIZE_PX = 15.0, 60, (640, 360)
BLUR = {"privacy_mask_enabled": True, "privacy_face_blur": True}
Faces = list[list[Box]]
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Faces]:
    """4 s: a small face walks, a mirrored one moves little, a tilted one is there for 1.5 s."""
    walks = [
        Walk(astronaut().scaled(36), (60, 70), (330, 90)),
        Walk(astronaut().mirrored().scaled(80), (540, 110), (480, 140)),
        Walk(astronaut(25.0).scaled(60), (200, 260), (290, 270), 23, 45),
    ]
    path = tmp_path_factory.mktemp("clips") / "faces.mp4"
    return path, write_faces(path, ground(SIZE_PX), walks, COUNT, FPS)


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path, database_url, **BLUR)
    yield opened
    close_runtime(opened)


def ingest(runtime: Runtime, path: Path) -> dict[str, Path]:
    """Files of the first video by what they are."""
    assert work(runtime, add(runtime, path, Role.TRAINEE).job.id).state is JobState.COMPLETED
    with runtime.database.read() as connection:
        sha256 = queries.get_video(connection, 1).sha256
        rows = list_derived(connection, sha256)
    return {row.kind: runtime.blobs.local_path("derived", row.blob_sha256) for row in rows}


def frames_of(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]


def detail(picture: Picture, box: Box) -> float:
    """Energy of what is finer than a blur leaves, inside the box."""
    x1, y1, x2, y2 = (round(value) for value in box)
    lines = cv2.Laplacian(cv2.GaussianBlur(picture, (3, 3), 0), cv2.CV_32F)
    return float(np.square(lines[max(0, y1) : y2, max(0, x1) : x2]).mean())


def outside(boxes: list[Box], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """What lies more than a face's size away from every face."""
    away = np.ones(shape[:2], bool)
    for x1, y1, x2, y2 in boxes:
        reach = y2 - y1
        top, left = max(0, round(y1 - reach)), max(0, round(x1 - reach))
        away[top : round(y2 + reach), left : round(x2 + reach)] = False
    return away


def check_blurred(plain: Picture, blurred: Picture, boxes: list[Box], around: list[Box]) -> None:
    """Each face has lost its detail; the rest shows what it showed."""
    kept = [detail(blurred, box) / detail(plain, box) for box in boxes]
    assert max(kept, default=0.0) < 0.1, kept
    away = outside(around, plain.shape)
    assert away.mean() > 0.2
    assert np.abs(plain[away].astype(int) - blurred[away]).mean() < 3.0


def test_every_frame_of_the_copy_hides_every_face(
    runtime: Runtime, clip: tuple[Path, Faces]
) -> None:
    path, faces = clip
    stored = ingest(runtime, path)
    plain, blurred = frames_of(path), frames_of(stored[MASKED])
    assert len(plain) == len(blurred) == COUNT
    assert {len(boxes) for boxes in faces} == {2, 3}
    for index, boxes in enumerate(faces):
        near = faces[max(0, index - 20) : index + 8]
        check_blurred(plain[index], blurred[index], boxes, [box for one in near for box in one])


def test_thumbnails_hide_every_face(runtime: Runtime, clip: tuple[Path, Faces]) -> None:
    path, faces = clip
    ingest(runtime, path)
    strip = load_strip(runtime, 1)
    assert strip is not None
    plain = frames_of(path)
    seen = 0
    for time_sec, jpeg in zip(strip.times_sec, strip.jpegs, strict=True):
        small = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert small is not None
        index = round(float(time_sec) * FPS)
        ratio = small.shape[1] / SIZE_PX[0]
        scaled = cv2.resize(plain[index], small.shape[::-1], interpolation=cv2.INTER_AREA)
        for x1, y1, x2, y2 in faces[index]:
            box = (x1 * ratio, y1 * ratio, x2 * ratio, y2 * ratio)
            assert detail(small.astype(np.uint8), box) < 0.2 * detail(scaled.astype(np.uint8), box)
            seen += 1
    assert seen >= 8


class Spy:
    """A consumer that keeps what another one is given."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.taken = inner, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def take(self, time_sec: float, picture: Picture) -> None:
        self.taken.append((time_sec, picture))
        self.inner.take(time_sec, picture)


def pictures_seen(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, role: Role, **settings: Any
) -> list[Spy]:
    """What each consumer of a real analysis was given."""
    spies: list[Spy] = []

    def watched(path: Path, info: VideoInfo, consumers: list[Any], *rest: Any) -> PassSummary:
        spies.extend(Spy(consumer) for consumer in consumers)
        return run_pass(path, info, spies, *rest)

    monkeypatch.setattr(analysis, "run_pass", watched)
    folder.mkdir()
    given = load_settings(data_dir=folder, **settings)
    arguments = analysis.analysis_arguments(
        given,
        path,
        name="a",
        sha256="0" * 64,
        role=role,
        folder=folder,
        backend=COLOR_MOTION,
    )
    analysis.analyze(arguments, no_progress)
    assert (folder / (FEATURES if role.is_scored else SIGNALS)).stat().st_size > 0
    return spies


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.TRAINEE, {"QualityMeter", "ThumbnailStrip", "ColorMotionConsumer"}),
        (Role.FOOTAGE, {"QualityMeter", "ThumbnailStrip", "SignalMeter"}),
    ],
)
def test_features_and_all_other_consumers_are_given_blurred_faces(
    clip: tuple[Path, Faces],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
    names: set[str],
) -> None:
    path, faces = clip
    plain = pictures_seen(path, tmp_path / "plain", monkeypatch, role)
    blurred = pictures_seen(path, tmp_path / "blurred", monkeypatch, role, **BLUR)
    assert len(blurred) == len(plain) + 1
    checked = set()
    for before, after in zip(plain, blurred, strict=False):
        kept = []
        for (time_sec, one), (same_sec, other) in zip(before.taken, after.taken, strict=True):
            assert time_sec == same_sec
            index = min(COUNT - 1, int(time_sec * FPS + 1e-3))
            scale_x, scale_y = one.shape[1] / SIZE_PX[0], one.shape[0] / SIZE_PX[1]
            for x1, y1, x2, y2 in faces[index]:
                box = (x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)
                if box[3] - box[1] >= 12:
                    kept.append(detail(_gray(other), box) / detail(_gray(one), box))
        if kept:
            checked.add(type(before.inner).__name__)
            assert max(kept) < 0.1, (type(before.inner), max(kept))
    assert checked == names


def _gray(picture: Picture) -> Picture:
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]
