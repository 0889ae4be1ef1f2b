"""Nightly adaptation: when a training is due, and what its job does for every task.

`request` queues one, `tick` does so at night, `train` learns. Several servers may share a
database: whoever looks first begins the night's training.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from sopilot.core.config import Settings
from sopilot.core.errors import BlobNotFound, Conflict, SopilotError, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Actor, Progress
from sopilot.embed.base import VideoFeatures, comparison_key
from sopilot.jobs import queries as jobs
from sopilot.jobs.stop import Stop
from sopilot.library import queries as library
from sopilot.library.features import open_features
from sopilot.runtime import Runtime
from sopilot.sop import queries
from sopilot.sop import training_queries as trainings
from sopilot.sop.adapt import adapt
from sopilot.sop.training_command import CommandRun, run_command
from sopilot.sop.training_queries import AdapterRow, TrainingRow
from sopilot.store.audit import Action, record
from sopilot.store.times import text_of

TRAINING_KIND = "sop.adapt"
NIGHTLY = Actor("system:nightly")
CATCH_UP = timedelta(hours=3)
"""How long after its hour a night's training may still begin, where no server ran at the hour."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a training made of a task: the outcome, and the adapter's row where there is one."""

    task_id: str
    reason: str
    version: int
    key: str
    video_ids: tuple[int, ...]
    proof: Mapping[str, Any]
    is_adopted: bool
    clip_count: int


def request(runtime: Runtime, connection: Connection, trigger: str, by: Actor) -> TrainingRow:
    """Queue a training in the caller's transaction. Raises Conflict while another one is open."""
    trainings.lock_trainings(connection)
    running = trainings.open_training(connection)
    if running is not None:
        raise Conflict(
            f"training {running.uid} is {running.status}; wait for its end",
            {"training_job_id": running.uid, "status": running.status},
        )
    uid = trainings.new_uid()
    job = jobs.enqueue(
        connection,
        TRAINING_KIND,
        {"training_uid": uid},
        requested_by=by.name,
        max_attempts=runtime.settings.job_max_retries + 1,
    )
    trainings.insert_training(connection, uid=uid, job_id=job.id, trigger=trigger)
    record(connection, by, Action.TRAINING_REQUESTED, f"training:{uid}", detail={"on": trigger})
    return trainings.get_training(connection, uid)


def last_due(now: datetime, hour: int) -> datetime:
    """The newest moment, not after `now`, at which the clock of `now` showed this hour."""
    due = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return due if due <= now else due - timedelta(days=1)


def next_run(settings: Settings, now: datetime) -> datetime | None:
    """When the next nightly training begins, by the clock of `now`; None when switched off."""
    if not settings.nightly_enabled:
        return None
    return last_due(now, settings.nightly_hour_local) + timedelta(days=1)


def tick(runtime: Runtime, now: datetime) -> TrainingRow | None:
    """Begin this night's training unless it was begun, here or elsewhere, or another one runs."""
    settings = runtime.settings
    due = last_due(now, settings.nightly_hour_local)
    if not settings.nightly_enabled or now - due > CATCH_UP:
        return None
    since = text_of(due)
    with runtime.database.read() as connection:
        if trainings.has_nightly_since(connection, since):
            return None
    with runtime.database.write() as connection:
        trainings.lock_trainings(connection)
        if trainings.has_nightly_since(connection, since) or trainings.open_training(connection):
            return None
        return request(runtime, connection, "nightly", NIGHTLY)


def watch_the_clock(runtime: Runtime, stop: Stop) -> None:
    """`tick` until stopped; runs in a thread of every worker process."""
    while runtime.settings.nightly_enabled and not stop.is_set():
        try:
            tick(runtime, datetime.now().astimezone())
        except SopilotError as error:
            _log.warning("nightly.look_failed", reason=error.message)
        stop.wait(runtime.settings.nightly_check_sec)


def train(
    runtime: Runtime, training_uid: str, progress: Progress
) -> tuple[dict[str, Any], list[Adopted]]:
    """The result record of a training, and what it made of each task; nothing is stored yet.

    Raises ModelError when an external command fails or takes too long.
    """
    settings = runtime.settings
    started = time.monotonic()
    with runtime.database.read() as connection:
        since = trainings.last_learning(connection)
        new = trainings.count_new_videos(connection, since)
    result: dict[str, Any] = {
        "mode": "external_command" if settings.adapt_command else "builtin_feature_adapter",
        "new_videos": new,
        "threshold": settings.nightly_min_new_videos,
        "since": since,
    }
    if new < settings.nightly_min_new_videos:
        reason = f"{new} new videos, fewer than {settings.nightly_min_new_videos}"
        return result | {"status": "skipped", "reason": reason}, []
    if settings.adapt_command:
        run = run_command(settings, training_uid, since, progress)
        return result | {"status": "completed", "reason": None} | _command_fields(run), []
    if not settings.enable_feature_adapter:
        reason = "SOPILOT_ENABLE_FEATURE_ADAPTER is false and there is no SOPILOT_ADAPT_COMMAND"
        return result | {"status": "skipped", "reason": reason}, []
    found = learn_all(runtime, progress)
    adopted = [item for item in found if item.is_adopted]
    return result | {
        "status": "completed",
        "reason": None if adopted else "nothing proved to help; the models in force stay",
        "videos_used": sum(len(item.video_ids) for item in adopted),
        "clips_used": sum(item.clip_count for item in adopted),
        "duration_sec": round(time.monotonic() - started, 3),
        "tasks": [_task_fields(item) for item in found],
    }, found


