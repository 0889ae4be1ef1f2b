"""The clip of an event: the event with a little of what came before and after it."""

from __future__ import annotations

from pathlib import Path

from sopilot.core.errors import EventNotFound
from sopilot.core.timespan import TimeSpan
from sopilot.incidents import queries
from sopilot.library import queries as library
from sopilot.library.cut import clip_of
from sopilot.runtime import Runtime

MARGIN_SEC = 1.0


def highlight(runtime: Runtime, incident: int | str, number: int) -> tuple[Path, str]:
    """The MP4 file of event `number` (1 = the first in time), and a name for it.

    Raises IncidentNotFound, EventNotFound, VideoNotReady, MediaError, DiskFull.
    """
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident)
        video = library.get_ready_video(connection, row.video_id)
        events = queries.list_events(connection, row.id)
    if number > len(events):
        raise EventNotFound(
            f"incident {row.id} has {len(events)} events, there is no number {number}"
        )
    event = events[number - 1]
    span = TimeSpan(event.start_sec - MARGIN_SEC, event.end_sec + MARGIN_SEC)
    path = clip_of(runtime, video, span.clamp(0.0, video.duration_sec or span.end_sec))
    return path, f"incident_{row.id}_event_{number}.mp4"
