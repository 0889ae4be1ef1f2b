"""Events of footage: definitions, runs over videos, reviews, and what reviews say of a definition.

Called by the routes and the command line; the work of a run is in `vigil.detectors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sopilot.core.errors import Conflict, InputError
from sopilot.core.rates import poisson_bounds
from sopilot.core.records import Actor
from sopilot.jobs import queries as jobs
from sopilot.library import queries as library
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.vigil import event_queries as queries
from sopilot.vigil.calibrate import LEAST_REVIEWED, Calibration, calibration_of
from sopilot.vigil.detectors import check_definition
from sopilot.vigil.event_schemas import (
    DefinitionRow,
    EventRow,
    EventStatus,
    FoundEvent,
    NewDefinition,
    RunRow,
    RunState,
)

DETECT_KIND = "vigil.detect"
MOST_RUNS = 1000
SAME_IOU = 0.5
"""Events of two versions that share at least this of their union are the same one."""


def define(connection: Connection, made: NewDefinition, by: Actor) -> DefinitionRow:
    """A new definition, version 1. Raises Conflict where there is one, InputError."""
    check_definition(made.event_type, made.method)
    if queries.has_definition(connection, made.event_type):
        raise Conflict(
            f"the event {made.event_type} is defined already; change it with PUT "
            f"/vigil/events/definitions/{made.event_type}",
            {"event_type": made.event_type},
        )
    return _insert(connection, made, 1, by)


def redefine(connection: Connection, made: NewDefinition, by: Actor) -> DefinitionRow:
    """The next version of a definition; the ones before stay. Raises DefinitionNotFound,
    InputError."""
    check_definition(made.event_type, made.method)
    last = queries.versions_of(connection, made.event_type)[0]
    return _insert(connection, made, last.version + 1, by)


def _insert(connection: Connection, made: NewDefinition, version: int, by: Actor) -> DefinitionRow:
    row = queries.insert_definition(connection, made, version, by.name)
    record(
        connection,
        by,
        Action.DEFINITION_CHANGED,
        f"definition:{row.event_type}",
        detail={"version": version, "method": row.method, "is_enabled": row.is_enabled},
    )
    return row


def version_of(connection: Connection, event_type: str, version: int | None) -> DefinitionRow:
    """A version of a definition; None = the one in force. Raises DefinitionNotFound, InputError."""
    rows = queries.versions_of(connection, event_type)
    if version is None:
        return rows[0]
    for row in rows:
        if row.version == version:
            return row
    raise InputError(
        f"the event {event_type} has versions 1 to {rows[0].version}, not {version}",
        {"field": "version"},
    )


def request_runs(
    runtime: Runtime,
    connection: Connection,
    definitions: Sequence[DefinitionRow],
    videos: Sequence[int],
    by: Actor,
) -> list[RunRow]:
    """Queue the definitions over the videos, which are ready; runs that are under way go on.

    Raises InputError for more than MOST_RUNS, VideoNotReady; then nothing is queued.
    """
    if len(definitions) * len(videos) > MOST_RUNS:
        raise InputError(
            f"{len(definitions)} definitions over {len(videos)} videos are "
            f"{len(definitions) * len(videos)} runs, at most {MOST_RUNS} at once; name fewer"
        )
    found = []
    for video_id in videos:
        video = library.get_ready_video(connection, video_id)
        for definition in definitions:
            found.append(_queue(runtime, connection, definition, video.id, by))
    record(
        connection,
        by,
        Action.EVENTS_REQUESTED,
        "vigil:events",
        detail={
            "definitions": [f"{row.event_type}@{row.version}" for row in definitions],
            "video_count": len(videos),
        },
    )
    return found


def _queue(
    runtime: Runtime,
    connection: Connection,
    definition: DefinitionRow,
    video_id: int,
    by: Actor,
) -> RunRow:
    known = queries.find_run(connection, definition.id, video_id)
    if known is not None and known.state in (RunState.QUEUED, RunState.RUNNING):
        return known
    run_id = (
        queries.insert_run(connection, definition.id, video_id, by.name)
        if known is None
        else known.id
    )
    job = jobs.enqueue(
        connection,
        DETECT_KIND,
        {"run_id": run_id},
        requested_by=by.name,
        max_attempts=runtime.settings.job_max_retries + 1,
    )
    queries.update_run(
        connection,
        run_id,
        state=str(RunState.QUEUED),
        job_id=job.id,
        error_code=None,
        error_message=None,
    )
    if known is not None and known.job_id is not None:
        jobs.delete_jobs(connection, [known.job_id])
    return queries.get_run(connection, run_id)


def review_event(
    connection: Connection, event: int | str, status: EventStatus, note: str | None, by: Actor
) -> EventRow:
    """Confirm an event, call it a false alarm, or take that back. Raises EventNotFound."""
    row = queries.get_event(connection, event)
    queries.review(connection, row.id, status, note, by.name)
    record(
        connection,
        by,
        Action.EVENT_REVIEWED,
        f"event:{row.id}",
        detail={"status": str(status), "event_type": row.event_type},
    )
    return with_confidence(connection, [queries.get_event(connection, row.id)])[0]


def import_events(
    connection: Connection, video: int | str, found: Sequence[FoundEvent], by: Actor
) -> int:
    """Events that another system told of. Raises VideoNotFound, VideoNotReady, InputError for a
    time outside the video; then none is taken."""
    row = library.get_ready_video(connection, video)
    duration_sec = row.duration_sec or 0.0
    for number, event in enumerate(found):
        if event.span.end_sec > duration_sec + 0.5:
            raise InputError(
                f"event {number} ends at {event.span.end_sec} s, the video has {duration_sec:.1f} "
                "s; correct its times",
                {"index": number},
            )
    count = queries.import_events(connection, row.id, "imported", found)
    record(
        connection,
        by,
        Action.EVENTS_IMPORTED,
        f"video:{row.id}",
        detail={"event_count": count},
    )
    return count


def events_of(
    connection: Connection,
    *,
    video_id: int | None = None,
    event_type: str | None = None,
    status: EventStatus | None = None,
    camera_id: str | None = None,
    least_confidence: float | None = None,
) -> list[EventRow]:
    """Events in force, with confidences where enough was reviewed. least_confidence: leaves out
    those below it and, above 0, those without one, as nothing is known of them."""
    rows = with_confidence(
        connection,
        queries.list_events(
            connection,
            video_id=video_id,
            event_type=event_type,
            status=status,
            camera_id=camera_id,
        ),
    )
    return [row for row in rows if (row.confidence or 0.0) >= (least_confidence or 0.0)]


def with_confidence(connection: Connection, rows: Sequence[EventRow]) -> list[EventRow]:
    """The rows, each with the share of reviewed events of its score that were confirmed."""
    curves: dict[str, Calibration | None] = {}
    found = []
    for row in rows:
        if row.event_type not in curves:
            reviewed = queries.reviewed_scores(connection, row.event_type)
            curves[row.event_type] = calibration_of(reviewed)
        curve = curves[row.event_type]
        if curve is not None and row.score is not None:
            row = replace(row, confidence=round(curve.confidence(row.score), 4))
        found.append(row)
    return found


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """False alarms of a definition at a camera. hours: that were really looked at.

    interval: per hour, 95 % bounds of the rate; of reviewed alarms only, so that the true rate is
    higher while unreviewed events are left.
    """

    event_type: str
    camera_id: str | None
    hours: float
    confirmed: int
    false_alarms: int
    unreviewed: int
    per_hour: float | None
    interval: tuple[float, float] | None


def alarm_rates(
    connection: Connection,
    event_type: str,
    *,
    camera_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> list[AlarmRate]:
    """The rate over all cameras, then camera by camera. Raises DefinitionNotFound."""
    queries.versions_of(connection, event_type)
    seconds = queries.checked_seconds(
        connection, event_type, camera_id=camera_id, since=since, until=until
    )
    counts = queries.statuses_of_runs(connection, [run_id for run_id, _ in seconds])
    cameras = sorted({camera or "" for _, camera in seconds})
    rates = [_rate(event_type, None, seconds, counts)]
    for camera in cameras:
        own = {key: value for key, value in seconds.items() if (key[1] or "") == camera}
        rates.append(_rate(event_type, camera, own, counts))
    return rates


def _rate(
    event_type: str,
    camera_id: str | None,
    seconds: Mapping[tuple[int, str | None], float],
    counts: Mapping[int, Mapping[EventStatus, int]],
) -> AlarmRate:
    total = {status: 0 for status in EventStatus}
    for run_id, _ in seconds:
        for status, count in counts.get(run_id, {}).items():
            total[status] += count
    hours = sum(seconds.values()) / 3600.0
    alarms = total[EventStatus.FALSE_ALARM]
    low, high = poisson_bounds(alarms)
    return AlarmRate(
        event_type,
        camera_id,
        round(hours, 6),
        total[EventStatus.CONFIRMED],
        alarms,
        total[EventStatus.NEW],
        alarms / hours if hours > 0 else None,
        (low / hours, high / hours) if hours > 0 else None,
    )


@dataclass(frozen=True, slots=True)
class Proposal:
    """The lowest threshold that keeps within an alarm budget. threshold: None where even the
    highest score does not, or nothing was reviewed. kept: confirmed events that stay, of so many.
    """

    threshold: float | None
    per_hour: float | None
    kept: int
    confirmed: int
    reviewed: int
    hours: float
    told: str


def threshold_for(connection: Connection, event_type: str, budget_per_hour: float) -> Proposal:
    """A threshold from reviewed events. Raises DefinitionNotFound, InputError for a budget < 0."""
    if not budget_per_hour >= 0.0:
        raise InputError(f"the budget is {budget_per_hour} alarms per hour; give 0 or more")
    queries.versions_of(connection, event_type)
    reviewed = queries.reviewed_scores(connection, event_type)
    hours = sum(queries.checked_seconds(connection, event_type).values()) / 3600.0
    confirmed = sum(is_true for _, is_true in reviewed)
    if not reviewed or hours <= 0.0:
        told = "nothing was reviewed yet; confirm events or call them false alarms first"
        return Proposal(None, None, 0, confirmed, len(reviewed), round(hours, 6), told)
    for score in sorted({score for score, _ in reviewed}):
        alarms = sum(s >= score and not is_true for s, is_true in reviewed)
        if alarms / hours <= budget_per_hour:
            kept = sum(s >= score and is_true for s, is_true in reviewed)
            return Proposal(
                score,
                alarms / hours,
                kept,
                confirmed,
                len(reviewed),
                round(hours, 6),
                _few(reviewed),
            )
    told = "no threshold keeps within it: the highest scores are false alarms; change the wording"
    return Proposal(None, None, 0, confirmed, len(reviewed), round(hours, 6), told)


def _few(reviewed: Sequence[tuple[float, bool]]) -> str:
    if len(reviewed) >= LEAST_REVIEWED:
        return f"from {len(reviewed)} reviewed events"
    return f"from only {len(reviewed)} reviewed events; review {LEAST_REVIEWED} for a firm one"


@dataclass(frozen=True, slots=True)
class Difference:
    """What another version of a definition finds, in the videos that both were looked for in."""

    before: DefinitionRow
    after: DefinitionRow
    video_count: int
    kept: int
    gained: tuple[EventRow, ...]
    lost: tuple[EventRow, ...]


def difference(
    connection: Connection, event_type: str, before: int | None, after: int | None
) -> Difference:
    """Hits that a version gains and loses against another one; None = the last two versions.

    Raises DefinitionNotFound, InputError for a version that is not there.
    """
    new = version_of(connection, event_type, after)
    old = version_of(connection, event_type, new.version - 1 if before is None else before)
    olds = queries.runs_of_version(connection, old.id)
    news = queries.runs_of_version(connection, new.id)
    both = sorted(olds.keys() & news.keys())
    gained: list[EventRow] = []
    lost: list[EventRow] = []
    kept = 0
    for video_id in both:
        a = queries.events_of_run(connection, olds[video_id].id)
        b = queries.events_of_run(connection, news[video_id].id)
        pairs = _paired(a, b)
        kept += len(pairs)
        lost += [row for place, row in enumerate(a) if place not in pairs]
        gained += [row for place, row in enumerate(b) if place not in pairs.values()]
    return Difference(old, new, len(both), kept, tuple(gained), tuple(lost))


def _paired(before: Sequence[EventRow], after: Sequence[EventRow]) -> dict[int, int]:
    """Which events of two runs are the same, one to one, the most alike first."""
    alike = sorted(
        (
            (-a.span.iou(b.span), i, j)
            for i, a in enumerate(before)
            for j, b in enumerate(after)
            if a.span.iou(b.span) >= SAME_IOU
        ),
    )
    pairs: dict[int, int] = {}
    for _, i, j in alike:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs
