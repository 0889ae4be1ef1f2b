"""Prometheus text, read from the database at every scrape.

Workers are other processes, perhaps on other machines, and figures outlive restarts: counters kept
in this process would be wrong. What only grows comes from the tallies, which every process writes
in the transaction of its work (`store.tallies`); gauges are what the rows say now. Labels are
kinds, states and names from the settings; tasks, which anybody may add, are limited in number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sopilot import __version__
from sopilot.api.health import embedder_name, embedder_stats
from sopilot.incidents.submit import INCIDENT_KIND
from sopilot.jobs.queries import busy_workers, count_jobs, state_label
from sopilot.jobs.records import JobState
from sopilot.library.add import INGEST_KIND
from sopilot.library.queries import clip_totals
from sopilot.runtime import Runtime
from sopilot.sop.evaluate import SCORE_KIND
from sopilot.sop.training import TRAINING_KIND
from sopilot.sop.training_queries import TrainingCount, count_trainings
from sopilot.store.tallies import BOUNDS_SEC, Figures, Tally, read_tallies
from sopilot.vigil.add import INDEX_KIND
from sopilot.vigil.events import DETECT_KIND
from sopilot.vigil.meaning import MEANING_KIND

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_TASKS = 100
"""Tasks with a series of their own; the clips of all others are summed under an empty task_id."""

_QUEUES = {
    "ingest": INGEST_KIND,
    "score": SCORE_KIND,
    "training": TRAINING_KIND,
    "incident": INCIDENT_KIND,
    "vigil_index": INDEX_KIND,
    "vigil_detect": DETECT_KIND,
    "vigil_texts": MEANING_KIND,
}
_TRIGGERS = ("manual", "nightly")
_ENDS = ("completed", "failed", "cancelled", "skipped")

Tallies = Mapping[Tally, Mapping[str, Figures]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the database says at one moment, by kind of job where it is about jobs."""

    tallies: Tallies
    waiting: Mapping[str, int]
    busy: Mapping[str, int]
    trainings: list[TrainingCount]
    clips: Mapping[str, int]


def _read(runtime: Runtime) -> _Reading:
    with runtime.database.read() as connection:
        counts = count_jobs(connection)
        return _Reading(
            tallies=read_tallies(connection),
            waiting={k: n for (k, state), n in counts.items() if state is JobState.QUEUED},
            busy=busy_workers(connection),
            trainings=count_trainings(connection),
            clips=clip_totals(connection, MOST_TASKS),
        )


