"""Damaged and unusual media through the service: an answer with a code, and nothing left behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import av
import mutated_media as media
import pytest
from service_process import Server

from sopilot.store.blobs import blob_key

GOOD = {
    "ten bits": (media.ten_bit, ".mp4"),
    "interlaced": (media.interlaced, ".mp4"),
    "variable rate": (media.variable_rate, ".mp4"),
    "rotated": (media.rotated, ".mp4"),
    "wrong extension": (media.plain, ".avi"),
}
BAD = {
    "one frame": (media.one_frame, ".mp4"),
    "8000 x 8000": (media.large, ".mp4"),
    "audio only": (media.audio_only, ".mp4"),
    "no bytes": (media.empty, ".mp4"),
    "text": (media.text, ".mp4"),
}
_CODES = {"UNSUPPORTED_MEDIA", "UNDECODABLE_VIDEO", "NO_FRAMES"}
_CUTS = sorted(random.Random(20_261_126).sample(range(1, 100), 4))
_FLIPS = range(4)
_ALL_FLIPS = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("service"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module", params=[True, False], ids=["index first", "index last"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    media.write(path, faststart=bool(request.param))
    return path.read_bytes()


def send(server: Server, path: Path) -> str:
    """Upload and wait; "ready", or the code of the refusal. Nothing else may be left of it."""
    response = server.upload("/videos?async=true", path)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        return str(response.json()["error"]["code"])
    body = response.json()
    uid, video_id = body["ingest_job_id"], body["video_id"]
    server.wait_for(lambda: server.job_state(uid) in {"completed", "failed"}, 600.0)
    [(status, code, sha256)] = server.rows(
        "SELECT status, jobs.error_code, sha256 FROM videos"
        f" JOIN jobs ON jobs.id = ingest_job_id WHERE videos.id = {video_id}"
    )
    if status == "ready":
        return "ready"
    assert status == "failed"
    assert server.rows(f"SELECT kind FROM derived WHERE content_sha256 = '{sha256}'") == []
    assert server.client.get(f"/videos/{video_id}/stream").status_code == 409
    return str(code)


def check_files(server: Server) -> None:
    """Blobs are those of the ready videos; a refused one keeps its row, which says why."""
    raw = server.rows("SELECT sha256 FROM videos WHERE status = 'ready'")
    derived = server.rows("SELECT blob_sha256 FROM derived")
    due = {blob_key("raw", sha) for (sha,) in raw} | {
        blob_key("derived", sha) for (sha,) in derived
    }
    server.check_files(due)
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize("name", GOOD)
def test_an_unusual_video_is_ready(server: Server, tmp_path: Path, name: str) -> None:
    write, ending = GOOD[name]
    path = tmp_path / f"video{ending}"
    write(path)
    assert send(server, path) == "ready"
    check_files(server)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_usable_video_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    write, ending = BAD[name]
    path = tmp_path / f"video{ending}"
    write(path)
    assert send(server, path) in _CODES
    check_files(server)


def check_damaged(server: Server, path: Path, body: bytes) -> None:
    path.write_bytes(body)
    assert send(server, path) in _CODES | {"ready"}
    check_files(server)


@pytest.mark.parametrize("percent", _CUTS)
def test_a_cut_video_is_refused_or_ready(
    server: Server, tmp_path: Path, whole: bytes, percent: int
) -> None:
    check_damaged(server, tmp_path / "cut.mp4", media.truncated(whole, percent))


@pytest.mark.soak
def test_every_cut_video_is_refused_or_ready(server: Server, tmp_path: Path, whole: bytes) -> None:
    for percent in range(100):
        check_damaged(server, tmp_path / f"cut-{percent}.mp4", media.truncated(whole, percent))


@pytest.mark.parametrize("seed", _FLIPS)
def test_flipped_bits_are_refused_or_ready(
    server: Server, tmp_path: Path, whole: bytes, seed: int
) -> None:
    check_damaged(server, tmp_path / "flipped.mp4", media.flipped(whole, seed))


@pytest.mark.soak
def test_many_flipped_bits_are_refused_or_ready(
    server: Server, tmp_path: Path, whole: bytes
) -> None:
    for seed in range(_ALL_FLIPS):
        check_damaged(server, tmp_path / f"flipped-{seed}.mp4", media.flipped(whole, seed))


@pytest.mark.soak
def test_three_hours_of_black_are_analysed(server: Server, tmp_path: Path) -> None:
    media.long_black(tmp_path / "black.mp4")
    assert send(server, tmp_path / "black.mp4") == "ready"
    check_files(server)


def test_the_unusual_videos_are_what_they_are_called(tmp_path: Path) -> None:
    frames = {}
    for name in ("ten_bit", "interlaced", "rotated"):
        path = tmp_path / f"{name}.mp4"
        getattr(media, name)(path)
        with av.open(str(path)) as container:
            frames[name] = next(container.decode(video=0))
    assert frames["ten_bit"].format.name == "yuv420p10le"
    assert frames["interlaced"].interlaced_frame
    assert abs(frames["rotated"].rotation) == 90
