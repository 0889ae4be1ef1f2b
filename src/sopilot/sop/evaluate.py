"""The one use case of scoring: stored features of golds and trainee in, the result record out.

`submit` checks a request and queues it; `evaluate` is what its job does. Called by the service and
the command line; reads the library, writes nothing but the queued rows.
"""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from sopilot.core.errors import (
    BatchRefused,
    BlobNotFound,
    Conflict,
    InputError,
    InsufficientClips,
    NotFound,
    ProducerMismatch,
    TaskMismatch,
    VideoNotGold,
)
from sopilot.core.records import Actor, Progress, Step, StepKind, no_progress, plain
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures, comparison_key
from sopilot.jobs import queries as jobs
from sopilot.library import queries as library
from sopilot.library.analyze import fitting_producers
from sopilot.library.features import load_features
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.sop import queries, tasks, training_queries
from sopilot.sop.compare import ALGORITHM, compare_with
from sopilot.sop.ensemble import alone_results, ensemble_record
from sopilot.sop.interval import REPLICATES, score_interval
from sopilot.sop.learn import fit
from sopilot.sop.profile import TaskProfile, Weights, parse_weights
from sopilot.sop.queries import ScoreRow
from sopilot.sop.result import ScoreIds, ScoreOrigin, build_result
from sopilot.sop.schemas import ScoreResult
from sopilot.sop.score import total_score
from sopilot.sop.segment import require_two_steps
from sopilot.sop.steps import validate_steps
from sopilot.store.audit import Action, record

SCORE_KIND = "sop.score"
MAX_GOLDS = 10


@dataclass(frozen=True, slots=True)
class ScoreOrder:
    """What shall be scored; the first gold is the reference of the steps.

    weights: overrides. steps: marked in the first gold, in the place of the task's definitions.
    kind: ensemble asks for what each gold alone finds as well.
    """

    gold_video_ids: tuple[int, ...]
    trainee_video_id: int
    weights: Mapping[str, float | None] | None = None
    steps: tuple[Step, ...] | None = None
    kind: Literal["score", "ensemble"] = "score"


@dataclass(frozen=True, slots=True)
class _Checked:
    """What a check of an order found out."""

    trainee: VideoRow
    weights: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything of a score that lies in the database."""

    row: ScoreRow
    golds: tuple[VideoRow, ...]
    trainee: VideoRow
    profile: TaskProfile
    steps: tuple[Step, ...]
    adopted: tuple[VideoRow, ...] = ()
    adapter_version: int | None = None


def submit(runtime: Runtime, connection: Connection, order: ScoreOrder, by: Actor) -> ScoreRow:
    """Check an order and queue it, in the caller's transaction.

    Raises VideoNotFound, VideoNotReady, VideoNotGold, TaskMismatch, TaskNotAllowed,
    InsufficientClips, ProducerMismatch, or InputError for weights that cannot be used.
    """
    return _queue(runtime, connection, order, _checked(runtime, connection, order), by)


def submit_all(
    runtime: Runtime, connection: Connection, orders: Sequence[ScoreOrder], by: Actor
) -> list[ScoreRow]:
    """Check every order, then queue them all, in the caller's transaction.

    Raises BatchRefused that names every order which `submit` would refuse; then none is queued.
    """
    checked: list[_Checked] = []
    refused: list[dict[str, Any]] = []
    for index, order in enumerate(orders):
        try:
            checked.append(_checked(runtime, connection, order))
        except (InputError, NotFound, Conflict) as error:
            refused.append({"index": index, "code": error.code, "message": error.message})
    if refused:
        first = refused[0]
        raise BatchRefused(
            f"{len(refused)} of {len(orders)} pairs cannot be scored, none was queued; the first "
            f"is pairs[{first['index']}]: {first['message']}",
            {"errors": refused},
        )
    pairs = zip(orders, checked, strict=True)
    return [_queue(runtime, connection, order, found, by) for order, found in pairs]


def submit_ensemble(
    runtime: Runtime, connection: Connection, order: ScoreOrder, by: Actor
) -> ScoreRow:
    """`submit` for golds that a person listed. Raises Conflict unless they are 1 to 10 different
    ones, and as `submit`."""
    golds = order.gold_video_ids
    if not 1 <= len(golds) <= MAX_GOLDS or len(set(golds)) < len(golds):
        raise Conflict(
            f"{len(golds)} golds were given, {len(set(golds))} of them different; give 1 to "
            f"{MAX_GOLDS} different ones",
            {"given": len(golds), "different": len(set(golds)), "most": MAX_GOLDS},
        )
    return submit(runtime, connection, order, by)


def _checked(runtime: Runtime, connection: Connection, order: ScoreOrder) -> _Checked:
    golds = [library.get_video(connection, video_id) for video_id in order.gold_video_ids]
    trainee = library.get_video(connection, order.trainee_video_id)
    check_videos(runtime, connection, golds, trainee)
    profile = tasks.ensure_task(connection, runtime.settings, trainee.task_id)
    weights = parse_weights(order.weights, profile.weights).as_dict() if order.weights else None
    return _Checked(trainee, weights)


def _queue(
    runtime: Runtime, connection: Connection, order: ScoreOrder, checked: _Checked, by: Actor
) -> ScoreRow:
    trainee = checked.trainee
    uid = str(uuid.uuid4())
    job = jobs.enqueue(
        connection,
        SCORE_KIND,
        {"score_uid": uid} | ({"steps": plain(order.steps)} if order.steps else {}),
        requested_by=by.name,
        max_attempts=runtime.settings.job_max_retries + 1,
    )
    score_id = queries.insert_score(
        connection,
        uid=uid,
        job_id=job.id,
        task_id=trainee.task_id,
        gold_video_ids=order.gold_video_ids,
        trainee_video_id=trainee.id,
        weights=checked.weights,
        requested_by=by.name,
        kind=order.kind,
    )
    detail = {
        "kind": order.kind,
        "gold_video_ids": [*order.gold_video_ids],
        "trainee_video_id": trainee.id,
    }
    record(
        connection,
        by,
        Action.SCORE_REQUESTED,
        f"score:{score_id}",
        task_id=trainee.task_id,
        detail=detail,
    )
    return queries.get_score(connection, score_id)


def resubmit(runtime: Runtime, connection: Connection, score: int | str, by: Actor) -> ScoreRow:
    """Queue the same comparison again, as a new score. Raises ScoreNotFound and as submit."""
    old = queries.get_score(connection, score)
    given = _given_steps(connection, old)
    kind: Literal["score", "ensemble"] = "ensemble" if old.kind == "ensemble" else "score"
    order = ScoreOrder(old.gold_video_ids, old.trainee_video_id, old.weights, given, kind)
    return submit(runtime, connection, order, by)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found. alignment_sec: how long the comparison itself took."""

    row: ScoreRow
    result: ScoreResult
    alignment_sec: float


