"""The keyframes of a result's deviations, from the stored thumbnail strips of both videos.

Nothing is decoded again. Called by the report routes and the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan
from sopilot.library import queries as library
from sopilot.library.analyze import THUMBNAILS, media_producer
from sopilot.media.keyframes import Strip, choose_keyframe
from sopilot.report.record import DeviationPictures
from sopilot.runtime import Runtime
from sopilot.sop.comparison import EventType
from sopilot.store.derived import find_derived


def deviation_pictures(runtime: Runtime, result: Mapping[str, Any]) -> list[DeviationPictures]:
    """What both videos show at each deviation of a result record; None where nothing is stored."""
    gold = load_strip(runtime, result["gold_video_id"])
    trainee = load_strip(runtime, result["trainee_video_id"])
    return [
        DeviationPictures(
            index,
            _picture(gold, deviation["type"], deviation["gold_timecode"]),
            _picture(trainee, deviation["type"], deviation["trainee_timecode"]),
        )
        for index, deviation in enumerate(result["deviations"])
    ]


def load_strip(runtime: Runtime, video_id: int) -> Strip | None:
    """The thumbnails of a video, or None when they are not stored. Raises VideoNotFound."""
    producer = media_producer(runtime.settings).fingerprint
    with runtime.database.read() as connection:
        video = library.get_video(connection, video_id)
        stored = find_derived(connection, video.sha256, THUMBNAILS, producer)
    if stored is None:
        return None
    return Strip.from_bytes(runtime.blobs.get_bytes("derived", stored.blob_sha256))


def _picture(strip: Strip | None, kind: str, timecode: Sequence[float]) -> Keyframe | None:
    if strip is None:
        return None
    span = TimeSpan(float(timecode[0]), float(timecode[1]))
    if kind == EventType.ORDER_SWAP:
        # Both steps are in both spans, in opposite order: their first halves differ.
        span = TimeSpan(span.start_sec, span.centre_sec)
    return choose_keyframe(strip, span)
