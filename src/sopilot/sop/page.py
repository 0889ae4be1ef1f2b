"""A stored score as a report: the record, the keyframes of its deviations, the rows around it.

Called by the report routes and the command line; nothing is decoded or compared again.
"""

from __future__ import annotations

from sopilot.core.errors import Conflict
from sopilot.library import queries as library
from sopilot.library.schemas import VideoRow
from sopilot.report.html import render_score_html
from sopilot.report.record import ReviewNote, ScoreReport
from sopilot.report.wording import Language
from sopilot.runtime import Runtime
from sopilot.sop import queries, tasks
from sopilot.sop.pictures import deviation_pictures
from sopilot.sop.queries import ReviewRow


def score_report(runtime: Runtime, score: int | str) -> ScoreReport:
    """What a report of a completed score shows, in any language and form.

    Raises ScoreNotFound, or Conflict when there is no result.
    """
    with runtime.database.read() as connection:
        row = queries.get_score(connection, score)
        if row.result is None:
            raise Conflict(
                f"score job {row.id} is {row.status}; a report exists when it is completed",
                {"job_id": row.id, "status": row.status},
            )
        golds = [library.get_video(connection, video_id) for video_id in row.gold_video_ids]
        trainee = library.get_video(connection, row.trainee_video_id)
        profile = tasks.get_profile(connection, runtime.settings, row.task_id)
        review = queries.find_review(connection, row.id)
    return ScoreReport(
        result=row.result,
        pictures=tuple(deviation_pictures(runtime, row.result)),
        job=str(row.id),
        scored_at=(row.finished_at or "")[:19].replace("T", " "),
        task_name=profile.task_name,
        gold_names=tuple(_name(gold) for gold in golds),
        trainee_name=_name(trainee),
        operator=trainee.operator_id_hash or "",
        site=trainee.site_id or "",
        review=None if review is None else _review_note(review),
    )


def score_page(runtime: Runtime, score: int | str, language: Language = "en") -> str:
    """The self-contained HTML report of a completed score. Raises what score_report raises."""
    return render_score_html(score_report(runtime, score), language)


def _review_note(review: ReviewRow) -> ReviewNote:
    when = review.updated_at[:16].replace("T", " ") + " UTC"
    return ReviewNote(review.verdict, review.note or "", when, review.reviewer)


def _name(video: VideoRow) -> str:
    return video.original_filename or f"video {video.id}"
