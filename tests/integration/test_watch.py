"""The watch folder: loaded once, with a receipt; what cannot be is put aside with the reason."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from service_parts import Made, open_test_runtime, put_made, work
from sqlalchemy import func, select

from sopilot.api.app import create_app
from sopilot.core.config import load_settings
from sopilot.core.errors import Conflict, StoreError
from sopilot.jobs.queries import get_job
from sopilot.library import watch as watch_module
from sopilot.library.watch import FAILED, PROCESSED, PROCESSING, Watcher
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.tasks import task_opener
from sopilot.store.audit import rows_from
from sopilot.store.tables import videos


@pytest.fixture
def runtime(tmp_path: Path, made: list[Made]) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path, watch_settle_sec=0.0, watch_poll_sec=0.05)
    put_made(opened, made)
    yield opened
    close_runtime(opened)


@pytest.fixture
def watcher(runtime: Runtime) -> Iterator[Watcher]:
    folder = runtime.settings.resolved_watch_dir
    with Watcher(runtime, task_opener(runtime.settings), folder) as opened:
        yield opened


def put(watcher: Watcher, clip: Path, place: str) -> Path:
    target = watcher.folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(clip.read_bytes())
    return target


def rounds(watcher: Watcher, count: int = 2) -> int:
    """The first look sees a file, the second takes it."""
    return sum(watcher.scan() for _ in range(count))


def receipts(watcher: Watcher) -> list[dict[str, Any]]:
    found = sorted((watcher.folder / PROCESSED).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def left_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def rows(runtime: Runtime) -> list[tuple[str, str, str]]:
    with runtime.database.read() as connection:
        query = select(videos.c.task_id, videos.c.role, videos.c.original_filename)
        return [tuple(row) for row in connection.execute(query.order_by(videos.c.id))]


def finish(runtime: Runtime, receipt: dict[str, Any]) -> None:
    with runtime.database.read() as connection:
        job = get_job(connection, receipt["ingest_job_id"])
    work(runtime, job.id)


def test_a_video_is_loaded_as_its_folders_say_and_leaves_a_receipt(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path]
) -> None:
    source = put(watcher, clips["gold"], "oil_change/gold/first try.MP4")
    assert rounds(watcher) == 1
    assert not source.exists()
    [receipt] = receipts(watcher)
    assert receipt["status"] == "queued"
    assert (receipt["task_id"], receipt["role"]) == ("oil_change", "gold")
    assert receipt["source"] == "oil_change/gold/first try.MP4"
    assert rows(runtime) == [("oil_change", "gold", "first try.MP4")]
    assert len(left_in(watcher.folder / PROCESSING)) == 1
    finish(runtime, receipt)
    watcher.scan()
    assert left_in(watcher.folder / PROCESSING) == []
    [done] = receipts(watcher)
    assert done["status"] == "completed"
    assert done["finished_at"] >= done["queued_at"]
    assert done.items() >= {k: v for k, v in receipt.items() if k != "status"}.items()
    assert rounds(watcher) == 0
    with runtime.database.read() as connection:
        uploads = [r for r in rows_from(connection) if r["action"] == "video.uploaded"]
    assert [(row["actor"], row["role"]) for row in uploads] == [("watcher:folder", "operator")]


def test_a_file_that_grows_or_changes_is_left_alone(
    watcher: Watcher, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = clips["gold"].read_bytes()
    target = watcher.folder / "task/gold/a.mp4"
    target.parent.mkdir(parents=True)
    for share in range(1, 5):
        target.write_bytes(data[: len(data) * share // 4])
        assert watcher.scan() == 0
    os.utime(target, ns=(1, 1))  # a copy sets the time of the original last
    assert watcher.scan() == 0
    assert watcher.scan() == 1


def test_a_file_must_rest_for_the_settling_time(
    watcher: Watcher, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: now[0])
    settings = watcher.runtime.settings.model_copy(update={"watch_settle_sec": 10.0})
    watcher.runtime = _with(watcher.runtime, settings)
    put(watcher, clips["gold"], "task/gold/a.mp4")
    taken = []
    for moment in (100.0, 105.0, 109.9, 110.0):
        now[0] = moment
        taken.append(watcher.scan())
    assert taken == [0, 0, 0, 1]


def _with(runtime: Runtime, settings: Any) -> Runtime:
    return replace(runtime, settings=settings)


def test_what_is_no_video_of_ours_stays_where_it_is(
    watcher: Watcher, clips: dict[str, Path], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.mp4").write_bytes(clips["gold"].read_bytes())
    put(watcher, clips["gold"], ".hidden/gold/a.mp4")
    put(watcher, clips["gold"], "task/gold/.a.mp4")
    put(watcher, clips["gold"], "task/gold/a.mp4.part")
    put(watcher, clips["gold"], "task/gold/notes.txt")
    (watcher.folder / "task/gold/link.mp4").symlink_to(outside / "a.mp4")
    (watcher.folder / "linked").symlink_to(outside, target_is_directory=True)
    before = left_in(watcher.folder)
    assert rounds(watcher, 3) == 0
    assert left_in(watcher.folder) == before


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("a.mp4", "VALIDATION_ERROR"),
        ("task/a.mp4", "VALIDATION_ERROR"),
        ("task/boss/a.mp4", "VALIDATION_ERROR"),
        ("task/gold/deep/a.mp4", "VALIDATION_ERROR"),
        (f"{'t' * 200}/gold/a.mp4", "VALIDATION_ERROR"),
    ],
)
def test_a_misplaced_video_is_put_aside_with_the_reason(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path], place: str, code: str
) -> None:
    put(watcher, clips["gold"], place)
    rounds(watcher)
    folder = watcher.folder / FAILED
    assert left_in(folder) == sorted([place, f"{place}.json"])
    reason = json.loads((folder / f"{place}.json").read_text(encoding="utf-8"))
    assert (reason["status"], reason["code"]) == ("failed", code)
    assert "<task>/<gold|trainee|audit>/<file>" in reason["message"]
    assert rows(runtime) == []
    assert rounds(watcher) == 0


def test_with_a_task_in_the_settings_any_place_will_do(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path]
) -> None:
    update = {"watch_task_id": "line_3", "watch_role": "audit"}
    watcher.runtime = _with(runtime, runtime.settings.model_copy(update=update))
    put(watcher, clips["gold"], "a.mp4")
    put(watcher, clips["swapped"], "monday/early/b.mp4")
    put(watcher, clips["gold"], "oil_change/gold/c.mp4")
    assert rounds(watcher) == 3
    assert set(rows(runtime)) == {
        ("line_3", "audit", "a.mp4"),
        ("line_3", "audit", "b.mp4"),
        ("oil_change", "gold", "c.mp4"),
    }


def test_an_ingest_that_fails_puts_the_file_aside(
    watcher: Watcher, runtime: Runtime, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    for number in range(2):
        broken.write_bytes(b"no video at all\n" * (100 + number))
        put(watcher, broken, "task/trainee/a.mp4")
        assert rounds(watcher) == 1
        finish(runtime, receipts(watcher)[number])
        watcher.scan()
    assert {item["status"] for item in receipts(watcher)} == {"failed"}
    names = ["a-2.mp4", "a-2.mp4.json", "a.mp4", "a.mp4.json"]
    folder = watcher.folder / FAILED / "task/trainee"
    assert left_in(folder) == names
    reason = json.loads((folder / "a-2.mp4.json").read_text(encoding="utf-8"))
    assert reason["code"] == "UNDECODABLE_VIDEO"
    assert reason["video_id"] == 2
    assert left_in(watcher.folder / PROCESSING) == []


def test_an_empty_file_is_refused_at_once(watcher: Watcher, runtime: Runtime) -> None:
    (watcher.folder / "task/gold").mkdir(parents=True)
    (watcher.folder / "task/gold/a.mp4").touch()
    rounds(watcher)
    assert left_in(watcher.folder / FAILED) == ["task/gold/a.mp4", "task/gold/a.mp4.json"]
    assert rows(runtime) == []


def test_the_same_bytes_again_name_the_video_that_is_there(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path]
) -> None:
    put(watcher, clips["gold"], "task/gold/a.mp4")
    rounds(watcher)
    put(watcher, clips["gold"], "task/gold/b.mp4")
    rounds(watcher)
    assert [item["is_duplicate"] for item in receipts(watcher)] == [False, True]
    assert {item["video_id"] for item in receipts(watcher)} == {1}
    finish(runtime, receipts(watcher)[0])
    watcher.scan()
    assert {item["status"] for item in receipts(watcher)} == {"completed"}
    assert left_in(watcher.folder / PROCESSING) == []


def test_a_hostile_name_becomes_text(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path]
) -> None:
    folder = os.fsencode(watcher.folder) + b"/task/gold/"
    os.makedirs(folder)
    for name in (b"a\xff~;rm -rf.mp4", "日本 ../x".replace("/", "_").encode() + b".mp4"):
        Path(os.fsdecode(folder + name)).write_bytes(clips["gold"].read_bytes())
    assert rounds(watcher) == 2
    assert {item["source"] for item in receipts(watcher)} == {
        "task/gold/a\ufffd~;rm -rf.mp4",
        "task/gold/日本 .._x.mp4",
    }


def test_a_database_that_does_not_answer_loses_nothing(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("the database does not answer")

    put(watcher, clips["gold"], "task/gold/a.mp4")
    with monkeypatch.context() as patched:
        patched.setattr(watch_module, "add_file", away)
        assert rounds(watcher) == 1
        assert rounds(watcher) == 0
    assert len(left_in(watcher.folder / PROCESSING)) == 1
    watcher.scan()
    assert [item["status"] for item in receipts(watcher)] == ["queued"]


def test_a_folder_has_one_watcher(watcher: Watcher, runtime: Runtime) -> None:
    other = Watcher(runtime, task_opener(runtime.settings), watcher.folder)
    with pytest.raises(Conflict, match="SOPILOT_WATCH_DIR"), other:
        pass


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(
    runtime: Runtime, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    other = Watcher(runtime, task_opener(runtime.settings), tmp_path / "file")
    with pytest.raises(StoreError, match="file cannot be read or written"), other:
        pass


def test_the_service_watches_where_the_settings_ask_for_it(
    tmp_path: Path, made: list[Made], clips: dict[str, Path]
) -> None:
    settings = {"watch_settle_sec": 0.0, "watch_poll_sec": 0.02, "watch_enabled": True}
    runtime = open_test_runtime(tmp_path, **settings)
    put_made(runtime, made)
    inbox = runtime.settings.resolved_watch_dir / "task/gold"
    inbox.mkdir(parents=True)
    (inbox / "a.mp4").write_bytes(clips["gold"].read_bytes())
    app = create_app(runtime=runtime, with_workers=False)

    async def run() -> None:
        async with app.router.lifespan_context(app):
            while not list((inbox.parents[1] / PROCESSED).glob("*.json")):
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(run(), 60))
    again = open_runtime(load_settings(data_dir=tmp_path / "data"))
    assert rows(again) == [("task", "gold", "a.mp4")]
    close_runtime(again)


def test_killed_at_any_moment_it_loads_every_file_once(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    """Five kills while twelve files of different bytes come in."""
    data = clips["gold"].read_bytes()
    inbox = tmp_path / "data/watch_inbox/task/trainee"
    inbox.mkdir(parents=True)
    close_runtime(open_test_runtime(tmp_path))
    for number in range(12):
        (inbox / f"{number:02d}.mp4").write_bytes(data + b"\0" * (number + 1))
    draw = random.Random(4)
    environment = os.environ | {
        "SOPILOT_WATCH_POLL_SEC": "0.01",
        "SOPILOT_WATCH_SETTLE_SEC": "0",
        "SOPILOT_DATA_DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-c", "from sopilot.cli.watch import main; main()"]
    processed = inbox.parents[1] / PROCESSED
    for turn in range(6):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            wanted = 12 if turn == 5 else 2 * turn + 1
            deadline = time.monotonic() + 120
            while len(list(processed.glob("*.json"))) < wanted:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.002)
            time.sleep(draw.uniform(0.0, 0.03))
        finally:
            process.send_signal(signal.SIGTERM if turn == 5 else signal.SIGKILL)
            code = process.wait(60)
    assert code == 0
    runtime = open_test_runtime(tmp_path)
    with runtime.database.read() as connection:
        count = connection.execute(select(func.count()).select_from(videos)).scalar_one()
        digests = connection.execute(select(func.count(videos.c.sha256.distinct()))).scalar_one()
    close_runtime(runtime)
    assert (count, digests) == (12, 12)
    assert left_in(inbox) == []
    assert not list(inbox.parents[1].rglob(f"{FAILED}/**/*.mp4"))


KILLED_BEFORE_THE_RECEIPT = """
import os, signal
from sopilot.library import watch
from sopilot.cli.watch import main
watch._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main()
"""


@pytest.mark.parametrize("is_video", [True, False])
def test_killed_before_the_receipt_it_knows_the_file_again(
    tmp_path: Path, clips: dict[str, Path], is_video: bool
) -> None:
    """The ingest ends, well or not, before the next watcher starts."""
    inbox = tmp_path / "data/watch_inbox/task/trainee"
    inbox.mkdir(parents=True)
    content = clips["gold"].read_bytes() if is_video else b"no video at all\n" * 100
    (inbox / "a.mp4").write_bytes(content)
    close_runtime(open_test_runtime(tmp_path))
    environment = os.environ | {
        "SOPILOT_WATCH_POLL_SEC": "0.01",
        "SOPILOT_WATCH_SETTLE_SEC": "0",
        "SOPILOT_DATA_DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-c", KILLED_BEFORE_THE_RECEIPT]
    killed = subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False)
    assert killed.returncode == -signal.SIGKILL
    runtime = open_test_runtime(tmp_path)
    work(runtime, 1)
    folder = runtime.settings.resolved_watch_dir
    with Watcher(runtime, task_opener(runtime.settings), folder) as watcher:
        rounds(watcher, 3)
    assert rows(runtime) == [("task", "trainee", "a.mp4")]
    [receipt] = receipts(watcher)
    assert (receipt["video_id"], receipt["is_duplicate"]) == (1, False)
    assert receipt["status"] == ("completed" if is_video else "failed")
    assert left_in(folder / PROCESSING) == []
    assert bool(left_in(folder / FAILED)) is not is_video
    close_runtime(runtime)


def test_the_command_watches_the_folder_it_is_told(tmp_path: Path, clips: dict[str, Path]) -> None:
    inbox = tmp_path / "here"
    (inbox / "task/gold").mkdir(parents=True)
    (inbox / "task/gold/a.mp4").write_bytes(clips["gold"].read_bytes())
    short = {"SOPILOT_WATCH_POLL_SEC": "0.01", "SOPILOT_WATCH_SETTLE_SEC": "0"}
    command = [sys.executable, "-m", "sopilot.cli.app", "watch"]
    command += ["--data-dir", str(tmp_path / "data"), "--dir", str(inbox)]
    process = subprocess.Popen(
        command, env=os.environ | short, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not list((inbox / PROCESSED).glob("*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "another program watches" in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"watching {inbox}" in said.decode()


def _serve(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the service, which is expected to stop by itself."""
    command = [sys.executable, "-m", "sopilot.cli.app", "serve", "--port", "0", "--workers", "0"]
    command += ["--data-dir", str(tmp_path / "data")]
    environment = os.environ | {"SOPILOT_WATCH_ENABLED": "true"} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_service_whose_watch_folder_is_taken_says_so_in_one_sentence(
    watcher: Watcher, tmp_path: Path
) -> None:
    ended = _serve(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("sopilot: INVALID_STATE: another program watches")
    assert ended.stderr.count("\n") == 1


def test_a_service_whose_watch_folder_cannot_be_opened_says_so_in_one_sentence(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    ended = _serve(tmp_path, SOPILOT_WATCH_DIR=str(tmp_path / "file"))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"sopilot: TRANSIENT_ERROR: {tmp_path / 'file'} cannot be")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("area", [PROCESSING, PROCESSED, FAILED])
def test_a_link_leads_the_watcher_nowhere(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path], tmp_path: Path, area: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "task/gold").mkdir(parents=True)
    (outside / "task/gold/mine.mp4").write_bytes(clips["gold"].read_bytes())
    before = left_in(outside)
    (watcher.folder / area).rmdir()
    (watcher.folder / area).symlink_to(outside, target_is_directory=True)
    put(watcher, clips["swapped"], "task/gold/a.mp4")
    put(watcher, clips["swapped"], "misplaced.mp4")
    rounds(watcher, 4)
    assert left_in(outside) == before
    assert all(name != "mine.mp4" for _, _, name in rows(runtime))
    assert len(list(watcher.folder.rglob("*misplaced.mp4"))) == 1


