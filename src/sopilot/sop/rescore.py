"""Completed scores of a task judged anew under its present profile, in pieces of bounded size.

Every piece is one transaction: the new results, their steps' rows and one audit row that keeps what
they were. Called by the service; nothing is compared again (see `sop.redecide`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import Conflict
from sopilot.core.records import Actor, Step
from sopilot.runtime import Runtime
from sopilot.sop import queries, tasks
from sopilot.sop.annotate import annotate_score
from sopilot.sop.fates import step_fates
from sopilot.sop.profile import TaskProfile, parse_weights
from sopilot.sop.queries import StoredResult
from sopilot.sop.redecide import are_same_steps, redecide
from sopilot.sop.schemas import ScoreResult
from sopilot.store.audit import Action, record

PIECE = 50
"""Scores per transaction: some MB of records, and other writers wait well under a second."""


@dataclass(slots=True)
class Rescored:
    """What a run did, or would do. breakdown: changed decisions, "old -> new" to their number.

    results_changed: also scores and severities. steps_outdated: results whose steps are defined
    otherwise today; they keep theirs until they are run again.
    """

    total_jobs_processed: int = 0
    decisions_changed: int = 0
    results_changed: int = 0
    steps_outdated: int = 0
    breakdown: Counter[str] = field(default_factory=Counter)


def rescore_task(
    runtime: Runtime, task_id: str, by: Actor, *, is_dry_run: bool = False, piece: int = PIECE
) -> Rescored:
    """Judge every completed score of a task anew; a dry run writes nothing.

    Raises TaskNotFound, and Conflict when the profile is changed meanwhile (what was judged until
    then stays judged; run it again).
    """
    with runtime.database.read() as connection:
        profile = tasks.get_profile(connection, runtime.settings, task_id)
    done, last_id = Rescored(), 0
    while True:
        if is_dry_run:
            with runtime.database.read() as connection:
                rows = queries.completed_results(connection, task_id, last_id, piece)
                _judge(connection, profile, rows, done)
        else:
            with runtime.database.write() as connection:
                queries.find_task(connection, task_id, lock=True)
                _require_same(tasks.get_profile(connection, runtime.settings, task_id), profile)
                rows = queries.completed_results(connection, task_id, last_id, piece)
                changes = _judge(connection, profile, rows, done)
                _write(connection, profile, changes, by)
        if len(rows) < piece:
            return done
        last_id = rows[-1].id


def _require_same(now: TaskProfile, started: TaskProfile) -> None:
    if now.version != started.version:
        raise Conflict(
            f"the profile of task {now.task_id} became version {now.version} while version "
            f"{started.version} was applied; rescore again",
            {"version": now.version},
        )


def _judge(
    connection: Connection, profile: TaskProfile, rows: Sequence[StoredResult], done: Rescored
) -> list[tuple[StoredResult, ScoreResult]]:
    """The rows whose record changes, with the new one; counts them."""
    defined: tuple[Step, ...] = queries.list_steps(connection, profile.task_id)
    changed = []
    for row in rows:
        old = ScoreResult.model_validate(row.result)
        new = redecide(old, profile, parse_weights(row.weights, profile.weights), defined)
        done.total_jobs_processed += 1
        done.steps_outdated += bool(defined) and not are_same_steps(old, defined)
        if new == old:
            continue
        changed.append((row, new))
        done.results_changed += _outcome(new) != _outcome(old)
        if new.summary.decision != old.summary.decision:
            done.decisions_changed += 1
            done.breakdown[f"{old.summary.decision} -> {new.summary.decision}"] += 1
    return changed


def _outcome(result: ScoreResult) -> tuple[float, str, str, Mapping[str, int]]:
    summary = result.summary
    counts = summary.severity_counts.model_dump()
    return result.score, summary.decision, summary.decision_basis, counts


def _write(
    connection: Connection,
    profile: TaskProfile,
    changes: Sequence[tuple[StoredResult, ScoreResult]],
    by: Actor,
) -> None:
    before: list[dict[str, Any]] = []
    for row, new in changes:
        old = ScoreResult.model_validate(row.result)
        queries.replace_result(
            connection,
            row.id,
            new.model_dump(mode="json"),
            score=new.score,
            decision=new.summary.decision,
            profile_version=profile.version,
        )
        queries.replace_score_steps(connection, row.id, step_fates(new))
        annotate_score(connection, row.id, row.trainee_video_id, new)
        before.append({"score_id": row.id, "old": _brief(old), "new": _brief(new)})
    if changes:
        record(
            connection,
            by,
            Action.SCORES_RESCORED,
            f"task:{profile.task_id}",
            task_id=profile.task_id,
            detail={"version": profile.version, "changes": before},
        )


def _brief(result: ScoreResult) -> dict[str, Any]:
    """What a result said, as the audit log keeps it; its profile version says by which rules."""
    confidence = result.confidence
    return {
        "score": result.score,
        "decision": result.summary.decision,
        "basis": result.summary.decision_basis,
        "profile_version": result.profile_version,
        "interval": None if confidence is None else [confidence.ci_low, confidence.ci_high],
    }