def evaluate(runtime: Runtime, score_uid: str, progress: Progress = no_progress) -> Evaluation:
    """Compare, score and describe; the row and its result, not yet stored.

    Raises ProducerMismatch, InsufficientClips, BadSteps, BlobNotFound when features are gone.
    """
    case = _load_case(runtime, score_uid)
    golds = [load_features(runtime, video) for video in case.golds]
    trainee = load_features(runtime, case.trainee)
    progress(0.1)
    steps = _steps_for(case)
    require_two_steps(golds[0], steps)
    adopted = _adopted(runtime, case, trainee)
    model = fit([*golds, *adopted], steps)
    progress(0.3)
    begun_sec = time.monotonic()
    comparison = compare_with(model, trainee)
    alignment_sec = time.monotonic() - begun_sec
    weights = _weights(case)
    progress(0.4)
    interval = score_interval(
        model,
        trainee,
        lambda found: total_score(found, weights),
        seed=_seed(case),
        comparison=comparison,
    )
    result = build_result(
        comparison,
        case.profile,
        ids=ScoreIds(case.row.task_id, case.row.gold_video_ids, case.row.trainee_video_id),
        origin=ScoreOrigin(
            ALGORITHM,
            {"gold": golds[0].producer, "trainee": trainee.producer},
            case.adapter_version if adopted else None,
        ),
        weights=weights,
        interval=interval,
        replicate_count=REPLICATES,
    )
    if case.row.kind == "ensemble":
        alone = alone_results(
            model, golds, trainee, lambda share: progress(0.6 + 0.4 * share), case.profile, weights
        )
        ids = case.row.gold_video_ids
        result = result.model_copy(update={"ensemble": ensemble_record(result, ids, alone)})
    progress(1.0)
    return Evaluation(case.row, result, alignment_sec)


