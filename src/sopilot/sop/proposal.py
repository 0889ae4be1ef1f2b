"""Steps proposed from a task's first gold, to be confirmed by a person. Called by the service."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sopilot.core.errors import BlobNotFound, Conflict
from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.library import queries as library
from sopilot.library.analyze import FEATURES
from sopilot.runtime import Runtime
from sopilot.sop import queries
from sopilot.sop.segment import MOST_ROWS, propose_steps
from sopilot.store.derived import find_derived


@dataclass(frozen=True, slots=True)
class Proposal:
    """Steps that cover the gold from 0 to its end; times in whole milliseconds."""

    gold_video_id: int
    gold_duration_sec: float
    steps: tuple[Step, ...]


def propose_for_task(runtime: Runtime, task_id: str) -> Proposal:
    """The segmentation of the task's first ready gold; nothing is stored.

    Where steps without times are defined, exactly as many are laid out under their names. Raises
    Conflict without a ready gold, BlobNotFound when its features are gone, BadSteps when the named
    steps do not fit.
    """
    with runtime.database.read() as connection:
        gold = library.first_ready_gold(connection, task_id)
        if gold is None:
            raise Conflict(
                f"task {task_id} has no ready gold to propose steps from; upload one with POST "
                "/gold",
                {"task_id": task_id},
            )
        named = [step for step in queries.list_steps(connection, task_id) if step.span is None]
        stored = find_derived(connection, gold.sha256, FEATURES, gold.producer or "")
    if stored is None or not runtime.blobs.exists("derived", stored.blob_sha256):
        raise BlobNotFound(
            f"the features of video {gold.id} are not stored any more; send its file again, then "
            "it is analysed anew"
        )
    path = runtime.blobs.local_path("derived", stored.blob_sha256)
    outline = VideoFeatures.from_file(path, most_clips=MOST_ROWS)
    found = propose_steps(outline, named or None)
    return Proposal(gold.id, outline.duration_sec, tuple(map(_rounded, found)))


def _rounded(step: Step) -> Step:
    return step if step.span is None else replace(step, span=TimeSpan(*step.span.as_list()))
