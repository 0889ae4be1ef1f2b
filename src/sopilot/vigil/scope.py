"""Where a search or a question looks: which indexed videos, and which spans of each.

Called before every retrieval. What cannot be searched is named, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from sqlalchemy import Connection

from sopilot.core.errors import Conflict, InputError
from sopilot.core.timespan import TimeSpan, union
from sopilot.store.times import parse_text
from sopilot.vigil import queries
from sopilot.vigil.schemas import Domain, FootageRow

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A daily span by the clock of the recording; one that ends before it starts runs over
    midnight. days: of the week on which it starts, 0 = Monday; empty = all."""

    start: time
    end: time
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """What the asker chose; None = any. videos: ids or uids. span: seconds within each video.

    recorded_after, recorded_before, time_of_day: by the time of recording, which must be known.
    """

    videos: tuple[str, ...] = ()
    domain: Domain | None = None
    camera_id: str | None = None
    site_id: str | None = None
    task_id: str | None = None
    span: TimeSpan | None = None
    recorded_after: datetime | None = None
    recorded_before: datetime | None = None
    time_of_day: TimeOfDay | None = None

    @property
    def wants_clock(self) -> bool:
        """Does it ask for the time of recording?"""
        return any((self.recorded_after, self.recorded_before, self.time_of_day))


@dataclass(frozen=True, slots=True)
class Searched:
    """The videos that are searched, by id, and the spans of those that are not searched whole.

    left_out: in words, what the scope names and cannot be searched.
    """

    videos: Mapping[int, FootageRow]
    spans: Mapping[int, Sequence[TimeSpan]] | None
    left_out: tuple[str, ...] = field(default=())

    @property
    def video_ids(self) -> frozenset[int]:
        """All of them."""
        return frozenset(self.videos)

    @property
    def searched_sec(self) -> float:
        """Seconds of footage that are searched."""
        if self.spans is None:
            return sum(row.duration_sec or 0.0 for row in self.videos.values())
        return sum(span.duration_sec for own in self.spans.values() for span in own)


def in_ms(spans: Mapping[int, Sequence[TimeSpan]]) -> dict[int, list[tuple[int, int]]]:
    """Spans per video as the vector store takes them."""
    return {
        video_id: [(round(s.start_sec * 1000), round(s.end_sec * 1000)) for s in own]
        for video_id, own in spans.items()
    }


def searched(connection: Connection, scope: Scope) -> Searched:
    """The videos and spans of a scope.

    Raises VideoNotFound for a named video that does not exist, Conflict for one that is not
    indexed, InputError for a scope that excludes itself.
    """
    if scope.recorded_after and scope.recorded_before:
        if scope.recorded_after >= scope.recorded_before:
            raise InputError("recorded_after must lie before recorded_before; exchange them")
    rows = _rows(connection, scope)
    spans: dict[int, Sequence[TimeSpan]] = {}
    clockless = 0
    kept: dict[int, FootageRow] = {}
    for row in rows:
        own = _spans(row, scope)
        if own is None:
            clockless += 1
        elif own:
            kept[row.video_id] = row
            spans[row.video_id] = own
    left_out = []
    if clockless:
        left_out.append(
            f"{clockless} video(s) without a time of recording; state recorded_at with the upload"
        )
    waiting = queries.count_unindexed(connection) if not scope.videos else 0
    if waiting:
        left_out.append(f"{waiting} video(s) that are not indexed")
    is_whole = scope.span is None and not scope.wants_clock
    return Searched(kept, None if is_whole else spans, tuple(left_out))


def _rows(connection: Connection, scope: Scope) -> list[FootageRow]:
    if scope.videos:
        rows = [queries.get_footage(connection, video) for video in dict.fromkeys(scope.videos)]
        for row in rows:
            if row.indexed_at is None:
                raise Conflict(
                    f"video {row.uid} is not indexed (it is {row.state}); index it with POST "
                    f"/vigil/videos/{row.uid}/index and wait until it is ready",
                    {"video_id": row.uid, "state": str(row.state)},
                )
    else:
        rows = queries.indexed_footage(connection)
    return [row for row in rows if _fits(row, scope)]


def _fits(row: FootageRow, scope: Scope) -> bool:
    return (
        scope.domain in (None, row.domain)
        and scope.camera_id in (None, row.camera_id)
        and scope.site_id in (None, row.site_id)
        and scope.task_id in (None, row.task_id)
    )


def _spans(row: FootageRow, scope: Scope) -> list[TimeSpan] | None:
    """The searched spans of a video, ascending; None where its clock is asked for and not known."""
    whole = TimeSpan(0.0, row.duration_sec or 0.0)
    own = [whole]
    if scope.span is not None:
        if scope.span.start_sec >= whole.end_sec:
            return []
        own = [scope.span.clamp(0.0, whole.end_sec)]
    if not scope.wants_clock:
        return own
    if row.recorded_from is None:
        return None
    begun = parse_text(row.recorded_from)
    allowed = [_between(scope, begun, whole)]
    if scope.time_of_day is not None:
        daily = _daily(scope.time_of_day, _local(row, begun), whole)
        allowed = [_shared(one, two) for one in daily for two in allowed]
    found = [shared for one in own for two in allowed if two and (shared := _shared(one, two))]
    return union(found)


def _between(scope: Scope, begun: datetime, whole: TimeSpan) -> TimeSpan | None:
    first, last = whole.start_sec, whole.end_sec
    if scope.recorded_after is not None:
        first = max(first, (scope.recorded_after - begun).total_seconds())
    if scope.recorded_before is not None:
        last = min(last, (scope.recorded_before - begun).total_seconds())
    return TimeSpan(first, last) if first < last else None


def _shared(one: TimeSpan, other: TimeSpan | None) -> TimeSpan | None:
    if other is None or one.overlap_sec(other) <= 0.0:
        return None
    return one.clamp(other.start_sec, other.end_sec)


def _local(row: FootageRow, begun: datetime) -> datetime:
    """When recording began, by the clock that its sender wrote."""
    try:
        stated = datetime.fromisoformat(row.recorded_at or "")
    except ValueError:
        return begun
    return begun.astimezone(stated.tzinfo) if stated.tzinfo else begun


def _daily(daily: TimeOfDay, begun: datetime, whole: TimeSpan) -> list[TimeSpan]:
    """The parts of a video that lie within the daily span."""
    length = datetime.combine(begun, daily.end) - datetime.combine(begun, daily.start)
    if length <= timedelta(0):
        length += _DAY
    ended = begun + timedelta(seconds=whole.end_sec)
    day = begun.date() - _DAY
    found = []
    while day <= ended.date():
        if not daily.days or day.weekday() in daily.days:
            start = datetime.combine(day, daily.start, begun.tzinfo)
            first = (start - begun).total_seconds()
            part = _shared(whole, TimeSpan(first, first + length.total_seconds()))
            if part is not None:
                found.append(part)
        day += _DAY
    return found
