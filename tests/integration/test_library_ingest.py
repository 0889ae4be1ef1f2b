"""From file to ready video and back to nothing, on both databases, with the real decoder child."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_parts import add, files_below, open_test_runtime, work, write_procedure

from sopilot.core.errors import (
    BadUpload,
    FileTooLarge,
    InputError,
    QualityGateFailed,
    TaskNotAllowed,
)
from sopilot.core.records import Role
from sopilot.embed.base import VideoFeatures
from sopilot.jobs.records import JobState
from sopilot.library import queries, remove
from sopilot.library.ingest import fail_video
from sopilot.library.remove import STALE_SEC, note, sweep
from sopilot.library.schemas import VideoFilter, VideoRow, VideoStatus
from sopilot.media.keyframes import Strip
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.evaluate import check_videos
from sopilot.store.derived import list_derived


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_procedure(tmp_path_factory.mktemp("clips") / "bench.mp4")


@pytest.fixture(scope="module")
def dark_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_procedure(tmp_path_factory.mktemp("clips") / "dark.mp4", level=0.1)


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path, database_url)
    yield opened
    close_runtime(opened)


@pytest.fixture
def sqlite_runtime(tmp_path: Path) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path)
    yield opened
    close_runtime(opened)


def video_of(runtime: Runtime, video_id: int) -> VideoRow:
    with runtime.database.read() as connection:
        return queries.get_video(connection, video_id)


def test_a_gold_becomes_ready_with_everything_that_later_steps_need(
    runtime: Runtime, clip: Path
) -> None:
    added = add(runtime, clip, Role.GOLD)
    assert added.video.status is VideoStatus.PROCESSING
    assert work(runtime, added.job.id).state is JobState.COMPLETED
    video = video_of(runtime, added.video.id)
    assert (video.status, video.gold_version) == (VideoStatus.READY, 1)
    assert video.duration_sec == pytest.approx(12.0, abs=0.05)
    assert video.clip_count is not None
    assert (video.step_boundaries[0], video.step_boundaries[-1]) == (0, video.clip_count)
    assert list(video.step_boundaries) == sorted(set(video.step_boundaries))
    assert video.info is not None
    assert video.info["width_px"] == 192
    assert video.quality is not None
    names = ["duration", "resolution", "brightness", "sharpness", "stability"]
    assert [check["name"] for check in video.quality["checks"]] == names
    with runtime.database.read() as connection:
        stored = {row.kind: row for row in list_derived(connection, video.sha256)}
    assert set(stored) == {"features", "thumbnails", "report"}
    features = VideoFeatures.from_bytes(
        runtime.blobs.get_bytes("derived", stored["features"].blob_sha256)
    )
    assert features.producer.fingerprint == video.producer == stored["features"].producer
    strip = Strip.from_bytes(runtime.blobs.get_bytes("derived", stored["thumbnails"].blob_sha256))
    assert len(strip.jpegs) == 12
    assert len(files_below(runtime.blobs.root)) == 4


def test_footage_is_kept_apart_from_what_is_scored(runtime: Runtime, clip: Path) -> None:
    footage = add(runtime, clip, Role.FOOTAGE)
    assert work(runtime, footage.job.id).state is JobState.COMPLETED
    video = video_of(runtime, footage.video.id)
    assert (video.status, video.clip_count, video.producer) == (VideoStatus.READY, None, None)
    with runtime.database.read() as connection:
        stored = {row.kind for row in list_derived(connection, video.sha256)}
        listed, total = queries.list_videos(connection, VideoFilter(), 10, 0)
        asked, _ = queries.list_videos(connection, VideoFilter(role=Role.FOOTAGE), 10, 0)
        figures = queries.dataset_figures(connection, video.task_id)
    assert stored == {"signals", "thumbnails", "report"}
    assert (listed, total, figures.total_count) == ([], 0, 0)
    assert [row.id for row in asked] == [video.id]
    assert runtime.vectors.collections() == ()
    assert add(runtime, clip, Role.FOOTAGE).is_duplicate
    trainee = add(runtime, clip)
    assert work(runtime, trainee.job.id).state is JobState.COMPLETED
    assert video_of(runtime, trainee.video.id).clip_count is not None
    gold = add(runtime, clip, Role.GOLD)
    work(runtime, gold.job.id)
    with runtime.database.read() as connection, pytest.raises(InputError, match="never scored"):
        check_videos(runtime, connection, [video_of(runtime, gold.video.id)], video)


def test_the_same_file_is_one_row_per_task_and_role(sqlite_runtime: Runtime, clip: Path) -> None:
    first = add(sqlite_runtime, clip, Role.GOLD)
    again = add(sqlite_runtime, clip, Role.GOLD)
    trainee = add(sqlite_runtime, clip)
    forced = add(sqlite_runtime, clip, Role.GOLD, is_forced=True)
    assert (again.video.id, again.is_duplicate) == (first.video.id, True)
    assert again.job.id == first.job.id
    assert len({first.video.id, trainee.video.id, forced.video.id}) == 3
    assert not trainee.is_duplicate
    assert len(files_below(sqlite_runtime.blobs.root)) == 1


def test_known_content_is_not_decoded_again(sqlite_runtime: Runtime, clip: Path) -> None:
    gold = add(sqlite_runtime, clip, Role.GOLD)
    work(sqlite_runtime, gold.job.id)
    trainee = add(sqlite_runtime, clip)
    # Without its bytes it can only become ready from what is stored.
    sqlite_runtime.blobs.delete("raw", trainee.video.sha256)
    assert work(sqlite_runtime, trainee.job.id).state is JobState.COMPLETED
    video = video_of(sqlite_runtime, trainee.video.id)
    assert video.clip_count == video_of(sqlite_runtime, gold.video.id).clip_count
    assert video.gold_version is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"this is no video, it is a sentence in a text file\n" * 40, "UNDECODABLE_VIDEO"),
        (b"\x00" * 5000, "UNDECODABLE_VIDEO"),
    ],
)
def test_what_is_no_video_leaves_only_a_failed_row(
    sqlite_runtime: Runtime, tmp_path: Path, content: bytes, code: str
) -> None:
    path = tmp_path / "note.mp4"
    path.write_bytes(content)
    added = add(sqlite_runtime, path)
    job = work(sqlite_runtime, added.job.id)
    video = video_of(sqlite_runtime, added.video.id)
    assert (job.state, job.error_code, job.attempt) == (JobState.FAILED, code, 1)
    assert (video.status, video.error_code) == (VideoStatus.FAILED, code)
    assert "note.mp4" in (video.error_message or "")
    assert video.sha256 not in (video.error_message or "")
    assert files_below(sqlite_runtime.blobs.root) == set()


def test_a_failed_upload_may_be_sent_again(sqlite_runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "note.mp4"
    path.write_bytes(b"not a video" * 100)
    first = add(sqlite_runtime, path)
    work(sqlite_runtime, first.job.id)
    again = add(sqlite_runtime, path)
    assert again.video.id != first.video.id
    assert not again.is_duplicate


def test_a_dark_gold_fails_the_gate_and_takes_no_version(
    runtime: Runtime, clip: Path, dark_clip: Path
) -> None:
    refused = add(runtime, dark_clip, Role.GOLD, enforce_quality=True)
    job = work(runtime, refused.job.id)
    assert (job.state, job.error_code) == (JobState.FAILED, "QUALITY_GATE_FAILED")
    assert job.error_details is not None
    failed = [c["name"] for c in job.error_details["quality"]["checks"] if not c["passed"]]
    assert "brightness" in failed
    assert files_below(runtime.blobs.root) == set()
    good = add(runtime, clip, Role.GOLD, enforce_quality=True)
    assert work(runtime, good.job.id).state is JobState.COMPLETED
    assert video_of(runtime, good.video.id).gold_version == 1


def test_a_refused_gold_leaves_the_bytes_to_the_row_that_uses_them(
    sqlite_runtime: Runtime, dark_clip: Path
) -> None:
    trainee = add(sqlite_runtime, dark_clip)
    assert work(sqlite_runtime, trainee.job.id).state is JobState.COMPLETED
    gold = add(sqlite_runtime, dark_clip, Role.GOLD, enforce_quality=True)
    assert work(sqlite_runtime, gold.job.id).state is JobState.FAILED
    assert sqlite_runtime.blobs.exists("raw", trainee.video.sha256)
    assert video_of(sqlite_runtime, trainee.video.id).status is VideoStatus.READY


def test_a_known_gold_is_held_against_the_gate_at_once(
    sqlite_runtime: Runtime, dark_clip: Path
) -> None:
    gold = add(sqlite_runtime, dark_clip, Role.GOLD)
    assert work(sqlite_runtime, gold.job.id).state is JobState.COMPLETED
    with pytest.raises(QualityGateFailed):
        add(sqlite_runtime, dark_clip, Role.GOLD, enforce_quality=True)
    assert video_of(sqlite_runtime, gold.video.id).status is VideoStatus.READY


def test_refusals_before_the_row_leave_nothing(tmp_path: Path, clip: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    large = tmp_path / "large.mp4"
    large.write_bytes(b"x" * (1 << 20) + b"x")
    runtime = open_test_runtime(tmp_path, max_upload_mb=1, enforce_primary_task=True)
    try:
        for path, options, error in (
            (empty, {}, BadUpload),
            (tmp_path, {}, BadUpload),
            (tmp_path / "absent.mp4", {}, BadUpload),
            (large, {}, FileTooLarge),
            (clip, {"task_id": "another"}, TaskNotAllowed),
        ):
            with pytest.raises(error):
                add(runtime, path, **options)
        with runtime.database.read() as connection:
            assert queries.list_videos(connection, VideoFilter(), 10, 0) == ([], 0)
        assert files_below(runtime.blobs.root) == set()
    finally:
        close_runtime(runtime)


def test_masked_and_unmasked_features_are_kept_apart(tmp_path: Path, clip: Path) -> None:
    producers = []
    for mask in ({}, {"privacy_mask_enabled": True, "privacy_mask_rects": "0:0:1:0.2"}):
        runtime = open_test_runtime(tmp_path, **mask)
        added = add(runtime, clip, is_forced=True)
        assert work(runtime, added.job.id).state is JobState.COMPLETED
        producers.append(video_of(runtime, added.video.id).producer)
        close_runtime(runtime)
    assert producers[0] != producers[1]


def test_bytes_go_only_when_the_end_of_their_ingest_is_committed(
    runtime: Runtime, tmp_path: Path
) -> None:
    path = tmp_path / "note.mp4"
    path.write_bytes(b"not a video" * 100)
    added = add(runtime, path)
    error = BadUpload("no video")

    def fail_and_break() -> None:
        with runtime.database.write() as connection:
            fail_video(runtime, connection, added.job, error)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_and_break()
    assert video_of(runtime, added.video.id).status is VideoStatus.PROCESSING
    assert runtime.blobs.exists("raw", added.video.sha256)
    with runtime.database.write() as connection:
        fail_video(runtime, connection, added.job, error)
        assert runtime.blobs.exists("raw", added.video.sha256)
    assert not runtime.blobs.exists("raw", added.video.sha256)
    assert sweep(runtime, older_than_sec=-1.0) == 0
    assert files_below(runtime.blobs.root) == set()


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from service_parts import add, open_test_runtime
from sopilot.library import add as library_add
library_add._insert = lambda *_: os.kill(os.getpid(), 9)  # after the bytes, before the row
add(open_test_runtime(Path({folder!r})), Path({clip!r}))
"""


