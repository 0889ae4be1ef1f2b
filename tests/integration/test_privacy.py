"""Masking from settings to served bytes: what is masked is in no file that viewers get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from httpx import Client
from service_parts import add, files_below, open_test_runtime, work
from test_api_service import serving

from sopilot.api.app import create_app
from sopilot.core.errors import BadSettings
from sopilot.core.records import Role
from sopilot.jobs.records import JobState
from sopilot.library import queries
from sopilot.library.analyze import MASKED
from sopilot.media.encode import VideoWriter
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.pictures import load_strip
from sopilot.store.derived import list_derived

MASK = {"privacy_mask_enabled": True, "privacy_mask_rects": "0:0:0.5:0.5"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright mark top left on a textured ground, 5 s."""
    path = tmp_path_factory.mktemp("clips") / "mark.mp4"
    ground = np.random.default_rng(3).integers(60, 110, (108, 192, 3)).astype(np.uint8)
    with VideoWriter(path, (192, 108), fps=10.0) as writer:
        for index in range(50):
            picture = ground.copy()
            picture[10:40, 20:60] = 250
            picture[70:90, 100 + index : 130 + index] = (40, 60, 200)
            writer.write(picture)
    return path


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path, database_url, **MASK)
    yield opened
    close_runtime(opened)


def ingest(runtime: Runtime, clip: Path) -> None:
    assert work(runtime, add(runtime, clip, Role.TRAINEE).job.id).state is JobState.COMPLETED


def brightest(path: Path) -> int:
    """The brightest pixel of the masked corner over all frames; asserts that there are 50."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        frames = [frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]
    assert len(frames) == 50
    return int(max(frame[:50, :90].max() for frame in frames))


@contextmanager
def client_of(settings: dict[str, object], tmp_path: Path) -> Iterator[tuple[Client, Runtime]]:
    runtime = open_test_runtime(tmp_path, auth_required="false", **settings)
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        yield client, runtime


def test_a_mark_inside_the_mask_is_in_no_served_picture(runtime: Runtime, clip: Path) -> None:
    ingest(runtime, clip)
    with runtime.database.read() as connection:
        sha256 = queries.get_video(connection, 1).sha256
        stored = {row.kind: row for row in list_derived(connection, sha256)}
    assert brightest(clip) > 240
    assert brightest(runtime.blobs.local_path("derived", stored[MASKED].blob_sha256)) < 40
    strip = load_strip(runtime, 1)
    assert strip is not None
    import cv2

    for jpeg in strip.jpegs:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        assert picture[:50, :90].max() < 40


def test_viewers_get_the_masked_copy_with_ranges(tmp_path: Path, clip: Path) -> None:
    with client_of(MASK, tmp_path) as (client, runtime):
        ingest(runtime, clip)
        whole = client.get("/videos/1/stream")
        assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
        part = client.get("/videos/1/file", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        assert whole.content != clip.read_bytes()
        assert client.get("/videos/1/file?raw=true").content == clip.read_bytes()
        tag = {"If-None-Match": whole.headers["etag"]}
        assert client.get("/videos/1/stream", headers=tag).status_code == 304


def test_the_upload_itself_is_for_admins_only(tmp_path: Path, clip: Path) -> None:
    roles = {"auth_default_role": "operator"}
    with client_of(MASK | roles, tmp_path) as (client, runtime):
        ingest(runtime, clip)
        assert client.get("/videos/1/stream?raw=true").status_code == 403
        assert client.get("/videos/1/stream").status_code == 200


def test_a_dropped_upload_is_gone_and_said_so(tmp_path: Path, clip: Path) -> None:
    with client_of(MASK | {"privacy_keep_raw": False}, tmp_path) as (client, runtime):
        ingest(runtime, clip)
        assert not [name for name in files_below(runtime.blobs.root) if name.startswith("raw/")]
        assert client.get("/videos/1/stream").status_code == 200
        refused = client.get("/videos/1/stream?raw=true")
        assert refused.status_code == 409
        assert "KEEP_RAW" in refused.json()["detail"]


def test_a_video_from_before_the_mask_is_not_shown(tmp_path: Path, clip: Path) -> None:
    plain = open_test_runtime(tmp_path)
    ingest(plain, clip)
    close_runtime(plain)
    with client_of(MASK, tmp_path) as (client, _):
        assert client.get("/videos/1/stream").status_code == 409


@pytest.mark.parametrize(
    "settings",
    [
        {"privacy_mask_enabled": True},
        {"privacy_mask_enabled": True, "privacy_mask_rects": "0:0:1"},
        {"privacy_face_blur": True},
        {"privacy_keep_raw": False},
    ],
)
def test_a_mask_that_cannot_be_honoured_stops_the_start(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(BadSettings, match="SOPILOT_PRIVACY"):
        open_test_runtime(tmp_path, **settings)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("part", ["sopilot.media.faces.MODEL_PATH", "cv2.data.haarcascades"])
def test_a_missing_detector_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(part, str(tmp_path / "none.tflite"))
    with pytest.raises(BadSettings, match="FACE_BLUR"):
        open_test_runtime(tmp_path, privacy_mask_enabled=True, privacy_face_blur=True)
    assert not (tmp_path / "data").exists()