class _Figures(Collector):
    """Everything, from one reading."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        reading = _read(self._runtime)
        yield _job_totals("ingest", INGEST_KIND, reading.tallies)
        yield _job_totals("score", SCORE_KIND, reading.tallies)
        for name in ("incident", "vigil_index", "vigil_detect", "vigil_texts"):
            yield _job_totals(name, _QUEUES[name], reading.tallies)
        yield _training_totals(reading.trainings)
        yield from _durations(reading.tallies)
        yield _per_queue("sopilot_queue_depth", "Jobs that wait for a worker.", reading.waiting)
        yield _per_queue(
            "sopilot_active_workers", "Workers that are busy with a job.", reading.busy
        )
        yield _model_calls(reading.tallies)
        clips = GaugeMetricFamily(
            "sopilot_video_clips_total",
            f"Clips of ready videos; tasks beyond {MOST_TASKS} under an empty task_id.",
            labels=["task_id"],
        )
        for task_id, number in reading.clips.items():
            clips.add_metric([task_id], number)
        yield clips
        yield from _embedder(self._runtime, reading.tallies)
        yield from _accelerators()
        yield from _about(self._runtime)


def _job_totals(name: str, kind: str, tallies: Tallies) -> Metric:
    """Jobs that ever reached each state; `running` counts attempts."""
    family = CounterMetricFamily(f"sopilot_{name}_jobs", f"Jobs of {name}.", labels=["status"])
    for state in JobState:
        found = tallies[Tally.JOBS].get(state_label(kind, state))
        family.add_metric([str(state)], found.count if found else 0)
    return family


def _training_totals(rows: list[TrainingCount]) -> Metric:
    family = CounterMetricFamily(
        "sopilot_training_jobs", "Jobs of training.", labels=["status", "trigger"]
    )
    for trigger in _TRIGGERS:
        mine = [row for row in rows if row.trigger == trigger]
        family.add_metric(["queued", trigger], sum(row.count for row in mine))
        family.add_metric(["running", trigger], sum(row.started for row in mine))
        for status in _ENDS:
            ended = sum(row.count for row in mine if row.status == status)
            family.add_metric([status, trigger], ended)
    return family


def _durations(tallies: Tallies) -> Iterator[Metric]:
    yield _histogram(
        "sopilot_job_duration_seconds",
        "First claim to end of completed and failed jobs.",
        "job_type",
        Tally.JOB_SECONDS,
        {queue: tallies[Tally.JOB_SECONDS].get(kind, Figures()) for queue, kind in _QUEUES.items()},
    )
    alignments = tallies[Tally.ALIGNMENT_SECONDS]
    yield _histogram(
        "sopilot_dtw_execution_seconds",
        "Alignment of a trainee with golds and the search for deviations.",
        "use_gpu",
        Tally.ALIGNMENT_SECONDS,
        {"false": alignments.get("cpu", Figures())},
    )
    yield _histogram(
        "sopilot_embedding_generation_seconds",
        "The one pass over a video that makes its features.",
        "embedder_type",
        Tally.FEATURE_SECONDS,
        tallies[Tally.FEATURE_SECONDS],
    )
    yield _histogram(
        "sopilot_vigil_stage_seconds",
        "Parts of indexing, of answering a question, and of looking for an event.",
        "stage",
        Tally.VIGIL_SECONDS,
        tallies[Tally.VIGIL_SECONDS],
    )


def _model_calls(tallies: Tallies) -> Metric:
    family = CounterMetricFamily(
        "sopilot_model_calls",
        "Questions to a model; failed ones after their last attempt.",
        labels=["purpose", "outcome"],
    )
    for label, figures in tallies[Tally.MODEL_CALLS].items():
        purpose, _, outcome = label.rpartition(" ")
        family.add_metric([purpose, outcome], figures.count)
    return family


def _histogram(
    name: str, text: str, label: str, tally: Tally, by_label: Mapping[str, Figures]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    bounds = BOUNDS_SEC[tally]
    for value, figures in by_label.items():
        pairs = zip(bounds, figures.below(bounds), strict=True)
        buckets = [(str(bound), float(number)) for bound, number in pairs]
        buckets.append(("+Inf", float(figures.count)))
        family.add_metric([value], buckets, sum_value=figures.total_sec)
    return family


def _per_queue(name: str, text: str, by_kind: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["queue_name"])
    for queue, kind in _QUEUES.items():
        family.add_metric([queue], by_kind.get(kind, 0))
    return family


def _embedder(runtime: Runtime, tallies: Tallies) -> Iterator[Metric]:
    stats = embedder_stats(runtime, tallies[Tally.EMBEDDER])
    for name, text, number in (
        ("requests", "Analyses begun.", stats.requests_total),
        ("primary_successes", "By the backend asked for.", stats.primary_successes_total),
        ("fallback_uses", "By another that stands in.", stats.fallback_uses_total),
        ("failure_capsules", "Failures kept as a line.", stats.failure_capsules_total),
    ):
        yield CounterMetricFamily(f"sopilot_embed_{name}", text, value=number)
    for name, text, value in (
        ("failed_over", "Another backend stands in for the one asked for.", stats.failed_over),
        ("permanently_failed", "It does so until the next start.", stats.permanently_failed),
        (
            "retry_interval_seconds",
            "Seconds until the one asked for is tried again; 0 = at the next start only.",
            stats.retry_interval_seconds,
        ),
    ):
        yield GaugeMetricFamily(f"sopilot_embed_{name}", text, value=float(value))


def _accelerators() -> Iterator[Metric]:
    """Named without a sample: no backend of this version uses an accelerator."""
    yield GaugeMetricFamily(
        "sopilot_gpu_memory_bytes",
        "Memory of the accelerators in use.",
        labels=["device_id", "memory_type"],
    )
    for name, text in (("free", "Free"), ("total", "Whole")):
        yield GaugeMetricFamily(
            f"sopilot_vram_{name}_bytes", f"{text} memory of the accelerator in use.", labels=()
        )


def _about(runtime: Runtime) -> Iterator[Metric]:
    settings = runtime.settings
    labels = {
        "version": __version__,
        "commit": settings.build_commit,
        "build_date": settings.build_date,
    }
    yield InfoMetricFamily("sopilot_build", "Build of the running program.", value=labels)
    labels = {
        "version": __version__,
        "task_id": settings.primary_task_id,
        "embedder": embedder_name(runtime),
    }
    yield InfoMetricFamily("sopilot", "The running installation.", value=labels)


def render_metrics(runtime: Runtime) -> bytes:
    """All metrics as Prometheus text 0.0.4. Raises StoreError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(runtime))
    return generate_latest(registry)