def test_a_sweep_removes_what_a_killed_upload_left(tmp_path: Path, clip: Path) -> None:
    runtime = open_test_runtime(tmp_path)
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path), clip=str(clip))
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    raw = [name for name in files_below(runtime.blobs.root) if "/." not in name]
    assert len(raw) == 1
    assert sweep(runtime) == 0  # it may still be at work
    assert sweep(runtime, older_than_sec=-1.0) == 1
    assert files_below(runtime.blobs.root) == set()
    close_runtime(runtime)


def test_a_sweep_removes_work_folders_that_nobody_writes_into(sqlite_runtime: Runtime) -> None:
    work_place = sqlite_runtime.blobs.root / "derived/.work"
    old, busy = work_place / "clip-old-0", work_place / "ingest-busy-1"
    for folder in (old, busy):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/file").write_bytes(b"x")
    ago = time.time() - 2 * STALE_SEC
    for path in (old, old / "deep", old / "deep/file", busy, busy / "deep"):
        os.utime(path, (ago, ago))
    assert sweep(sqlite_runtime) == 1
    assert (old.exists(), busy.exists()) == (False, True)


def test_a_running_worker_goes_on_sweeping(
    sqlite_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = sqlite_runtime.blobs.root / "derived/.work/ingest-of-a-deleted-video-1"
    left.mkdir(parents=True)
    (left / "features").write_bytes(b"x")
    for path in (left / "features", left):
        os.utime(path, (0, 0))
    monkeypatch.setattr(remove, "_PAUSE_SEC", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=remove.watch_leftovers, args=(sqlite_runtime, stop))
    thread.start()
    try:
        for _ in range(500):
            if not left.exists():
                break
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()
    assert not left.exists()


def test_a_sweep_spares_what_a_row_stands_on(sqlite_runtime: Runtime, clip: Path) -> None:
    added = add(sqlite_runtime, clip)
    work(sqlite_runtime, added.job.id)
    with sqlite_runtime.database.read() as connection:
        stored = list_derived(connection, added.video.sha256)
    before = files_below(sqlite_runtime.blobs.root)
    orphan = sqlite_runtime.blobs.put_bytes("derived", b"left behind")
    note(sqlite_runtime, "raw", added.video.sha256)
    for sha256 in (*(row.blob_sha256 for row in stored), orphan):
        note(sqlite_runtime, "derived", sha256)
    assert sweep(sqlite_runtime, older_than_sec=-1.0) == 1
    assert files_below(sqlite_runtime.blobs.root) == before


def test_a_known_file_is_analysed_again_where_its_features_do_not_fit(
    tmp_path: Path, clip: Path
) -> None:
    """After a change of version or mask the same file is the remedy, in the same row."""
    before = open_test_runtime(tmp_path)
    gold = add(before, clip, Role.GOLD)
    work(before, gold.job.id)
    old = video_of(before, gold.video.id)
    close_runtime(before)
    after = open_test_runtime(tmp_path, privacy_mask_enabled=True, privacy_mask_rects="0:0:1:0.2")
    again = add(after, clip, Role.GOLD)
    assert (again.video.id, again.is_duplicate) == (old.id, True)
    assert again.job.id != gold.job.id
    assert again.video.status is VideoStatus.PROCESSING
    assert add(after, clip, Role.GOLD).job.id == again.job.id
    assert work(after, again.job.id).state is JobState.COMPLETED
    new = video_of(after, old.id)
    assert new.producer != old.producer
    assert (new.gold_version, new.status) == (1, VideoStatus.READY)
    assert add(after, clip, Role.GOLD).job.id == again.job.id
    close_runtime(after)


def test_a_known_file_is_analysed_again_where_its_features_are_gone(
    sqlite_runtime: Runtime, clip: Path
) -> None:
    first = add(sqlite_runtime, clip)
    work(sqlite_runtime, first.job.id)
    with sqlite_runtime.database.read() as connection:
        for row in list_derived(connection, first.video.sha256):
            sqlite_runtime.blobs.delete("derived", row.blob_sha256)
    again = add(sqlite_runtime, clip)
    assert (again.video.id, again.job.id != first.job.id) == (first.video.id, True)
    assert work(sqlite_runtime, again.job.id).state is JobState.COMPLETED
    assert video_of(sqlite_runtime, first.video.id).status is VideoStatus.READY


@pytest.mark.parametrize("is_same_row", [True, False])
def test_damaged_features_are_made_anew_where_the_file_is_added_again(
    sqlite_runtime: Runtime, clip: Path, is_same_row: bool
) -> None:
    first = add(sqlite_runtime, clip)
    work(sqlite_runtime, first.job.id)
    with sqlite_runtime.database.read() as connection:
        rows = list_derived(connection, first.video.sha256)
    for row in rows:
        path = sqlite_runtime.blobs.local_path("derived", row.blob_sha256)
        path.write_bytes(b"\0" * path.stat().st_size)
    again = add(sqlite_runtime, clip, is_forced=not is_same_row)
    assert (again.video.id == first.video.id) is is_same_row
    assert work(sqlite_runtime, again.job.id).state is JobState.COMPLETED
    assert all(sqlite_runtime.blobs.is_whole("derived", row.blob_sha256) for row in rows)


def test_a_file_name_that_is_no_text_is_kept_as_far_as_it_is(
    sqlite_runtime: Runtime, clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    path.write_bytes(clip.read_bytes())
    assert add(sqlite_runtime, path).video.original_filename == "caf\N{REPLACEMENT CHARACTER}.mp4"
