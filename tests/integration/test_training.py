"""Nightly adaptation: what a training learns, keeps, skips, runs and stamps."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_parts import open_test_runtime, work
from sqlalchemy import select
from test_api_service import serving

from sopilot.adapt import train_domain_adapter
from sopilot.api.app import create_app
from sopilot.core.errors import BadSettings, Conflict
from sopilot.core.records import Actor, Producer, Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.jobs import queries as jobs
from sopilot.library import queries as library
from sopilot.library.schemas import Analysis, UploadMeta
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop import queries, tasks
from sopilot.sop import training_queries as trainings
from sopilot.sop.evaluate import SCORE_KIND
from sopilot.sop.training import last_due, next_run, request, tick
from sopilot.store.derived import put_derived
from sopilot.store.tables import audit_log, score_reviews, scores
from sopilot.store.times import now_text

TASK = "pilot_task"
WHO = Actor("test", "admin")
STEPS, HOP_SEC, STEP_CLIPS, WIDTH = 4, 0.6, 12, 60


def execution(seed: int, noise: float, order: Sequence[int] = range(STEPS)) -> VideoFeatures:
    """Made-up features of the steps in order; noise: how differently this person does them."""
    rng = np.random.default_rng(seed)
    rows = []
    for step in order:
        begin, way = np.random.default_rng([0, step]).normal(size=(2, WIDTH))
        rows.append(begin + 1.5 * np.linspace(0, 1, STEP_CLIPS)[:, None] * way)
    clean = np.concatenate(rows)
    views = {
        name: clean + noise * rng.normal(size=clean.shape)
        for name in ("crop", "crop@1", "layout", "layout@1")
    }
    starts = np.arange(len(clean)) * HOP_SEC
    return VideoFeatures(
        Producer("made-up", "1"),
        np.stack([starts, starts + HOP_SEC], axis=1),
        Blocks(views),
        np.full(len(clean), 0.05, np.float32),
        (),
        float(starts[-1] + HOP_SEC),
    )


def put(runtime: Runtime, features: VideoFeatures, role: Role = Role.TRAINEE) -> int:
    """A ready video with these features."""
    sha256 = uuid.uuid4().hex * 2
    with runtime.database.write() as connection:
        tasks.ensure_task(connection, runtime.settings, TASK)
        put_derived(
            connection,
            runtime.blobs,
            content_sha256=sha256,
            kind="features",
            producer=features.producer.fingerprint,
            data=features.to_bytes(),
        )
        video_id = library.insert_video(
            connection,
            task_id=TASK,
            role=role,
            sha256=sha256,
            size_bytes=1,
            meta=UploadMeta(),
            enforce_quality=False,
        )
        found = Analysis(
            info={},
            quality={"overall_pass": True},
            duration_sec=features.duration_sec,
            clip_count=features.clip_count,
            step_boundaries=(0, features.clip_count),
            embedding_model="made-up",
            producer=features.producer.fingerprint,
        )
        library.mark_ready(connection, library.get_video(connection, video_id), found)
    return video_id


def scored(runtime: Runtime, gold_id: int, video_id: int, verdict: str | None = None) -> int:
    """A score of a video, worked on unless it is only there to carry a review."""
    with runtime.database.write() as connection:
        uid = str(uuid.uuid4())
        job = jobs.enqueue(connection, SCORE_KIND, {"score_uid": uid}, requested_by="test")
        score_id = queries.insert_score(
            connection,
            uid=uid,
            job_id=job.id,
            task_id=TASK,
            gold_video_ids=[gold_id],
            trainee_video_id=video_id,
            weights=None,
            requested_by="test",
        )
        if verdict is not None:
            jobs.request_cancel(connection, job.id)
    if verdict is not None:
        review(runtime, score_id, verdict)
    else:
        work(runtime, job.id)
    return score_id


def review(runtime: Runtime, score_id: int, verdict: str) -> None:
    with runtime.database.write() as connection:
        connection.execute(score_reviews.delete().where(score_reviews.c.score_id == score_id))
        connection.execute(
            score_reviews.insert().values(
                score_id=score_id,
                verdict=verdict,
                reviewer="test",
                created_at=now_text(),
                updated_at=now_text(),
            )
        )


def steps() -> tuple[Step, ...]:
    length = STEP_CLIPS * HOP_SEC
    return tuple(
        Step(index=k, span=TimeSpan(round(k * length, 3), round((k + 1) * length, 3)))
        for k in range(STEPS)
    )


@pytest.fixture
def opened(tmp_path: Path, database_url: str) -> Iterator[Any]:
    """Opens a runtime with the given settings."""
    made: list[Runtime] = []

    def open_with(**settings: object) -> Runtime:
        made.append(open_test_runtime(tmp_path, database_url, **settings))
        return made[-1]

    yield open_with
    for runtime in made:
        close_runtime(runtime)


def trained(runtime: Runtime) -> Any:
    """The result of a training begun now and worked on here."""
    with runtime.database.write() as connection:
        row = request(runtime, connection, "manual", WHO)
    work(runtime, row.job_id)
    with runtime.database.read() as connection:
        return trainings.get_training(connection, row.uid)


def adapter(runtime: Runtime) -> trainings.AdapterRow | None:
    with runtime.database.read() as connection:
        return trainings.current_adapter(connection, TASK)


@pytest.fixture
def taught(opened: Any) -> tuple[Runtime, list[int], list[int], list[int]]:
    """Two golds that differ, and four confirmed executions; (runtime, golds, videos, scores)."""
    runtime = opened(nightly_min_new_videos=3)
    golds = [put(runtime, execution(k, 0.6), Role.GOLD) for k in (1, 2)]
    with runtime.database.write() as connection:
        tasks.replace_steps(connection, runtime.settings, TASK, steps(), WHO)
    videos = [put(runtime, execution(k, 0.5)) for k in (11, 12, 13, 14)]
    reviewed = [scored(runtime, golds[0], video, "pass") for video in videos]
    return runtime, golds, videos, reviewed


def test_confirmed_executions_that_help_are_adopted_and_scores_say_so(taught: Any) -> None:
    runtime, golds, videos, _ = taught
    row = trained(runtime)
    assert (row.status, row.result["status"]) == ("completed", "completed")
    task = row.result["tasks"][0]
    assert (task["reason"], task["adapter_version"]) == ("helps", 1)
    assert task["after"]["doubt"] < task["before"]["doubt"]
    assert task["after"]["found_count"] >= task["before"]["found_count"]
    found = adapter(runtime)
    assert found is not None
    assert (found.version, found.video_ids) == (1, tuple(videos))
    score = scored(runtime, golds[0], put(runtime, execution(31, 0.5)))
    with runtime.database.read() as connection:
        result = queries.get_score(connection, score).result
        stamped = connection.execute(
            select(scores.c.adapter_version).where(scores.c.id == score)
        ).scalar()
    assert result is not None
    assert (result["adapter_version"], stamped, result["gold_count"]) == (1, 1, 1)


def test_a_score_before_any_training_names_no_adapter(taught: Any) -> None:
    runtime, golds, videos, _ = taught
    score = scored(runtime, golds[0], videos[0])
    with runtime.database.read() as connection:
        result = queries.get_score(connection, score).result
    assert result is not None
    assert result["adapter_version"] is None


def test_a_second_training_needs_new_videos(taught: Any) -> None:
    runtime, *_ = taught
    trained(runtime)
    row = trained(runtime)
    assert row.result["status"] == "skipped"
    assert (row.result["new_videos"], row.result["threshold"]) == (0, 3)
    assert row.result["since"] is not None
    assert "fewer than 3" in row.result["reason"]
    found = adapter(runtime)
    assert found is not None
    assert found.version == 1


def test_nothing_is_adopted_where_nothing_is_gained(opened: Any) -> None:
    runtime = opened(nightly_min_new_videos=1)
    golds = [put(runtime, execution(k, 0.1), Role.GOLD) for k in (1, 2)]
    with runtime.database.write() as connection:
        tasks.replace_steps(connection, runtime.settings, TASK, steps(), WHO)
    scored(runtime, golds[0], put(runtime, execution(3, 0.1)), "pass")
    row = trained(runtime)
    assert row.result["tasks"][0]["reason"] == "no_gain"
    assert adapter(runtime) is None


def test_a_verdict_taken_back_withdraws_the_adaptation(taught: Any) -> None:
    runtime, _, _, reviewed = taught
    trained(runtime)
    for score in reviewed:
        review(runtime, score, "fail")
    for seed in (3, 4, 5):
        put(runtime, execution(seed, 0.6), Role.GOLD)
    row = trained(runtime)
    assert row.result["tasks"][0]["reason"] == "withdrawn"
    found = adapter(runtime)
    assert found is not None
    assert (found.version, found.video_ids) == (2, ())


def test_only_one_training_at_a_time(opened: Any) -> None:
    runtime = opened()

    def begin(_: int) -> str:
        try:
            with runtime.database.write() as connection:
                return request(runtime, connection, "manual", WHO).uid
        except Conflict as error:
            return error.code

    found: list[str] = []
    threads = [threading.Thread(target=lambda k=k: found.append(begin(k))) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), found.count("INVALID_STATE")) == (4, 3)


def test_the_night_begins_once_however_many_servers_look(opened: Any) -> None:
    now = datetime.now().astimezone()
    hour = now.hour
    runtime = opened(nightly_enabled=True, nightly_hour_local=hour)
    earlier = last_due(now, hour) - timedelta(minutes=10)
    assert tick(runtime, earlier) is None
    first = tick(runtime, now)
    assert first is not None
    assert (first.trigger, first.requested_by) == ("nightly", "system:nightly")
    work(runtime, first.job_id)
    other = opened(nightly_enabled=True, nightly_hour_local=hour)
    assert [tick(one, now + timedelta(minutes=m)) for m in (0, 9) for one in (runtime, other)] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("hour", "due"), [(9, "2026-03-01T09"), (10, "2026-03-01T10"), (11, "2026-02-28T11")]
)
def test_a_night_is_due_at_its_hour(hour: int, due: str) -> None:
    now = datetime.fromisoformat("2026-03-01T10:30:00+09:00")
    assert last_due(now, hour).isoformat().startswith(due)


def command(code: str) -> str:
    return f"{sys.executable} -c '{code}' {{job_id}} {{since}} {{reports_dir}} ;rm"


def test_the_command_gets_words_without_a_shell_and_without_secrets(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPILOT_API_KEY", "top-secret")
    code = 'import os, sys; print(sys.argv[1:], [k for k in os.environ if k.startswith("SOPILOT")])'
    runtime = opened(adapt_command=command(code), nightly_min_new_videos=0)
    row = trained(runtime)
    assert row.status == "completed", row.error_message
    result = row.result
    assert (result["mode"], result["return_code"]) == ("external_command", 0)
    reports = str(runtime.settings.data_dir.resolve() / "reports")
    assert result["stdout_tail"].strip() == f"{[row.uid, '', reports, ';rm']} []"
    assert result["command"][-1] == ";rm"


def test_a_failing_command_fails_the_training_with_what_it_printed(opened: Any) -> None:
    runtime = opened(adapt_command=command('print("no gpu"); exit(3)'), nightly_min_new_videos=0)
    row = trained(runtime)
    assert (row.status, row.result["status"], row.result["return_code"]) == ("failed", "failed", 3)
    assert row.result["stdout_tail"] == "no gpu\n"


def test_a_command_that_takes_too_long_is_ended(opened: Any) -> None:
    runtime = opened(
        adapt_command=command("import time; time.sleep(60)"),
        adapt_timeout_sec=0.5,
        nightly_min_new_videos=0,
    )
    row = trained(runtime)
    assert row.status == "failed"
    assert "more than 0.5 s" in row.result["reason"]


def test_an_unknown_placeholder_stops_the_start(opened: Any) -> None:
    with pytest.raises(BadSettings, match="secret"):
        opened(adapt_command="train {secret}")


def test_begin_and_end_of_a_training_are_audited(opened: Any) -> None:
    runtime = opened()
    row = trained(runtime)
    with runtime.database.read() as connection:
        found = connection.execute(
            select(audit_log.c.action, audit_log.c.actor)
            .where(audit_log.c.resource == f"training:{row.uid}")
            .order_by(audit_log.c.seq)
        ).all()
    assert [tuple(item) for item in found] == [
        ("training.requested", "test"),
        ("training.ended", "system:worker"),
    ]


def test_the_endpoints_begin_and_show_a_training(opened: Any) -> None:
    runtime = opened(nightly_enabled=True, nightly_hour_local=3, nightly_min_new_videos=7)
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        begun = client.post("/train/nightly").json()
        assert (begun["status"], begun["trigger"]) == ("queued", "manual")
        assert client.post("/train/nightly").status_code == 409
        with runtime.database.read() as connection:
            job_id = trainings.get_training(connection, begun["training_job_id"]).job_id
        work(runtime, job_id)
        shown = client.get(f"/train/jobs/{begun['training_job_id']}").json()
        assert (shown["status"], shown["result"]["status"]) == ("skipped", "skipped")
        assert client.get(f"/train/jobs/{uuid.uuid4()}").status_code == 404
        status = client.get("/train/nightly/status").json()
    due = next_run(runtime.settings, datetime.now().astimezone())
    assert due is not None
    assert status == {
        "enabled": True,
        "next_run_local": due.isoformat(),
        "hour_local": 3,
        "min_new_videos": 7,
    }


def test_the_module_of_older_installations_learns_the_same(
    taught: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _, videos, _ = taught
    monkeypatch.setenv("SOPILOT_DATABASE_URL", runtime.database.url)
    folders = {name: tmp_path / name for name in ("models", "reports")}
    given = ["--job-id", "j1", "--data-dir", str(runtime.settings.data_dir)]
    for name, folder in folders.items():
        given += [f"--{name}-dir", str(folder)]
    assert train_domain_adapter.main([*given, "--since", "x"]) == 0
    found = adapter(runtime)
    assert found is not None
    assert (found.version, found.video_ids) == (1, tuple(videos))
    for folder in folders.values():
        assert '"helps"' in (folder / "feature_adapter_j1.json").read_text()
