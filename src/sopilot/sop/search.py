"""Search of similar moments: a clip of a ready video in, the most similar clips of its task out.

The hits of the vector store are held against the database, which is the truth: what it does not
know as ready is no answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from sopilot.core.errors import InputError, TaskMismatch
from sopilot.library import queries as library
from sopilot.library.features import open_features
from sopilot.library.moments import collection_of, ensure, moment_vectors
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.store.vectors import Hit, PointFilter


@dataclass(frozen=True, slots=True)
class Moment:
    """A found clip. similarity: cosine, -1 to 1."""

    similarity: float
    video: VideoRow
    clip_index: int
    start_sec: float
    end_sec: float


def similar_moments(
    runtime: Runtime, video_id: int | str, clip_index: int, k: int, task_id: str | None = None
) -> tuple[VideoRow, list[Moment]]:
    """The video asked about and the k moments of its task most similar to one of its clips.

    The clip itself is not among them, nor is anything that another producer made. An index that has
    no vectors of the video's kind is built anew first. Raises
    VideoNotFound, VideoNotReady, TaskMismatch, BlobNotFound, InputError for a clip it lacks.
    """
    with runtime.database.read() as connection:
        video = library.get_ready_video(connection, video_id)
        task = library.task_number(connection, video.task_id)
    if task_id is not None and task_id != video.task_id:
        raise TaskMismatch(
            f"video {video.id} belongs to task {video.task_id}, not {task_id}; leave task_id out "
            "or name the video's own"
        )
    features = open_features(runtime, video)
    if not 0 <= clip_index < features.clip_count:
        raise InputError(
            f"clip {clip_index} does not exist in video {video.id}; give one from 0 to "
            f"{features.clip_count - 1}"
        )
    query = moment_vectors(features)[clip_index]
    collection = collection_of(features)
    ensure(runtime, collection)
    gone: frozenset[int] = frozenset()
    while True:
        chosen = PointFilter(task, None, gone, (video.id, clip_index))
        hits = runtime.vectors.search(collection, query, chosen, k)
        with runtime.database.read() as connection:
            known = library.ready_videos(connection, {hit.video_id for hit in hits})
        unknown = {hit.video_id for hit in hits} - known.keys()
        if not unknown:
            return video, [_moment(hit, known[hit.video_id]) for hit in hits]
        gone |= unknown


def _moment(hit: Hit, video: VideoRow) -> Moment:
    start, end = hit.start_ms / 1000.0, hit.end_ms / 1000.0
    return Moment(round(hit.similarity, 6), video, hit.clip_index, start, end)
