"""All SQL on videos. Functions take a connection first; the caller owns the transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, desc, exists, func, select, text
from sqlalchemy import true as sql_true

from sopilot.core.errors import VideoNotFound, VideoNotReady
from sopilot.core.records import Role
from sopilot.library.schemas import (
    Analysis,
    DatasetFigures,
    UploadMeta,
    VideoFilter,
    VideoRow,
    VideoStatus,
)
from sopilot.store.ids import row_name
from sopilot.store.tables import event_runs, incidents, tasks, videos, vigil_videos
from sopilot.store.times import now_text

_FIELDS = tuple(VideoRow.__dataclass_fields__)
_COLUMNS = tuple(videos.c[name] for name in _FIELDS)
# Built once: making the statement anew costs more than running it.
_BY_ID = select(*_COLUMNS).where(videos.c.id == bindparam("wanted"))
_BY_UID = select(*_COLUMNS).where(videos.c.uid == bindparam("wanted"))


def _video(row: Row[Any]) -> VideoRow:
    values = {name: getattr(row, name) for name in _FIELDS}
    values["role"] = Role(values["role"])
    values["status"] = VideoStatus(values["status"])
    values["step_boundaries"] = tuple(values["step_boundaries"] or ())
    return VideoRow(**values)


def get_video(connection: Connection, video: int | str) -> VideoRow:
    """The row of an id or uid. Raises VideoNotFound."""
    wanted = row_name(video)
    query = _BY_ID if isinstance(wanted, int) else _BY_UID
    row = connection.execute(query, {"wanted": wanted}).one_or_none()
    if row is None:
        raise VideoNotFound(f"there is no video {wanted}; GET /videos lists them")
    return _video(row)


def get_ready_video(connection: Connection, video: int | str) -> VideoRow:
    """Like get_video; raises VideoNotReady while it is processed or when that failed."""
    found = get_video(connection, video)
    if found.status is not VideoStatus.READY:
        advice = (
            "wait until its status is ready"
            if found.status is VideoStatus.PROCESSING
            else f"upload another file ({found.error_message})"
        )
        raise VideoNotReady(
            f"video {found.id} is {found.status}; {advice}",
            {"video_id": found.id, "status": str(found.status)},
        )
    return found


def get_video_of_job(connection: Connection, job_id: int) -> VideoRow:
    """The video whose ingest job has this int id. Raises VideoNotFound."""
    row = connection.execute(select(*_COLUMNS).where(videos.c.ingest_job_id == job_id)).first()
    if row is None:
        raise VideoNotFound(f"no video belongs to job {job_id}; it is not an ingest job")
    return _video(row)


_IS_SCORED = videos.c.role != str(Role.FOOTAGE)


def _conditions(chosen: VideoFilter) -> ColumnElement[bool]:
    found: ColumnElement[bool] = sql_true() if chosen.role is not None else _IS_SCORED
    if chosen.task_id is not None:
        found &= videos.c.task_id == chosen.task_id
    if chosen.role is not None:
        found &= videos.c.role == str(chosen.role)
    if chosen.site_id is not None:
        found &= videos.c.site_id == chosen.site_id
    if chosen.is_gold is not None:
        gold = videos.c.role == str(Role.GOLD)
        found &= gold if chosen.is_gold else ~gold
    if chosen.operator_id_hash is not None:
        found &= videos.c.operator_id_hash == chosen.operator_id_hash
    if chosen.status is not None:
        found &= videos.c.status == str(chosen.status)
    return found


def list_videos(
    connection: Connection, chosen: VideoFilter, limit: int, offset: int
) -> tuple[list[VideoRow], int]:
    """One page, newest first, and the number of rows that the filter matches."""
    matching = _conditions(chosen)
    total = connection.execute(select(func.count()).select_from(videos).where(matching)).scalar()
    rows = connection.execute(
        select(*_COLUMNS).where(matching).order_by(videos.c.id.desc()).limit(limit).offset(offset)
    )
    return [_video(row) for row in rows], int(total or 0)


def find_duplicate(
    connection: Connection, sha256: str, task_id: str, role: Role
) -> VideoRow | None:
    """The newest usable row of the same bytes, task and role; not that of an incident, which goes
    with it."""
    is_of_incident = exists().where(incidents.c.video_id == videos.c.id)
    row = connection.execute(
        select(*_COLUMNS)
        .where(
            videos.c.sha256 == sha256,
            videos.c.task_id == task_id,
            videos.c.role == str(role),
            videos.c.status != str(VideoStatus.FAILED),
            ~is_of_incident,
        )
        .order_by(videos.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _video(row)


def first_ready_gold(connection: Connection, task_id: str) -> VideoRow | None:
    """The task's reference gold, in which marked steps have their times: its lowest version."""
    row = connection.execute(
        select(*_COLUMNS)
        .where(
            videos.c.task_id == task_id,
            videos.c.role == str(Role.GOLD),
            videos.c.status == str(VideoStatus.READY),
        )
        .order_by(videos.c.gold_version, videos.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else _video(row)


def insert_video(
    connection: Connection,
    *,
    task_id: str,
    role: Role,
    sha256: str,
    size_bytes: int,
    meta: UploadMeta,
    enforce_quality: bool,
) -> int:
    """A new processing row; returns its id. The task row must exist."""
    now = now_text()
    result = connection.execute(
        videos.insert().values(
            uid=str(uuid.uuid4()),
            task_id=task_id,
            role=str(role),
            status=str(VideoStatus.PROCESSING),
            sha256=sha256,
            size_bytes=size_bytes,
            original_filename=meta.original_filename,
            site_id=meta.site_id,
            camera_id=meta.camera_id,
            operator_id_hash=meta.operator_id_hash,
            recorded_at=meta.recorded_at,
            enforce_quality=enforce_quality,
            created_at=now,
            updated_at=now,
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def _update(connection: Connection, video_id: int, **values: object) -> None:
    connection.execute(
        videos.update().where(videos.c.id == video_id).values(updated_at=now_text(), **values)
    )


def set_ingest_job(connection: Connection, video_id: int, job_id: int) -> None:
    """Tie a video to the job that ingests it."""
    _update(connection, video_id, ingest_job_id=job_id)


def change_meta(connection: Connection, video_id: int, changes: Mapping[str, str]) -> None:
    """Set columns of what the sender said about a recording."""
    _update(connection, video_id, **changes)


def lock_video(connection: Connection, video: int | str) -> VideoRow:
    """get_video, its row locked until the transaction ends. Raises VideoNotFound."""
    found = get_video(connection, video)
    connection.execute(select(videos.c.id).where(videos.c.id == found.id).with_for_update())
    return get_video(connection, found.id)


def delete_video(connection: Connection, video_id: int) -> None:
    """Remove the row; nothing may refer to it any more."""
    connection.execute(videos.delete().where(videos.c.id == video_id))


def dataset_figures(connection: Connection, task_id: str) -> DatasetFigures:
    """Videos of a task that have not failed, counted by role, state and site."""
    rows = connection.execute(
        select(videos.c.role, videos.c.status, videos.c.site_id, func.count())
        .where(videos.c.task_id == task_id, videos.c.status != str(VideoStatus.FAILED), _IS_SCORED)
        .group_by(videos.c.role, videos.c.status, videos.c.site_id)
    ).all()
    by_site: dict[str, int] = {}
    for _, _, site_id, count in rows:
        by_site[site_id or ""] = by_site.get(site_id or "", 0) + count
    return DatasetFigures(
        total_count=sum(row[3] for row in rows),
        gold_count=sum(row[3] for row in rows if row[0] == Role.GOLD),
        trainee_count=sum(row[3] for row in rows if row[0] == Role.TRAINEE),
        ready_count=sum(row[3] for row in rows if row[1] == VideoStatus.READY),
        by_site=dict(sorted(by_site.items())),
    )


def mark_ready(
    connection: Connection, video: VideoRow, found: Analysis, *, is_raw_kept: bool = True
) -> None:
    """Make a row ready; a gold gets the next version of its task (only ready golds count).

    A gold that was analysed again keeps its version.
    """
    version = video.gold_version
    if video.is_gold and version is None:
        version = _next_gold_version(connection, video.task_id)
    _update(
        connection,
        video.id,
        status=str(VideoStatus.READY),
        gold_version=version,
        info=dict(found.info),
        quality=dict(found.quality),
        duration_sec=found.duration_sec,
        clip_count=found.clip_count,
        step_boundaries=list(found.step_boundaries),
        embedding_model=found.embedding_model,
        producer=found.producer,
        error_code=None,
        error_message=None,
        is_raw_kept=is_raw_kept,
    )


def _next_gold_version(connection: Connection, task_id: str) -> int:
    # The row lock (PostgreSQL; SQLite writers are alone) keeps two golds from the same number.
    connection.execute(select(tasks.c.id).where(tasks.c.task_id == task_id).with_for_update())
    highest = connection.execute(
        select(func.max(videos.c.gold_version)).where(videos.c.task_id == task_id)
    ).scalar()
    return int(highest or 0) + 1


def mark_processing(connection: Connection, video_id: int) -> None:
    """Make a ready row wait for another analysis of its upload, which is there (again)."""
    _update(connection, video_id, status=str(VideoStatus.PROCESSING), is_raw_kept=True)


def mark_failed(connection: Connection, video_id: int, code: str, message: str) -> None:
    """Make a row failed, with the reason that its readers see."""
    _update(
        connection,
        video_id,
        status=str(VideoStatus.FAILED),
        error_code=code,
        error_message=message,
    )


def content_is_used(connection: Connection, sha256: str) -> bool:
    """Does any row that has not failed still need these uploaded bytes?"""
    return _has_row(connection, sha256, videos.c.is_raw_kept)


def content_is_known(connection: Connection, sha256: str) -> bool:
    """Does any row that has not failed stand on what was made of these bytes?"""
    return _has_row(connection, sha256, sql_true())


def _has_row(connection: Connection, sha256: str, wanted: ColumnElement[bool]) -> bool:
    usable = videos.c.status != str(VideoStatus.FAILED)
    query = select(videos.c.id).where(videos.c.sha256 == sha256, usable, wanted).limit(1)
    return connection.execute(query).first() is not None


def lock_content(connection: Connection, sha256: str) -> None:
    """Keep other writers of the same bytes out until this transaction ends.

    SQLite writers are alone anyway; PostgreSQL needs the advisory lock so that the last row's
    removal and a new upload of the same file cannot cross.
    """
    if connection.dialect.name == "postgresql":
        key = int(sha256[:15], 16)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


_DELETIONS = 0x44_45_4C_45  # any fixed number: what deletes stored bytes queues up on it


def lock_deletions(connection: Connection, *, is_alone: bool) -> None:
    """Until this transaction ends, delete stored bytes beside others, or let nobody delete any.

    is_alone: the latter, which waits for deletions that have begun. SQLite writers are alone.
    """
    if connection.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock" if is_alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {function}(:key)"), {"key": _DELETIONS})


def clip_totals(connection: Connection, most: int) -> dict[str, int]:
    """Clips of ready videos per task, for the metrics: so many tasks with the most clips, and
    under the empty name what all others have together."""
    rows = connection.execute(
        select(videos.c.task_id, func.coalesce(func.sum(videos.c.clip_count), 0).label("clips"))
        .where(videos.c.status == str(VideoStatus.READY))
        .group_by(videos.c.task_id)
        .order_by(desc("clips"), videos.c.task_id)
    ).all()
    found = {task_id: int(clips) for task_id, clips in rows[:most]}
    rest = sum(int(clips) for _, clips in rows[most:])
    return found | ({"": rest} if rest else {})


def list_ready(connection: Connection) -> list[tuple[VideoRow, int]]:
    """Every ready video that can be scored, with the number of its task's row, by id."""
    rows: Iterable[Row[Any]] = connection.execute(
        select(*_COLUMNS, tasks.c.id.label("task_number"))
        .select_from(videos.join(tasks, videos.c.task_id == tasks.c.task_id))
        .where(videos.c.status == str(VideoStatus.READY), _IS_SCORED)
        .order_by(videos.c.id)
    )
    return [(_video(row), int(row.task_number)) for row in rows]


def all_ids(connection: Connection) -> frozenset[int]:
    """Every video that exists, in whatever state."""
    return frozenset(connection.execute(select(videos.c.id)).scalars())


def jobs_of_footage(connection: Connection, video_id: int) -> list[int]:
    """Jobs that index a video, transcribe it or look for events in it."""
    rows = [
        *connection.execute(
            select(vigil_videos.c.speech_job_id).where(vigil_videos.c.video_id == video_id)
        ).scalars(),
        *connection.execute(
            select(vigil_videos.c.job_id).where(vigil_videos.c.video_id == video_id)
        ).scalars(),
        *connection.execute(
            select(event_runs.c.job_id).where(event_runs.c.video_id == video_id)
        ).scalars(),
    ]
    return [int(job_id) for job_id in rows if job_id is not None]


def hold_of(connection: Connection, video_id: int) -> tuple[str, str] | None:
    """Who forbade to delete a video, and why; None = nobody."""
    row = connection.execute(
        select(vigil_videos.c.held_by, vigil_videos.c.hold_reason).where(
            vigil_videos.c.video_id == video_id, vigil_videos.c.held_by.is_not(None)
        )
    ).one_or_none()
    return None if row is None else (str(row.held_by), str(row.hold_reason))


def incident_of(connection: Connection, video_id: int) -> int | None:
    """The id of the incident that a video was sent in for."""
    query = select(incidents.c.id).where(incidents.c.video_id == video_id)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def ready_videos(connection: Connection, video_ids: Iterable[int]) -> dict[int, VideoRow]:
    """Those of the videos that are ready, by id."""
    rows = connection.execute(
        select(*_COLUMNS).where(
            videos.c.id.in_(list(video_ids)), videos.c.status == str(VideoStatus.READY)
        )
    )
    return {row.id: _video(row) for row in rows}


def task_number(connection: Connection, task_id: str) -> int:
    """The number of a task's row, which must exist."""
    found = connection.execute(select(tasks.c.id).where(tasks.c.task_id == task_id)).scalar_one()
    return int(found)
