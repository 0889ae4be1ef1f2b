"""A set of questions put to this installation: what its search finds, and what it answers.

Called by `sopilot eval retrieval --ask`; nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.files import AskedMoment, AskedQuestion, QuestionSet
from sopilot.runtime import Runtime
from sopilot.vigil import queries
from sopilot.vigil.ask import answered
from sopilot.vigil.scope import Scope
from sopilot.vigil.search import LikeMoment, search

MOST_FOUND = 20
_PASSAGES = 5


def answered_by_installation(runtime: Runtime, asked: QuestionSet) -> QuestionSet:
    """The set with what is found, and for questions in words what is answered.

    Videos of the truth are named by file name or uid. Raises InputError for one that is not indexed
    or a name that two have, and what a search or an answer raises.
    """
    with runtime.database.read() as connection:
        rows = queries.indexed_footage(connection)
    names: dict[str, str] = {row.uid: row.uid for row in rows}
    for row in rows:
        if row.filename and names.setdefault(row.filename, row.uid) != row.uid:
            raise InputError(f"two indexed videos are called {row.filename!r}; name them by id")
    return asked.model_copy(
        update={"questions": [_answered(runtime, item, names) for item in asked.questions]}
    )


def _answered(runtime: Runtime, item: AskedQuestion, names: Mapping[str, str]) -> AskedQuestion:
    scope = Scope(
        camera_id=item.camera_id, span=None if item.span is None else TimeSpan(*item.span)
    )
    like = None
    if item.like is not None:
        like = LikeMoment(_uid(item.like.video, names), item.like.time_sec)
    found = search(runtime, item.question, scope, MOST_FOUND, like=like)
    uids = {key: row.uid for key, row in found.where.videos.items()}
    changes: dict[str, Any] = {
        "ranked": [_moment(uids[m.video_id], m.span.as_list()) for m in found.found.moments],
        "truth": [
            true.model_copy(update={"video": _uid(true.video, names)}) for true in item.truth
        ],
    }
    if item.question and like is None:
        reached = answered(runtime, item.question, scope, _PASSAGES)
        passages = {one.id: one for one in reached.passages}
        changes["sentences"] = [
            [_moment(uids[passages[n].video_id], passages[n].span.as_list()) for n in cited]
            for _, cited in reached.answer.sentences
        ]
    return item.model_copy(update=changes)


def _moment(video: str, span: Sequence[float]) -> AskedMoment:
    return AskedMoment(video=video, start_sec=span[0], end_sec=span[1])


def _uid(name: str, names: Mapping[str, str]) -> str:
    if name not in names:
        raise InputError(
            f"the video {name!r} of the questions is not indexed here; add and index it, or "
            "correct its name"
        )
    return names[name]