def check_videos(
    runtime: Runtime, connection: Connection, golds: Sequence[VideoRow], trainee: VideoRow
) -> None:
    """Refuse videos that cannot be compared; raises as `submit`."""
    if not 1 <= len(golds) <= MAX_GOLDS or len({gold.id for gold in golds}) < len(golds):
        raise InputError(f"{len(golds)} golds were given; give 1 to {MAX_GOLDS} different ones")
    for gold in golds:
        if not gold.is_gold:
            raise VideoNotGold(
                f"video {gold.id} is a {gold.role}, not a gold; upload the reference with POST "
                "/gold",
                {"video_id": gold.id},
            )
        if gold.task_id != trainee.task_id:
            raise TaskMismatch(
                f"gold {gold.id} belongs to task {gold.task_id}, video {trainee.id} to "
                f"{trainee.task_id}; choose two videos of one task"
            )
    if not trainee.role.is_scored:
        raise InputError(
            f"video {trainee.id} is {trainee.role}, which is searched and never scored; upload the "
            "file as a trainee's video"
        )
    tasks.check_task(runtime.settings, trainee.task_id)
    _check_producers(runtime, (*golds, trainee))
    least = runtime.settings.min_scoring_clips
    for video in (*golds, trainee):
        ready = library.get_ready_video(connection, video.id)
        if (ready.clip_count or 0) < least:
            raise InsufficientClips(
                f"video {video.id} has {ready.clip_count} clips, scoring needs at least {least}; "
                "record a longer video",
                {"video_id": video.id, "clip_count": ready.clip_count, "least": least},
            )


def _check_producers(runtime: Runtime, videos: Sequence[VideoRow]) -> None:
    """Videos that all wait, or were all made by an older version, are left to the job."""
    made = [video for video in videos if video.producer is not None]
    old = [
        video
        for video in made
        if video.producer not in fitting_producers(runtime.settings, runtime.embedder, video.role)
    ]
    if old and len(old) < len(made):
        raise ProducerMismatch(
            f"video {old[0].id} was analysed by another version or with another privacy mask than "
            "the rest; send the file again, then it is analysed anew",
            {"video_id": old[0].id},
        )


def _load_case(runtime: Runtime, score_uid: str) -> _Case:
    with runtime.database.read() as connection:
        row = queries.get_score(connection, score_uid)
        reference = library.first_ready_gold(connection, row.task_id)
        given = _given_steps(connection, row)
        steps = given or queries.list_steps(connection, row.task_id)
        if given is None and (reference is None or reference.id != row.gold_video_id):
            # Marked times lie in the task's first gold; other golds keep the names only.
            steps = tuple(_without_span(step) for step in steps)
        golds = tuple(library.get_ready_video(connection, v) for v in row.gold_video_ids)
        adapter = None
        if runtime.settings.enable_feature_adapter:
            adapter = training_queries.current_adapter(connection, row.task_id)
        wanted = adapter.video_ids if adapter else ()
        found = library.ready_videos(connection, wanted)
        return _Case(
            row=row,
            golds=golds,
            trainee=library.get_ready_video(connection, row.trainee_video_id),
            profile=tasks.get_profile(connection, runtime.settings, row.task_id),
            # They may have been stored before there was a gold to hold them against.
            steps=validate_steps(steps, golds[0].duration_sec),
            # Without one of them it is not what was proven.
            adopted=tuple(found[v] for v in wanted) if len(found) == len(wanted) else (),
            adapter_version=adapter.version if adapter else None,
        )


def _adopted(runtime: Runtime, case: _Case, trainee: VideoFeatures) -> tuple[VideoFeatures, ...]:
    """Executions of the adaptation in force, without the golds of this score and the trainee.

    None where one of them is gone or was made by another producer.
    """
    known = {video.sha256 for video in (*case.golds, case.trainee)}
    try:
        found = [load_features(runtime, v) for v in case.adopted if v.sha256 not in known]
    except BlobNotFound:
        return ()
    key = comparison_key(trainee.producer)
    return tuple(found) if all(comparison_key(f.producer) == key for f in found) else ()


def _given_steps(connection: Connection, row: ScoreRow) -> tuple[Step, ...] | None:
    """The steps that came with the order, or None."""
    stored = jobs.get_job(connection, row.job_id).payload.get("steps")
    if stored is None:
        return None
    return tuple(
        Step(
            **item
            | {
                "span": TimeSpan(*item["span"]) if item["span"] else None,
                "kind": StepKind(item["kind"]) if item.get("kind") else None,
            }
        )
        for item in stored
    )


def _without_span(step: Step) -> Step:
    values = {name: getattr(step, name) for name in Step.__dataclass_fields__}
    return Step(**values | {"span": None})


def _steps_for(case: _Case) -> tuple[Step, ...] | None:
    return case.steps or None


def _weights(case: _Case) -> Weights:
    return parse_weights(case.row.weights, case.profile.weights)


def _seed(case: _Case) -> int:
    # From the contents, not the rows: the same videos give the same interval on any machine.
    text = "".join(video.sha256 for video in (*case.golds, case.trainee))
    return zlib.crc32(text.encode())
