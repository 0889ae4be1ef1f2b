"""A stored score as a page: the record, the keyframes of its deviations, and the names around it.

Called by the report routes and the command line; nothing is decoded or compared again.
"""

from __future__ import annotations

from sopilot.core.errors import Conflict
from sopilot.library import queries as library
from sopilot.report.html import ReportHeading, render_score_html
from sopilot.report.wording import Language
from sopilot.runtime import Runtime
from sopilot.sop import queries, tasks
from sopilot.sop.pictures import deviation_pictures


def score_page(runtime: Runtime, score: int | str, language: Language = "en") -> str:
    """The self-contained HTML report of a completed score.

    Raises ScoreNotFound, or Conflict when there is no result.
    """
    with runtime.database.read() as connection:
        row = queries.get_score(connection, score)
        if row.result is None:
            raise Conflict(
                f"score job {row.id} is {row.status}; a report exists when it is completed",
                {"job_id": row.id, "status": row.status},
            )
        gold = library.get_video(connection, row.gold_video_id)
        trainee = library.get_video(connection, row.trainee_video_id)
        profile = tasks.get_profile(connection, runtime.settings, row.task_id)
    heading = ReportHeading(
        job=str(row.id),
        scored_at=(row.finished_at or "")[:19].replace("T", " "),
        task_name=profile.task_name,
        gold_name=gold.original_filename or f"video {gold.id}",
        trainee_name=trainee.original_filename or f"video {trainee.id}",
        operator=trainee.operator_id_hash or "",
        site=trainee.site_id or "",
    )
    return render_score_html(row.result, deviation_pictures(runtime, row.result), language, heading)
