"""A folder whose files become videos: what is put there is loaded once, with a receipt.

`<task>/<role>/name.mp4` says what a file is; with a task in the settings any place will do. A file
that has stopped growing is moved to `.processing/`, loaded, and told of in `.processed/*.json`.
When its ingest has ended well the moved file is deleted (the library has the bytes); else it lies
in `.failed/` with the reason beside it. A taken file's name holds the uid of its ingest job to be:
after a restart that tells whether it was loaded already, however the ingest went meanwhile. Called
by `sopilot watch` and the service.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sopilot.core.errors import Conflict, JobNotFound, SopilotError, VideoNotFound
from sopilot.core.log import get_logger
from sopilot.core.records import Actor, Role
from sopilot.jobs.queries import get_job
from sopilot.jobs.records import Job, JobState
from sopilot.jobs.stop import Stop
from sopilot.library.add import OpenTask, Upload, add_file, name_of
from sopilot.library.queries import get_video
from sopilot.library.schemas import UploadMeta
from sopilot.runtime import Runtime
from sopilot.store.faults import file_fault
from sopilot.store.times import now_text, parse_text
from sopilot.store.whole_files import write_whole

WATCHER = Actor("watcher:folder", "operator")
SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm"})
PROCESSING, PROCESSED, FAILED = ".processing", ".processed", ".failed"
_TAKEN = re.compile(
    r"(?P<moment>\d{8}T\d{12})-(?P<job_uid>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})~"
)
"""What the name of a taken file begins with: when, and the ingest job that is made for it."""
_MOMENT = "%Y%m%dT%H%M%S%f"
_LONGEST_TASK = 128
_LONGEST_NAME = 180
"""Bytes. A name may have 255, with the mark before it and the ending of a receipt after it."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file at rest since a moment of the monotonic clock."""

    size: int
    changed_ns: int
    since_sec: float


