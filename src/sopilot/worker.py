"""Which handler works on which kind of job, and the processes that run them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from sopilot.core.config import SERVER_SECRETS, Settings
from sopilot.core.errors import SopilotError, StoreError
from sopilot.core.log import configure_logging, get_logger
from sopilot.core.places import details_without_places, without_places
from sopilot.embed.base import VideoFeatures
from sopilot.incidents import jobs as incidents
from sopilot.incidents.submit import INCIDENT_KIND
from sopilot.jobs.context import Handler, JobContext, Kind
from sopilot.jobs.loop import Kinds, run_worker
from sopilot.jobs.outbox import deliver_due, receiver_of, start_outbox
from sopilot.jobs.pool import WorkerPool
from sopilot.jobs.retry import named
from sopilot.jobs.stop import Stop, stop_on_signals
from sopilot.library.add import INGEST_KIND
from sopilot.library.annotations import reindex_texts
from sopilot.library.ingest import fail_video, ingest_video
from sopilot.library.remove import watch_leftovers
from sopilot.library.schemas import VideoRow
from sopilot.ops.following import watch_follow
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.annotate import annotate_gold
from sopilot.sop.evaluate import SCORE_KIND
from sopilot.sop.jobs import adapt_tasks, score_ended, score_videos, training_ended
from sopilot.sop.result import step_edges
from sopilot.sop.segment import MOST_ROWS, propose_steps
from sopilot.sop.training import TRAINING_KIND, watch_the_clock
from sopilot.vigil import jobs as vigil
from sopilot.vigil.add import INDEX_KIND
from sopilot.vigil.events import DETECT_KIND
from sopilot.vigil.meaning import MEANING_KIND, embed_texts, watch_texts
from sopilot.vigil.retention import watch_retention
from sopilot.vigil.speech import SPEECH_KIND

_TARGET = "sopilot.worker:run_embedded"
_WORKER_SECRETS = ("webhook_secret", "vlm_api_key", "qdrant_api_key", "text_embedding_api_key")
_log = get_logger(__name__)


def kinds_of(runtime: Runtime) -> Kinds:
    """The table kind -> handler, bound to the handles of this process."""
    kinds = {
        INGEST_KIND: Kind(
            lambda context: ingest_video(
                runtime, context, _boundaries, partial(_video_ready, runtime)
            ),
            on_failure=lambda connection, job, error: fail_video(
                runtime, connection, job, error, partial(_video_failed, runtime)
            ),
        ),
        INCIDENT_KIND: Kind(
            lambda context: incidents.analyse_incident(runtime, context),
            on_failure=lambda connection, job, error: incidents.incident_ended(
                runtime, connection, job, error
            ),
        ),
        INDEX_KIND: Kind(
            lambda context: vigil.index_footage(runtime, context),
            on_failure=lambda connection, job, error: vigil.index_ended(
                runtime, connection, job, error
            ),
            most_at_once=runtime.settings.vigil_concurrent_indexing or None,
        ),
        SPEECH_KIND: Kind(
            lambda context: vigil.transcribe_video(runtime, context),
            on_failure=lambda connection, job, error: vigil.transcription_ended(
                runtime, connection, job, error
            ),
            most_at_once=runtime.settings.vigil_concurrent_indexing or None,
        ),
        MEANING_KIND: Kind(lambda context: embed_texts(runtime, context)),
        DETECT_KIND: Kind(
            lambda context: vigil.detect_events(runtime, context),
            on_failure=lambda connection, job, error: vigil.detection_ended(
                runtime, connection, job, error
            ),
        ),
        SCORE_KIND: Kind(
            lambda context: score_videos(runtime, context),
            on_failure=lambda connection, job, error: score_ended(runtime, connection, job, error),
        ),
        TRAINING_KIND: Kind(
            lambda context: adapt_tasks(runtime, context), on_failure=training_ended
        ),
    }
    data_dir = runtime.settings.data_dir
    return {
        name: replace(kind, handler=_without_places(kind.handler, data_dir))
        for name, kind in kinds.items()
    }


def _without_places(handler: Handler, data_dir: Path) -> Handler:
    """The handler, whose failures name no folder of this machine: they are stored and shown."""

    def handle(context: JobContext) -> None:
        try:
            handler(context)
        except (SopilotError, OSError) as error:
            found = named(error)
            message = without_places(found.message, data_dir)
            details = details_without_places(found.details, data_dir)
            if found is error and (message, details) == (found.message, found.details):
                raise
            is_ours = isinstance(error, SopilotError)
            _log.warning("place.withheld", reason=found.message, exc_info=not is_ours)
            raise type(found)(message, details) from error

    return handle


def _video_ready(runtime: Runtime, connection: Connection, video: VideoRow) -> None:
    """What waits for a ready video, in the transaction that makes it ready."""
    incidents.video_ready(runtime, connection, video)
    vigil.video_ready(runtime, connection, video)
    annotate_gold(connection, video)


def _video_failed(runtime: Runtime, connection: Connection, video: VideoRow) -> None:
    incidents.video_failed(runtime, connection, video)
    vigil.video_failed(connection, video)


def _renew_texts(runtime: Runtime, stop: Stop) -> None:
    """After an update that cuts words otherwise, make stored texts fit it."""
    try:
        count = reindex_texts(runtime.database, stop.is_set)
    except StoreError as error:  # the worker's loop waits for the database
        _log.warning("texts.not_renewed", reason=error.message)
        return
    if count:
        _log.info("texts.renewed", count=count)


def _boundaries(path: Path) -> tuple[int, ...]:
    """Step boundaries of stored features, in the memory of a short video."""
    outline = VideoFeatures.from_file(path, most_clips=MOST_ROWS)
    spans = [step.span for step in propose_steps(outline)]
    return tuple(step_edges(VideoFeatures.from_file(path).clip_spans, spans))


def embedded_pool(settings: Settings) -> WorkerPool:
    """The worker processes of a single-machine installation; start and stop them with it."""
    values = settings.model_dump(mode="json", exclude={*SERVER_SECRETS, *_WORKER_SECRETS})
    for name in _WORKER_SECRETS:
        secret = getattr(settings, name)
        if secret is not None:  # a dump masks it; the order goes through a pipe
            values[name] = secret.get_secret_value()
    return WorkerPool(_TARGET, {"settings": json.dumps(values)}, settings.score_workers)


def run_embedded(arguments: Mapping[str, Any], stop: Stop) -> None:
    """One process of the pool."""
    settings = Settings.model_validate_json(arguments["settings"])
    configure_logging(settings.log_level, settings.log_form)
    _run(settings, stop)


def run_standalone(settings: Settings, *, burst: bool = False) -> None:
    """`sopilot worker`: work until SIGTERM or SIGINT; with burst, at most until no job is ready.

    Raises in a burst StoreError when the database does not answer.
    """
    _run(settings, stop_on_signals(), is_burst=burst)


_DUTIES: Mapping[str, Callable[[Runtime, Stop], None]] = {
    "nightly": watch_the_clock,
    "retention": watch_retention,
    "texts": watch_texts,
    "follow": watch_follow,
    "leftovers": watch_leftovers,
}
"""What a worker process looks after beside its jobs, each in a thread of its own until the end."""


def _run(settings: Settings, stop: Stop, *, is_burst: bool = False) -> None:
    runtime = open_runtime(settings)
    receiver = receiver_of(settings)
    thread = None
    duties = [
        threading.Thread(target=duty, args=(runtime, stop), name=name, daemon=True)
        for name, duty in _DUTIES.items()
    ]
    try:
        _renew_texts(runtime, stop)
        if receiver is not None and not is_burst:
            thread = start_outbox(runtime.database, receiver, stop)
        if not is_burst:
            for other in duties:
                other.start()
        run_worker(
            runtime.database,
            kinds_of(runtime),
            stop,
            lease_sec=settings.job_lease_seconds,
            transport=runtime.transport,
            is_burst=is_burst,
        )
        if receiver is not None and is_burst:
            deliver_due(runtime.database, receiver, stop)
    finally:
        if thread is not None and stop.is_set():
            thread.join(settings.webhook_timeout_sec)
        for other in duties:
            if other.is_alive():
                other.join(5.0)
        close_runtime(runtime)
