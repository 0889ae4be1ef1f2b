"""The one use case of a question: find, answer, keep. Called by the routes and the command line."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import InputError
from sopilot.core.records import Actor
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.tallies import Tally, count_model_calls, observe
from sopilot.text.stop import content_words
from sopilot.vigil import queries
from sopilot.vigil.answer import (
    Answer,
    Passage,
    answer_by_quoting,
    answer_with_model,
)
from sopilot.vigil.moments import Moment
from sopilot.vigil.passages import passages_of, why_relevant
from sopilot.vigil.schemas import AnswerRow, NewAnswer
from sopilot.vigil.scope import Scope
from sopilot.vigil.search import SearchResult, find, in_order, open_asker

MOST_QUESTION = 4000


@dataclass(frozen=True, slots=True)
class Reached:
    """An answer and what it was made from. verdicts: of the model that chose the passages. model:
    who answered, None = nobody."""

    answer: Answer
    result: SearchResult
    passages: Sequence[Passage]
    verdicts: Sequence[Mapping[str, Any]]
    model: str | None


def ask(
    runtime: Runtime,
    question: str,
    scope: Scope,
    count: int,
    *,
    by: Actor,
    wants_rerank: bool = True,
) -> AnswerRow:
    """Answer a question from what its words find, and keep question, answer and evidence.

    wants_rerank: the model, where there is one, first chooses among what was found. Raises as
    `search`; then nothing is kept.
    """
    begun = time.perf_counter()
    reached = answered(runtime, question, scope, count, wants_rerank=wants_rerank)
    answer, result = reached.answer, reached.result
    made = NewAnswer(
        question=question,
        request={
            "scope": _scope_record(scope),
            "top_k": count,
            "observed": len(result.found.moments),
        },
        answer=answer.text,
        method=str(answer.method),
        evidence=[_evidence(p, m, result) for p, m in _cited(reached.passages, result, answer)],
        unknowns=[*answer.unknowns, *result.where.left_out],
        raw=answer.raw,
        llm_model=reached.model,
        embedding_model=result.model,
        latency_sec=round(time.perf_counter() - begun, 4),
    )
    with runtime.database.write() as connection:
        _count(connection, result, made, reached.verdicts)
        row = queries.insert_answer(connection, made, requested_by=by.name)
        record(
            connection,
            by,
            Action.QUESTION_ANSWERED,
            f"question:{row.id}",
            detail={
                "method": row.method,
                "question_sha256": hashlib.sha256(question.encode()).hexdigest(),
                "evidence_count": len(row.evidence),
            },
        )
    return row


def answered(
    runtime: Runtime, question: str, scope: Scope, count: int, *, wants_rerank: bool = True
) -> Reached:
    """Answer a question from what its words find; nothing is kept. Raises as `search`."""
    if not question.strip() or len(question) > MOST_QUESTION:
        raise InputError(
            f"the question has {len(question)} characters; ask with 1 to {MOST_QUESTION}"
        )
    subject = " ".join(content_words(question)) or question
    most = runtime.settings.vigil_rerank_count if wants_rerank else 0
    with open_asker(runtime) as client:
        is_reranked = client is not None and most > 0
        wanted = max(count, most) if is_reranked else count
        result = find(runtime, subject, question, scope, wanted)
        verdicts: list[dict[str, Any]] = []
        if client is not None and is_reranked:
            result, verdicts = in_order(runtime, client, question, result, count)
        with runtime.database.read() as connection:
            passages = passages_of(
                runtime,
                connection,
                result.found,
                result.where,
                wants_pictures=client is not None,
            )
        if client is None:
            answer = answer_by_quoting(question, passages, result.found.unknown_words)
        else:
            answer = answer_with_model(client, question, passages)
        if verdicts:
            answer = replace(answer, raw={**(answer.raw or {}), "rerank": verdicts})
        return Reached(answer, result, passages, verdicts, None if client is None else client.model)


def _count(
    connection: Connection,
    result: SearchResult,
    made: NewAnswer,
    verdicts: Sequence[Mapping[str, Any]],
) -> None:
    """Count what an answer took, for the metrics."""
    stages = dict(result.found.timings_sec)
    reranked_sec = stages.pop("rerank", None)
    observe(connection, Tally.VIGIL_SECONDS, "search", sum(stages.values()))
    if reranked_sec is not None:
        observe(connection, Tally.VIGIL_SECONDS, "rerank", reranked_sec)
        failed = sum(item["probability"] is None for item in verdicts)
        count_model_calls(connection, "rerank", answered=len(verdicts) - failed, failed=failed)
    observe(connection, Tally.VIGIL_SECONDS, "answer", made.latency_sec)
    if made.raw is not None and "parts" in made.raw:
        has_failed = "error" in made.raw
        count_model_calls(
            connection, "answer", answered=int(not has_failed), failed=int(has_failed)
        )


def _cited(
    passages: Sequence[Passage], result: SearchResult, answer: Answer
) -> list[tuple[Passage, Moment]]:
    """What the answer cites; of an answer that cites nothing, nothing."""
    ids = {one for _, cited in answer.sentences for one in cited}
    pairs = zip(passages, result.found.moments, strict=True)
    return [(passage, moment) for passage, moment in pairs if passage.id in ids]


def _evidence(passage: Passage, moment: Moment, result: SearchResult) -> dict[str, object]:
    place = list(result.found.moments).index(moment)
    return {
        "id": passage.id,
        "video_id": result.where.videos[moment.video_id].uid,
        "level": moment.level,
        "start_sec": moment.span.as_list()[0],
        "end_sec": moment.span.as_list()[1],
        "score": round(moment.score, 6),
        "why_relevant": why_relevant(moment, result.found),
        "transcript_text": " / ".join(passage.texts) or None,
        "keyframes_sec": [*result.found.keyframes_sec[place]],
    }


def _scope_record(scope: Scope) -> Mapping[str, object]:
    """The scope as JSON, without what was not chosen."""
    told: dict[str, object] = {
        "videos": list(scope.videos),
        "domain": scope.domain and str(scope.domain),
        "camera_id": scope.camera_id,
        "site_id": scope.site_id,
        "task_id": scope.task_id,
        "span": scope.span and scope.span.as_list(),
        "recorded_after": scope.recorded_after and scope.recorded_after.isoformat(),
        "recorded_before": scope.recorded_before and scope.recorded_before.isoformat(),
    }
    if scope.time_of_day is not None:
        daily = scope.time_of_day
        told["time_of_day"] = [daily.start.isoformat(), daily.end.isoformat(), sorted(daily.days)]
    return {name: value for name, value in told.items() if value}


def judge(
    connection: Connection, answer: str, feedback: str, comment: str | None, by: Actor
) -> AnswerRow:
    """Write down what somebody thinks of an answer. Raises QuestionNotFound."""
    row = queries.get_answer(connection, answer)
    queries.judge_answer(connection, row.id, feedback, comment, by.name)
    record(
        connection,
        by,
        Action.ANSWER_JUDGED,
        f"question:{row.id}",
        detail={"feedback": feedback},
    )
    return queries.get_answer(connection, row.id)