@dataclass(slots=True)
class Watcher:
    """The watch over one folder. `scan` is one round; a folder has one watcher at a time."""

    runtime: Runtime
    open_task: OpenTask
    folder: Path
    _seen: dict[Path, _Seen] = field(default_factory=dict)
    _lock: int | None = None

    def __enter__(self) -> Watcher:
        """Make the folder and claim it, unless that is done.

        Raises Conflict where another watcher has it, StoreError where it cannot be made.
        """
        if self._lock is not None:
            return self
        try:
            for name in ("", PROCESSING, PROCESSED, FAILED):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise file_fault(error, error.filename or self.folder) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise Conflict(
                f"another program watches {self.folder} already; stop it, or name another folder "
                "with SOPILOT_WATCH_DIR"
            ) from error
        self._lock = lock
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the folder to the next watcher."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def scan(self) -> int:
        """One round: end what was begun, then take the files at rest; how many were taken.

        A database or disk that does not answer leaves a file where it is, for the next round.
        """
        area = self.folder / PROCESSING
        for path in self._files(area):
            # One without our mark was put there by hand, and may bear the name of an earlier one.
            ours = path if _TAKEN.match(path.name) else self._take(path, area)
            if ours is not None:
                self._continue(ours)
        taken = 0
        for path in self._at_rest():
            moved = self._take(path, self.folder)
            if moved is not None:
                self._continue(moved)
                taken += 1
        return taken

    def _at_rest(self) -> list[Path]:
        """The files that have not changed for the settling time, in the order of their names."""
        now = time.monotonic()
        present: dict[Path, _Seen] = {}
        ready = []
        for path in self._files(self.folder):
            with suppress(OSError):  # gone again
                state = path.lstat()
                last = self._seen.get(path)
                seen = _Seen(state.st_size, state.st_mtime_ns, now)
                if last is not None and (last.size, last.changed_ns) == (
                    seen.size,
                    seen.changed_ns,
                ):
                    seen = last
                    if now - last.since_sec >= self.runtime.settings.watch_settle_sec:
                        ready.append(path)
                present[path] = seen
        self._seen = present
        return ready

    def _files(self, folder: Path) -> Iterator[Path]:
        """Videos below a folder by their names; no hidden ones, nothing behind links."""
        if folder != self.folder and folder.is_symlink():
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                if Path(entry.name).suffix.lower() in SUFFIXES:
                    yield Path(entry.path)

    def _take(self, path: Path, area: Path) -> Path | None:
        """Move a file to its place among the taken ones; None when it cannot be moved."""
        mark = f"{datetime.now(UTC).strftime(_MOMENT)}-{uuid.uuid4()}~"
        place = path.relative_to(area).parent
        self._seen.pop(path, None)
        try:
            folder = self._own(PROCESSING, place)
            target = folder / f"{mark}{_short(path)}"
            path.rename(target)
        except OSError as error:
            _log.warning("watch.cannot_take", reason=error.strerror)
            return None
        return target

    def _continue(self, path: Path) -> None:
        """Bring a taken file one step on: load it, or look how its ingest went."""
        receipt = self.folder / PROCESSED / f"{path.name}.json"
        try:
            self._own(PROCESSED, Path())
            record = _read(receipt)
            if record is not None:
                self._follow(path, receipt, record)
            else:
                self._load(path, receipt)
        except SopilotError as error:
            if error.retryable:
                _log.warning("watch.try_again", code=error.code, reason=error.message)
            else:
                self._fail(path, error.code, error.message, {})
        except OSError as error:
            _log.warning("watch.try_again", code="OS", reason=error.strerror)

    def _load(self, path: Path, receipt: Path) -> None:
        place = path.relative_to(self.folder / PROCESSING).parent
        wanted = self._wanted(place)
        if isinstance(wanted, str):
            self._fail(path, "VALIDATION_ERROR", wanted, {})
            return
        task_id, role = wanted
        name = _text(_original_name(path))
        record = {
            "status": "queued",
            "source": "/".join([*map(_text, place.parts), name]),
            "task_id": task_id,
            "role": str(role),
        }
        record |= self._loaded_before(path) or self._add(path, task_id, role, name)
        _write(receipt, record)
        _log.info("watch.loaded", task_id=task_id, video_id=record["video_id"])

    def _add(self, path: Path, task_id: str, role: Role, name: str) -> dict[str, Any]:
        """Add the video; what the receipt says of it."""
        meta, (_, job_uid) = UploadMeta(original_filename=name), _mark_of(path)
        upload = Upload(task_id, role, meta, job_uid=job_uid)
        added = add_file(self.runtime, path, upload, open_task=self.open_task, by=WATCHER)
        return _account(added.job, added.video.id, is_duplicate=added.is_duplicate)

    def _loaded_before(self, path: Path) -> dict[str, Any] | None:
        """What the receipt says of a file that a watcher added and was killed; None for others."""
        taken_at, job_uid = _mark_of(path)
        with self.runtime.database.read() as connection:
            try:
                job = get_job(connection, job_uid)
                video = get_video(connection, int(job.payload["video_id"]))
            except (JobNotFound, VideoNotFound):
                return None
        return _account(job, video.id, is_duplicate=parse_text(video.created_at) < taken_at)

    def _wanted(self, place: Path) -> tuple[str, Role] | str:
        """Task and role of a file by its folder, or why there are none."""
        settings = self.runtime.settings
        parts = [_text(part) for part in place.parts]
        roles = {str(role): role for role in Role if role.is_scored}
        if len(parts) == 2 and parts[1].lower() in roles and len(parts[0]) <= _LONGEST_TASK:
            return parts[0], roles[parts[1].lower()]
        if settings.watch_task_id is not None:
            return settings.watch_task_id, roles[settings.watch_role]
        return (
            "the folder does not say what the video is; put it at "
            f"<task>/<{'|'.join(roles)}>/<file>, or set SOPILOT_WATCH_TASK_ID"
        )

    def _follow(self, path: Path, receipt: Path, record: dict[str, Any]) -> None:
        if record["status"] == JobState.QUEUED:
            record |= self._outcome(record["ingest_job_id"])
            if record["status"] == JobState.QUEUED:
                return
            _write(receipt, record)
        if record["status"] in (JobState.FAILED, JobState.CANCELLED):
            self._fail(path, record["code"], record["message"], record)
        else:
            path.unlink(missing_ok=True)

    def _outcome(self, job_uid: str) -> dict[str, Any]:
        """What the receipt says anew; nothing while the ingest goes on."""
        try:
            with self.runtime.database.read() as connection:
                job = get_job(connection, job_uid)
        except JobNotFound:  # the video was deleted meanwhile
            return {"status": "deleted", "finished_at": now_text()}
        if not job.is_finished:
            return {}
        found: dict[str, Any] = {"status": str(job.state), "finished_at": job.finished_at}
        if job.state is not JobState.COMPLETED:
            found["code"] = job.error_code or "JOB_CANCELLED"
            found["message"] = job.error_message or "the ingest was cancelled"
        return found

    def _fail(self, path: Path, code: str, message: str, record: dict[str, Any]) -> None:
        """Put a file aside with the reason; an earlier one of the same name stays."""
        place = path.relative_to(self.folder / PROCESSING).parent
        folder = self._own(FAILED, place)
        name = Path(_original_name(path))
        target, number = folder / name, 1
        while os.path.lexists(target):
            number += 1
            target = folder / f"{name.stem}-{number}{name.suffix}"
        reason = {"status": "failed", "code": code, "message": message, "failed_at": now_text()}
        # The reason first: a file without one must not be seen there.
        _write(target.with_name(f"{target.name}.json"), record | reason)
        path.rename(target)
        _log.warning("watch.failed", code=code, reason=message)

    def _own(self, area: str, place: Path) -> Path:
        """A folder of ours, made where it is not there.

        Raises OSError where a link stands in its way: who may write to the folder must not lead
        the watcher out of it.
        """
        folder = self.folder
        for part in (area, *place.parts):
            folder /= part
            if folder.is_symlink():
                raise OSError(errno.ELOOP, f"{area}/{place} is a link; remove it", str(folder))
            folder.mkdir(exist_ok=True)
        return folder