def learn_all(runtime: Runtime, progress: Progress) -> list[Adopted]:
    """Learn every task that has golds anew, or find that its present model is the better one."""
    with runtime.database.read() as connection:
        task_ids = trainings.tasks_with_golds(connection)
    found = []
    for number, task_id in enumerate(task_ids):
        progress(number / len(task_ids))
        try:
            found.append(_learn(runtime, task_id))
        except SopilotError as error:
            # One task that cannot be learned must not keep the others from it.
            if isinstance(error, StoreError):
                raise
            _log.warning("training.task_failed", task_id=task_id, reason=error.message)
            found.append(Adopted(task_id, error.code.lower(), 0, "", (), {}, False, 0))
    return found


def adopt(connection: Connection, found: Adopted, job_id: int | None) -> None:
    """Put an adopted adaptation into force; what was not adopted changes nothing."""
    if found.is_adopted:
        trainings.insert_adapter(
            connection,
            task_id=found.task_id,
            version=found.version,
            key=found.key,
            video_ids=found.video_ids,
            proof=found.proof,
            job_id=job_id,
        )


def _learn(runtime: Runtime, task_id: str) -> Adopted:
    with runtime.database.read() as connection:
        gold_ids = trainings.ready_golds(connection, task_id)
        confirmed_ids = trainings.confirmed_videos(connection, task_id)
        current = trainings.current_adapter(connection, task_id)
        steps = queries.list_steps(connection, task_id)
    golds = _comparable(runtime, gold_ids, None)
    if not golds:
        raise BlobNotFound(f"no gold of task {task_id} has features; send its file again")
    key = next(iter(golds.values())).producer
    confirmed = _comparable(runtime, confirmed_ids, comparison_key(key))
    present = tuple(current.video_ids) if current else ()
    version = current.version if current else 0
    if not set(present) <= confirmed.keys():
        # A verdict was taken back or a video is gone: what was proven does not exist any more.
        present = ()
    order = [*present, *(v for v in confirmed if v not in present)]
    outcome = adapt(
        list(golds.values()),
        [confirmed[v] for v in order],
        steps or None,
        version=version,
        adopted_count=len(present),
    )
    taken = tuple(order[k] for k in outcome.taken)
    proof = {
        "before": asdict(outcome.before) if outcome.before else None,
        "after": asdict(outcome.after) if outcome.after else None,
    }
    if outcome.is_adopted:
        clips = sum(confirmed[v].clip_count for v in taken)
        return Adopted(
            task_id, outcome.reason, outcome.version, outcome.key, taken, proof, True, clips
        )
    if _is_withdrawn(current, present):
        return Adopted(task_id, "withdrawn", version + 1, outcome.key, (), proof, True, 0)
    return Adopted(task_id, outcome.reason, version, outcome.key, present, proof, False, 0)


def _is_withdrawn(current: AdapterRow | None, present: tuple[int, ...]) -> bool:
    return current is not None and bool(current.video_ids) and not present


def _comparable(
    runtime: Runtime, video_ids: tuple[int, ...], key: tuple[str, ...] | None
) -> dict[int, VideoFeatures]:
    """Features by video; without those that are gone or of another producer than the first."""
    found: dict[int, VideoFeatures] = {}
    with runtime.database.read() as connection:
        rows = library.ready_videos(connection, video_ids)
    for video_id in video_ids:
        try:
            features = open_features(runtime, rows[video_id])
        except (BlobNotFound, KeyError):
            continue
        key = key or comparison_key(features.producer)
        if comparison_key(features.producer) == key:
            found[video_id] = features
    return found


def _task_fields(found: Adopted) -> dict[str, Any]:
    return {
        "task_id": found.task_id,
        "reason": found.reason,
        "is_adopted": found.is_adopted,
        "adapter_version": found.version,
        "key": found.key,
        "video_ids": list(found.video_ids),
        **found.proof,
    }


def _command_fields(run: CommandRun) -> dict[str, Any]:
    return asdict(run) | {"command": list(run.command)}
