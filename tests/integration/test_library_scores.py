"""Scores between rows and records on both databases, from stored features to the stored result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from service_parts import (
    add,
    open_test_runtime,
    work,
)

from sopilot.api.auth import Access, Principal
from sopilot.api.routers import scores
from sopilot.core.errors import (
    Conflict,
    InputError,
    InsufficientClips,
    ProducerMismatch,
    ScoreNotFound,
    SopilotError,
    TaskMismatch,
    TaskNotAllowed,
    TaskNotFound,
    VideoNotFound,
    VideoNotGold,
    VideoNotReady,
)
from sopilot.core.records import Actor, Step
from sopilot.core.timespan import TimeSpan
from sopilot.jobs import queries as jobs
from sopilot.jobs.records import Job, JobState
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop import queries, tasks
from sopilot.sop.evaluate import ScoreOrder, resubmit, submit
from sopilot.sop.pictures import deviation_pictures
from sopilot.sop.schemas import ScoreResult
from sopilot.store.derived import list_derived
from sopilot.worker import kinds_of

BY = Actor("test")


def order(runtime: Runtime, golds: tuple[int, ...], trainee: int, **weights: float) -> int:
    with runtime.database.write() as connection:
        wanted = ScoreOrder(golds, trainee, weights or None)
        return submit(runtime, connection, wanted, Actor("test")).id


def score(runtime: Runtime, score_id: int) -> queries.ScoreRow:
    with runtime.database.read() as connection:
        return queries.get_score(connection, score_id)


def test_a_score_is_stored_whole_and_reads_back(runtime: Runtime) -> None:
    score_id = order(runtime, (1,), 2)
    queued = score(runtime, score_id)
    assert (queued.status, queued.result, queued.score) == ("queued", None, None)
    assert work(runtime, queued.job_id).state is JobState.COMPLETED
    done = score(runtime, score_id)
    result = ScoreResult.model_validate(done.result)
    assert (done.score, done.decision) == (result.score, result.summary.decision)
    assert result.score < 95
    assert (result.gold_video_id, result.trainee_video_id) == (1, 2)
    assert result.confidence is not None
    assert result.confidence.ci_low <= result.score <= result.confidence.ci_high
    assert result.producers["gold"].name == "color-motion"
    assert done.result is not None
    pictures = deviation_pictures(runtime, done.result)
    assert len(pictures) == len(result.deviations) > 0
    assert all(p.gold and p.trainee and p.gold.jpeg[:2] == b"\xff\xd8" for p in pictures)
    with runtime.database.read() as connection:
        assert queries.get_score(connection, done.uid) == done
        rows, total = queries.list_scores(
            connection, status="completed", task_id=None, limit=5, offset=0
        )
    assert total == 1
    assert rows[0].summary is not None
    assert rows[0].summary["score_band"] == result.summary.score_band


def test_the_gold_against_itself_is_perfect_and_repeatable(runtime: Runtime) -> None:
    results = []
    for _ in range(2):
        score_id = order(runtime, (1,), 1)
        work(runtime, score(runtime, score_id).job_id)
        results.append(score(runtime, score_id).result)
    assert results[0] == results[1]
    first = ScoreResult.model_validate(results[0])
    assert first.score >= 99.5
    assert first.deviations == []


def test_orders_that_cannot_be_scored_are_refused_when_submitted(
    runtime: Runtime, clips: dict[str, Path]
) -> None:
    foreign = add(runtime, clips["swapped"], task_id="other").video.id
    waiting = add(runtime, clips["gold"]).video.id
    for golds, trainee, error in (
        ((99,), 2, VideoNotFound),
        ((1,), 99, VideoNotFound),
        ((2,), 1, VideoNotGold),
        ((1,), foreign, TaskMismatch),
        ((1,), waiting, VideoNotReady),
        ((), 2, InputError),
        ((1, 1), 2, InputError),
    ):
        with pytest.raises(error):
            order(runtime, golds, trainee)
    with pytest.raises(InputError, match="weight"):
        order(runtime, (1,), 2, w_miss=0.0, w_swap=0.0, w_dev=0.0, w_time=0.0)
    with runtime.database.read() as connection:
        _, total = queries.list_scores(connection, status=None, task_id=None, limit=5, offset=0)
    assert total == 0


def test_too_few_clips_and_foreign_tasks_are_refused(tmp_path: Path, runtime: Runtime) -> None:
    url = runtime.database.url
    strict = open_test_runtime(tmp_path, url, min_scoring_clips=10_000)
    locked = open_test_runtime(tmp_path, url, enforce_primary_task=True, primary_task_id="x")
    try:
        with pytest.raises(InsufficientClips, match="10000"):
            order(strict, (1,), 2)
        with pytest.raises(TaskNotAllowed):
            order(locked, (1,), 2)
    finally:
        close_runtime(strict)
        close_runtime(locked)


def test_marked_steps_name_the_findings(runtime: Runtime) -> None:
    names = ("Remove", "Clean", "Mount")
    steps = [
        Step(index, name_en=name, span=TimeSpan(5.0 * index, 5.0 * index + 5.0))
        for index, name in enumerate(names)
    ]
    with runtime.database.write() as connection:
        stored = tasks.replace_steps(connection, runtime.settings, "pilot_task", steps, BY)
    assert stored == tuple(steps)
    score_id = order(runtime, (1,), 2)
    work(runtime, score(runtime, score_id).job_id)
    result = ScoreResult.model_validate(score(runtime, score_id).result)
    assert result.steps_source == "marked"
    assert [step.name_en for step in result.timeline] == list(names)
    assert result.metrics.total_steps == 3


def test_steps_beyond_the_gold_end_the_job_with_their_place(runtime: Runtime) -> None:
    """They may have been stored before there was a gold to hold them against."""
    steps = [Step(0, span=TimeSpan(0.0, 5.0)), Step(1, span=TimeSpan(5.0, 99.0))]
    with runtime.database.write() as connection:
        tasks.replace_steps(connection, runtime.settings, "pilot_task", steps, BY)
    job = work(runtime, score(runtime, order(runtime, (1,), 2)).job_id)
    assert (job.state, job.error_code, job.attempt) == (JobState.FAILED, "BAD_STEPS", 1)
    assert "99 s" in (job.error_message or "")


def test_videos_that_were_analysed_differently_are_refused_at_once(
    runtime: Runtime, tmp_path: Path, clips: dict[str, Path]
) -> None:
    masked = open_test_runtime(
        tmp_path, runtime.database.url, privacy_mask_enabled=True, privacy_mask_rects="0:0:1:0.2"
    )
    try:
        again = add(masked, clips["swapped"], is_forced=True)
        assert work(masked, again.job.id).state is JobState.COMPLETED
        for opened in (runtime, masked):
            with pytest.raises(ProducerMismatch, match="send the file again"):
                order(opened, (1,), again.video.id)
    finally:
        close_runtime(masked)


def test_features_that_are_gone_end_the_job_with_a_remedy(
    runtime: Runtime, clips: dict[str, Path]
) -> None:
    with runtime.database.read() as connection:
        sha256 = library.get_video(connection, 2).sha256
        blobs = [row.blob_sha256 for row in list_derived(connection, sha256)]
    for blob_sha256 in blobs:
        runtime.blobs.delete("derived", blob_sha256)
    job = work(runtime, score(runtime, order(runtime, (1,), 2)).job_id)
    assert (job.state, job.error_code, job.attempt) == (JobState.FAILED, "BLOB_NOT_FOUND", 1)
    assert "send its file again" in (job.error_message or "")
    assert work(runtime, add(runtime, clips["swapped"]).job.id).state is JobState.COMPLETED
    assert work(runtime, score(runtime, order(runtime, (1,), 2)).job_id).error_code is None


def test_a_rerun_is_a_new_score_of_the_same_order(runtime: Runtime) -> None:
    first = order(runtime, (1,), 2, w_miss=1.0)
    with runtime.database.write() as connection:
        again = resubmit(runtime, connection, first, Actor("other"))
    old = score(runtime, first)
    assert again.id != old.id
    assert (again.weights, again.gold_video_ids) == (old.weights, old.gold_video_ids)
    assert again.requested_by == "other"


def test_a_cancelled_score_stays_cancelled(runtime: Runtime) -> None:
    row = score(runtime, order(runtime, (1,), 2))
    with runtime.database.write() as connection:
        jobs.request_cancel(connection, row.job_id)
    assert work(runtime, row.job_id).state is JobState.CANCELLED
    done = score(runtime, row.id)
    assert (done.status, done.result) == ("cancelled", None)


def test_a_cancel_over_http_runs_the_clean_up_of_its_kind(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = []

    def clean_up(_connection: object, job: Job, error: SopilotError) -> None:
        cleaned.append((job.kind, error.code))

    kinds = {name: replace(kind, on_failure=clean_up) for name, kind in kinds_of(runtime).items()}
    monkeypatch.setattr(scores, "kinds_of", lambda _: kinds)
    row = score(runtime, order(runtime, (1,), 2))
    answer = scores.cancel_score(str(row.id), Principal("anonymous", Access.ADMIN), runtime)
    assert answer.status == "cancelled"
    assert cleaned == [("sop.score", "JOB_CANCELLED")]


def test_profiles_are_made_on_first_use_and_versioned(runtime: Runtime) -> None:
    settings = runtime.settings
    with runtime.database.write() as connection:
        made = tasks.ensure_task(connection, settings, "drill")
        assert (made.version, made.pass_score) == (1, settings.default_pass_score)
        changed = tasks.change_profile(connection, settings, "drill", {"pass_score": 80.0}, BY)
        same = tasks.change_profile(connection, settings, "drill", {"pass_score": 80.0}, BY)
        assert (changed.version, same.version) == (2, 2)
        with pytest.raises(Conflict):
            tasks.change_profile(connection, settings, "drill", {"retrain_score": 81.0}, BY)
    with runtime.database.read() as connection:
        assert tasks.get_profile(connection, settings, "drill") == changed
        assert tasks.get_profile(connection, settings, "pilot_task").task_name
        with pytest.raises(TaskNotFound):
            tasks.get_profile(connection, settings, "unheard_of")
        with pytest.raises(ScoreNotFound):
            queries.get_score(connection, "no-such-uid")
        figures = {row.task_id: row for row in queries.list_tasks(connection)}
    assert (figures["pilot_task"].gold_count, figures["pilot_task"].video_count) == (1, 2)
    assert figures["drill"].video_count == 0


@pytest.mark.parametrize("task_id", ["", " a", "x" * 129, "a\nb"])
def test_unusable_task_ids_are_refused(tmp_path: Path, task_id: str) -> None:
    runtime = open_test_runtime(tmp_path)
    try:
        with pytest.raises(InputError):
            tasks.check_task(runtime.settings, task_id)
    finally:
        close_runtime(runtime)
