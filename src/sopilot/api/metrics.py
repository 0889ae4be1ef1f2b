"""Prometheus text, counted from the database at every scrape.

Workers are other processes and rows outlive restarts: counters kept in this process would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from sopilot.api.health import embedder_name
from sopilot.jobs.queries import Durations, count_jobs, job_durations
from sopilot.jobs.records import END_STATES, JobState
from sopilot.library.add import INGEST_KIND
from sopilot.library.queries import clip_totals
from sopilot.runtime import Runtime
from sopilot.sop.evaluate import SCORE_KIND

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DURATION_BOUNDS_SEC = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_NAMES = {INGEST_KIND: "ingest", SCORE_KIND: "score"}


class _Figures(Collector):
    """Reads everything in one snapshot."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        with self._runtime.database.read() as connection:
            counts = count_jobs(connection)
            durations = job_durations(connection, DURATION_BOUNDS_SEC)
            clips = clip_totals(connection)
        for kind, name in _NAMES.items():
            yield _job_totals(name, {s: n for (k, s), n in counts.items() if k == kind})
        depth = GaugeMetricFamily(
            "sopilot_queue_depth", "Jobs that wait for a worker.", labels=["queue_name"]
        )
        for kind, name in _NAMES.items():
            depth.add_metric([name], counts.get((kind, JobState.QUEUED), 0))
        yield depth
        yield _job_durations(durations)
        clip_gauge = GaugeMetricFamily(
            "sopilot_video_clips_total", "Clips of ready videos.", labels=["task_id"]
        )
        for task_id, count in clips:
            clip_gauge.add_metric([task_id], count)
        yield clip_gauge
        yield from _about(self._runtime)


def _job_totals(name: str, counts: dict[JobState, int]) -> Metric:
    """`queued` counts every job ever queued, the end states those that reached them: only what
    never falls may be a counter."""
    family = CounterMetricFamily(f"sopilot_{name}_jobs", f"Jobs of {name}.", labels=["status"])
    family.add_metric(["queued"], sum(counts.values()))
    for state in sorted(END_STATES):
        family.add_metric([str(state)], counts.get(state, 0))
    return family


def _job_durations(rows: Sequence[Durations]) -> Metric:
    family = HistogramMetricFamily(
        "sopilot_job_duration_seconds", "Start to end of finished jobs.", labels=["job_type"]
    )
    for row in rows:
        pairs = zip(DURATION_BOUNDS_SEC, row.below, strict=True)
        buckets = [(str(bound), float(number)) for bound, number in pairs]
        name = _NAMES.get(row.kind, row.kind)
        buckets.append(("+Inf", float(row.count)))
        family.add_metric([name], buckets, sum_value=row.total_sec)
    return family


def _about(runtime: Runtime) -> Iterator[Metric]:
    labels = {"version": __version__, "commit": "unknown", "build_date": "unknown"}
    yield InfoMetricFamily("sopilot_build", "Build of the running program.", value=labels)
    labels = {
        "version": __version__,
        "task_id": runtime.settings.primary_task_id,
        "embedder": embedder_name(runtime),
    }
    yield InfoMetricFamily("sopilot", "The running installation.", value=labels)


def render_metrics(runtime: Runtime) -> bytes:
    """All metrics as Prometheus text 0.0.4. Raises StoreError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(runtime))
    return generate_latest(registry)