def watch(watcher: Watcher, stop: Stop) -> None:
    """Scan until stopped; a round that fails is told and tried again."""
    while not stop.is_set():
        try:
            watcher.scan()
        except (SopilotError, OSError) as error:
            _log.warning("watch.round_failed", reason=str(error))
        stop.wait(watcher.runtime.settings.watch_poll_sec)


def _text(part: str) -> str:
    return name_of(Path(part))


def _short(path: Path) -> str:
    """A file's name, cut where the moment and the ending of a receipt would make it too long."""
    room = _LONGEST_NAME - len(os.fsencode(path.suffix))
    return os.fsdecode(os.fsencode(path.stem)[:room]) + path.suffix


def _original_name(path: Path) -> str:
    """The name before the file was taken."""
    return _TAKEN.sub("", path.name, count=1)


def _mark_of(path: Path) -> tuple[datetime, str]:
    """When a file was taken, and the uid of its ingest job."""
    found = _TAKEN.match(path.name)
    assert found is not None
    return datetime.strptime(found["moment"], _MOMENT).replace(tzinfo=UTC), found["job_uid"]


def _account(job: Job, video_id: int, *, is_duplicate: bool) -> dict[str, Any]:
    return {
        "ingest_job_id": job.uid,
        "queued_at": job.created_at,
        "video_id": video_id,
        "is_duplicate": is_duplicate,
    }


def _read(receipt: Path) -> dict[str, Any] | None:
    """A receipt, or None where there is none that can be used."""
    try:
        found = json.loads(receipt.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    usable = isinstance(found, dict) and {"status", "ingest_job_id"} <= set(found)
    return found if usable else None


def _write(path: Path, record: dict[str, Any]) -> None:
    """Write a receipt whole or not at all."""
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    write_whole(path, lambda stream: stream.write(text.encode()))