def test_a_long_name_is_cut(watcher: Watcher, runtime: Runtime, clips: dict[str, Path]) -> None:
    put(watcher, clips["gold"], f"task/gold/{'n' * 250}.mp4")
    assert rounds(watcher) == 1
    [receipt] = receipts(watcher)
    assert receipt["source"] == f"task/gold/{'n' * 176}.mp4"
    finish(runtime, receipt)
    watcher.scan()
    assert left_in(watcher.folder / PROCESSING) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_receipt_is_written_anew(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path], text: str
) -> None:
    put(watcher, clips["gold"], "task/gold/a.mp4")
    rounds(watcher)
    [path] = (watcher.folder / PROCESSED).glob("*.json")
    path.write_text(text, encoding="utf-8")
    watcher.scan()
    [receipt] = receipts(watcher)
    assert (receipt["video_id"], receipt["is_duplicate"]) == (1, False)
    assert len(rows(runtime)) == 1


def test_a_file_that_was_put_among_the_taken_ones_keeps_its_name(
    watcher: Watcher, runtime: Runtime, clips: dict[str, Path]
) -> None:
    put(watcher, clips["gold"], f"{PROCESSING}/task/gold/by hand.mp4")
    watcher.scan()
    put(watcher, clips["swapped"], f"{PROCESSING}/task/gold/by hand.mp4")
    watcher.scan()
    assert rows(runtime) == [("task", "gold", "by hand.mp4")] * 2
