"""What scoring knows of videos, as annotations: the steps of a gold, the deviations of a trainee.

Written in the transaction that changes what they say, so that a search never tells of a step or a
deviation that is no more. Called by jobs, rescoring, step changes and deletions.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.library import queries as library
from sopilot.library.annotations import (
    Kind,
    NewAnnotation,
    Source,
    drop_annotations,
    put_annotations,
)
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.sop import queries
from sopilot.sop.schemas import Deviation, ScoreResult

_PIECE = 50


def annotate_steps(connection: Connection, task_id: str) -> None:
    """Put a task's marked steps on its reference gold, where their times lie, and on no other."""
    gold = library.first_ready_gold(connection, task_id)
    producer = f"sop-steps:{library.task_number(connection, task_id)}"
    kept = None if gold is None else gold.id
    drop_annotations(connection, Source.SOP, [producer], except_video_id=kept)
    if gold is not None:
        steps = queries.list_steps(connection, task_id)
        rows = [_step_row(step, step.span, gold) for step in steps if step.span and _names(step)]
        put_annotations(connection, gold.id, Source.SOP, producer, rows)


def annotate_gold(connection: Connection, video: VideoRow) -> None:
    """A gold became ready, perhaps as the reference of its task."""
    if video.is_gold:
        annotate_steps(connection, video.task_id)


def annotate_score(
    connection: Connection, score_id: int, trainee_video_id: int, result: ScoreResult
) -> None:
    """Put the deviations of a completed score on the trainee's video, in place of its old ones."""
    rows = [_deviation_row(score_id, one) for one in result.deviations]
    put_annotations(connection, trainee_video_id, Source.SOP, _producer(score_id), rows)


def forget_scores(connection: Connection, score_ids: Sequence[int]) -> None:
    """Remove the deviations of scores that are deleted."""
    drop_annotations(connection, Source.SOP, [_producer(score_id) for score_id in score_ids])


def annotate_all(runtime: Runtime) -> int:
    """Write all that scoring knows anew, for an installation that is older than annotations; how
    many scores. In pieces, so that others write meanwhile; idempotent."""
    count = 0
    with runtime.database.read() as connection:
        task_ids = queries.task_ids(connection)
    for task_id in task_ids:
        with runtime.database.write() as connection:
            annotate_steps(connection, task_id)
        last_id, is_more = 0, True
        while is_more:
            with runtime.database.write() as connection:
                rows = queries.completed_results(connection, task_id, last_id, _PIECE)
                for row in rows:
                    result = ScoreResult.model_validate(row.result)
                    annotate_score(connection, row.id, row.trainee_video_id, result)
            count += len(rows)
            last_id = rows[-1].id if rows else last_id
            is_more = len(rows) == _PIECE
    return count


def _producer(score_id: int) -> str:
    return f"sop-score:{score_id}"


def _names(step: Step) -> list[str]:
    return [name for name in (step.name_ja, step.name_en) if name]


def _step_row(step: Step, span: TimeSpan, gold: VideoRow) -> NewAnnotation:
    texts = [*_names(step), *([step.description] if step.description else [])]
    return NewAnnotation(
        Kind.TEXT,
        span.clamp(0.0, gold.duration_sec or span.end_sec),
        "\n".join(texts),
        label=step.name_en or step.name_ja,
        detail={"step_index": step.index, "is_critical": step.is_critical},
    )


def _deviation_row(score_id: int, one: Deviation) -> NewAnnotation:
    return NewAnnotation(
        Kind.EVENT,
        TimeSpan(*one.trainee_timecode),
        f"{one.comment_ja}\n{one.comment_en}",
        label=one.type,
        detail={
            "score_id": score_id,
            "step_index": one.step_index,
            "severity": one.severity,
            "certainty": one.certainty,
            "points": one.points,
            "gold_timecode": list(one.gold_timecode),
        },
    )
