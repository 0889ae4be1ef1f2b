"""Score rows of known content, written straight into the tables, for what reads many of them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from sopilot.core.config import load_settings
from sopilot.sop.tasks import ensure_task
from sopilot.store.tables import jobs, score_reviews, score_steps, scores, videos
from sopilot.store.times import text_of

START = datetime(2026, 1, 1, tzinfo=UTC)
DECISIONS = ("pass", "fail", "retrain", "needs_review")


@dataclass(frozen=True)
class Fate:
    """What became of one step."""

    missing: bool = False
    deviating: bool = False
    swapped: bool = False
    over_time: bool = False
    actual_sec: float | None = 4.0


@dataclass(frozen=True)
class Made:
    """One score as it is to be stored. score None: a job without a result. minute: after START."""

    score: float | None = 80.0
    decision: str = "pass"
    operator: str | None = "op-1"
    site: str | None = "north"
    task: str = "pilot_task"
    minute: float = 0
    kind: str = "score"
    verdict: str | None = None
    steps: tuple[Fate, ...] = ()
    video_id: int | None = field(default=None, compare=False)

    @property
    def at(self) -> datetime:
        return START + timedelta(minutes=self.minute)


def store(connection: Connection, made: Iterable[Made]) -> list[int]:
    """Write them in this order; returns the public ids. video_id: None = a new video."""
    return [_store_one(connection, one) for one in made]


def _store_one(connection: Connection, one: Made) -> int:
    ensure_task(connection, load_settings(), one.task)
    now = text_of(one.at)
    video_id = one.video_id or _video(connection, one, now)
    job_id = _job(connection, "completed" if one.score is not None else "failed", now)
    row = scores.insert().values(
        uid=f"s{job_id}",
        job_id=job_id,
        task_id=one.task,
        gold_video_id=video_id,
        gold_video_ids=[video_id],
        trainee_video_id=video_id,
        score=one.score,
        decision=one.decision if one.score is not None else None,
        result={} if one.score is not None else None,
        requested_by="test",
        created_at=now,
        updated_at=now,
        kind=one.kind,
        completed_at=now if one.score is not None else None,
    )
    score_id = int(connection.execute(row).inserted_primary_key[0])
    if one.verdict is not None:
        connection.execute(
            score_reviews.insert().values(
                score_id=score_id,
                verdict=one.verdict,
                reviewer="test",
                created_at=now,
                updated_at=now,
            )
        )
    for index, fate in enumerate(one.steps):
        connection.execute(
            score_steps.insert().values(
                score_id=score_id,
                step_index=index,
                is_missing=fate.missing,
                is_deviating=fate.deviating,
                is_swapped=fate.swapped,
                is_over_time=fate.over_time,
                actual_sec=fate.actual_sec,
            )
        )
    return score_id


def _video(connection: Connection, one: Made, now: str) -> int:
    count = connection.execute(select(func.max(videos.c.id))).scalar_one() or 0
    row = videos.insert().values(
        uid=f"v{count}",
        task_id=one.task,
        role="trainee",
        status="ready",
        sha256=f"{count:064x}",
        size_bytes=1,
        site_id=one.site,
        operator_id_hash=one.operator,
        enforce_quality=False,
        created_at=now,
        updated_at=now,
    )
    return int(connection.execute(row).inserted_primary_key[0])


def _job(connection: Connection, state: str, now: str) -> int:
    count = len(connection.execute(jobs.select()).all())
    row = jobs.insert().values(
        uid=f"j{count}",
        kind="score",
        queue="score",
        state=state,
        payload={},
        requested_by="test",
        attempt=1,
        max_attempts=3,
        run_after=now,
        fence=1,
        progress=1.0,
        cancel_requested=False,
        created_at=now,
        updated_at=now,
    )
    return int(connection.execute(row).inserted_primary_key[0])


def random_scores(seed: int, count: int) -> list[Made]:
    """Scores of a few tasks, sites and operators, out of order in time, some without a result."""
    dice = random.Random(seed)
    return [
        Made(
            score=None
            if dice.random() < 0.1
            else dice.choice([0.0, 69.99, 70.0, 89.99, 90.0, 100.0])
            if dice.random() < 0.4
            else round(dice.uniform(0, 100), 2),
            decision=dice.choice(DECISIONS),
            operator=dice.choice([None, "op-1", "op-2", "オペ3"]),
            site=dice.choice([None, "north", "south"]),
            task=dice.choice(["pilot_task", "pilot_task", "other"]),
            minute=dice.randrange(count * 3),
            verdict=dice.choice([None, None, *DECISIONS]),
            steps=tuple(_fate(dice) for _ in range(dice.randrange(2, 5))),
        )
        for _ in range(count)
    ]


def _fate(dice: random.Random) -> Fate:
    missing = dice.random() < 0.2
    return Fate(
        missing=missing,
        deviating=dice.random() < 0.3,
        swapped=dice.random() < 0.1,
        over_time=dice.random() < 0.2,
        actual_sec=None if missing else round(dice.uniform(1, 9), 2),
    )
