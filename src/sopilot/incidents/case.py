"""What an analysis needs of its video: from what ingest stored, else from another look at it.

Called by the job; the pictures of a pass live in the job's folder only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from sopilot.core.records import Keyframe, Progress
from sopilot.core.timespan import TimeSpan, union
from sopilot.incidents import queries
from sopilot.incidents.schemas import Domain, Found, Language
from sopilot.library import queries as library
from sopilot.library.analyze import PICTURES
from sopilot.library.look import (
    look_again,
    picture_producer,
    read_report,
    report_file,
    signals_file,
    stored,
    thumbnails_file,
)
from sopilot.library.play import file_of
from sopilot.library.remove import release_after
from sopilot.library.schemas import VideoRow
from sopilot.media.keyframes import Strip
from sopilot.media.pictures import PictureFile, PicturePlan, ShownPicture
from sopilot.media.signals import Signals
from sopilot.runtime import Runtime
from sopilot.store.derived import delete_kind

OVERVIEW_COUNT = 8
_KEYFRAME_FPS = 10.0
_KEYFRAME_SIDE_PX = 640
_NEAR_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked about a video, and what is known of it. domain: None = inferred.

    overview: pictures spread over the whole video. pictures_of: see `look.Scene`. source: the file
    that others may see, and its name.
    """

    domain: Domain | None
    language: Language
    custom_events: Mapping[str, str]
    sha256: str
    duration_sec: float
    frame_count: int
    shots: tuple[TimeSpan, ...]
    signals: Signals
    overview: Callable[[], Sequence[ShownPicture]]
    pictures_of: Callable[[PicturePlan], Path]
    source: Callable[[], tuple[Path, str]]

    @property
    def cuts_sec(self) -> tuple[float, ...]:
        """Where the picture changes at once, as the record of an analysis holds it."""
        return tuple(round(shot.start_sec, 6) for shot in self.shots[1:])


def open_case(runtime: Runtime, incident_id: int, folder: Path, still: Progress) -> Case:
    """The incident and its video. folder: where files of another look may lie. still: called while
    such a look goes on, whose share is not that of the analysis.

    Raises IncidentNotFound, VideoNotReady, BlobNotFound, MediaError, DiskFull.
    """
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident_id)
        video = library.get_ready_video(connection, row.video_id)
    report = read_report(report_file(runtime, video))
    strip = Strip.from_bytes(thumbnails_file(runtime, video).read_bytes())
    signals = signals_file(runtime, video, folder / "signals", still)
    return Case(
        domain=row.domain,
        language=row.language,
        custom_events=row.custom_events,
        sha256=video.sha256,
        duration_sec=report.duration_sec,
        frame_count=report.frame_count,
        shots=report.shots,
        signals=Signals.from_file(signals),
        overview=lambda: _overview(strip),
        pictures_of=lambda plan: _pictures(runtime, video, plan, folder, still),
        source=lambda: _source(runtime, video),
    )


def _overview(strip: Strip) -> list[ShownPicture]:
    """Thumbnails spread over the whole video."""
    count = min(OVERVIEW_COUNT, len(strip.jpegs))
    places = sorted({round(place) for place in np.linspace(0, len(strip.jpegs) - 1, count)})
    return [
        ShownPicture(
            Keyframe(float(strip.times_sec[place]), strip.jpegs[place]),
            hashlib.sha256(strip.jpegs[place]).hexdigest(),
        )
        for place in places
    ]


def _source(runtime: Runtime, video: VideoRow) -> tuple[Path, str]:
    with runtime.database.read() as connection:
        file = file_of(runtime, connection, video, is_raw=False)
    return file.path, video.original_filename or f"video-{video.id}.mp4"


def _pictures(
    runtime: Runtime, video: VideoRow, plan: PicturePlan, folder: Path, still: Progress
) -> Path:
    producer = picture_producer(runtime, plan)
    known = stored(runtime, video, PICTURES, producer)
    place = folder / producer
    if known is not None or (place / PICTURES).exists():
        return known or place / PICTURES
    return look_again(runtime, video, place, plan, progress=still)[PICTURES]


def with_keyframes(case: Case, found: Found) -> Found:
    """The same, each event with the picture nearest to the middle of its highlight: of those that
    the model saw, else of another look."""
    if not found.events:
        return found
    highlights = [event.highlight for event in found.events]
    plan = found.shown or keyframe_plan(highlights)
    shown = keyframes_in(case.pictures_of(plan), highlights)
    events = tuple(
        replace(event, keyframe=picture) for event, picture in zip(found.events, shown, strict=True)
    )
    return replace(found, events=events)


def keyframe_plan(highlights: Sequence[TimeSpan]) -> PicturePlan:
    """Ten pictures a second around the middle of highlights."""
    middles = [span.centre_sec for span in highlights]
    around = union(TimeSpan(max(0.0, middle - 0.5), middle + 0.5) for middle in middles)
    spans = tuple((span.start_sec, span.end_sec) for span in around)
    return PicturePlan(_KEYFRAME_FPS, 1 / _KEYFRAME_FPS, 1, _KEYFRAME_SIDE_PX, spans=spans)


def keyframes_in(path: Path, highlights: Sequence[TimeSpan]) -> list[Keyframe | None]:
    """Per highlight the picture of a file that is nearest to its middle; None where none is near.
    Raises StoreError."""
    pictures = PictureFile(path)
    try:
        found = [pictures.nearest(span.centre_sec) for span in highlights]
    finally:
        pictures.close()
    return [
        picture
        if picture is not None
        and abs(picture.time_sec - span.centre_sec) <= span.duration_sec / 2 + _NEAR_SEC
        else None
        for picture, span in zip(found, highlights, strict=True)
    ]


def release_pictures(runtime: Runtime, connection: Connection, sha256: str) -> None:
    """Give back the pictures that ingest took along for the first pass."""
    for blob_sha256 in delete_kind(connection, sha256, PICTURES):
        release_after(connection, runtime, blob_sha256, "derived")
