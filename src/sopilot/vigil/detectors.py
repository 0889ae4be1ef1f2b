"""Who looks for an event in a video, by the method of its definition.

A detector is a function of this shape; other packages add theirs, supervised or for what is
unusual, as entry points of the group `sopilot.detectors`, whose names are methods of definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

from sopilot.core.errors import InputError, ModelUnavailable
from sopilot.core.records import Progress
from sopilot.core.timespan import TimeSpan
from sopilot.library.annotations import Kind, Source, TextFilter, list_annotations, search_texts
from sopilot.library.look import read_report, report_file, signals_file, thumbnails_file
from sopilot.library.schemas import VideoRow
from sopilot.media.chunks import ChunkLevel
from sopilot.media.keyframes import StripFile
from sopilot.media.signals import Signals
from sopilot.runtime import Runtime
from sopilot.text.stop import content_words
from sopilot.vigil.event_schemas import DefinitionRow, Detection, EventMethod, FoundEvent
from sopilot.vigil.levels import WINDOWS
from sopilot.vigil.schemas import Domain
from sopilot.vigil.zero_shot import Footage, detect_zero_shot
from sopilot.vlm.client import VlmClient
from sopilot.vlm.open import open_client
from sopilot.vlm.signal import SIGNAL_VERSION, SignalType, signal_events, window_scores

GROUP = "sopilot.detectors"
NO_MODEL = "MODEL_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Task:
    """What a detector is given. folder: of the job, for files that it makes."""

    runtime: Runtime
    definition: DefinitionRow
    video: VideoRow
    domain: Domain
    folder: Path
    progress: Progress

    @property
    def duration_sec(self) -> float:
        """Of the video."""
        return self.video.duration_sec or 0.0

    def shots(self) -> tuple[TimeSpan, ...]:
        """Between the cuts of the video."""
        return read_report(report_file(self.runtime, self.video)).shots

    def signals(self) -> Signals:
        """Motion and light; what ingest did not take is decoded again."""
        folder = self.folder / "signals"
        return Signals.from_file(
            signals_file(self.runtime, self.video, folder, lambda share: self.progress(0.3 * share))
        )

    def thumbnails(self) -> Path:
        """The file of the stored thumbnails."""
        return thumbnails_file(self.runtime, self.video)


Detector = Callable[[Task], Detection]


def detector_of(method: str) -> Detector:
    """The detector of a method. Raises InputError for one that is not installed."""
    if method in _DETECTORS:
        return _DETECTORS[method]
    for entry in entry_points(group=GROUP):
        if entry.name == method:
            found: Detector = entry.load()
            return found
    raise InputError(
        f"no detector {method[:64]!r} is installed; there are {', '.join(methods())}",
        {"field": "method"},
    )


def methods() -> list[str]:
    """Every method that a definition may have, plug-ins included."""
    return sorted({*_DETECTORS, *(entry.name for entry in entry_points(group=GROUP))})


def check_definition(event_type: str, method: str) -> None:
    """Raise InputError where a method cannot find such an event."""
    detector_of(method)
    kinds = [str(kind) for kind in SignalType]
    if method == EventMethod.SIGNAL and event_type not in kinds:
        raise InputError(
            f"the method signal measures {', '.join(kinds)}, not {event_type}; name one of them or "
            "choose another method",
            {"field": "event_type"},
        )


def _by_signal(task: Task) -> Detection:
    """Measured changes of the definition's type; the score is the percentile in the video."""
    least = 0.0 if task.definition.threshold is None else task.definition.threshold
    found = tuple(
        FoundEvent(
            str(event.type),
            event.span,
            round(event.percentile / 100.0, 4),
            "",
            {
                "highlight": event.highlight.as_list(),
                "value": round(event.value, 4),
                "usual": round(event.usual, 4),
                "unit": event.unit,
            },
        )
        for event in signal_events(task.signals(), task.shots())
        if event.type == task.definition.event_type and event.percentile / 100.0 >= least
    )
    return Detection(found, task.duration_sec, model_version=SIGNAL_VERSION)


def _by_procedure(task: Task) -> Detection:
    """What the scores of the video say: deviations of the definition's type."""
    with task.runtime.database.read() as connection:
        rows = list_annotations(connection, task.video.id, source=Source.SOP, kind=Kind.EVENT)
    wanted = task.definition.event_type.lower()
    found = tuple(
        FoundEvent(task.definition.event_type, row.span, None, row.text, {"annotation": row.uid})
        for row in rows
        if (row.label or "").lower() == wanted
    )
    return Detection(found, task.duration_sec if rows else 0.0, _if_unscored(task, bool(rows)))


def _if_unscored(task: Task, is_scored: bool) -> tuple[tuple[TimeSpan, str], ...]:
    if is_scored:
        return ()
    with task.runtime.database.read() as connection:
        texts = list_annotations(connection, task.video.id, source=Source.SOP)
    return () if texts else ((TimeSpan(0.0, task.duration_sec), "NOT_SCORED"),)


def _zero_shot(task: Task) -> Detection:
    """Ask the model; without one nobody looked, which is not the same as nothing found."""
    settings = task.runtime.settings
    whole = TimeSpan(0.0, task.duration_sec)
    with open_client(settings) as client:
        if client is None:
            return Detection((), 0.0, ((whole, NO_MODEL),))
        if not isinstance(client, VlmClient):
            raise ModelUnavailable(
                "events in plain words need an OpenAI-compatible server; set "
                "SOPILOT_VLM_PROTOCOL=openai"
            )
        signals = task.signals()
        shots = task.shots()
        with StripFile(task.thumbnails()) as strip:
            footage = Footage(
                task.duration_sec,
                WINDOWS[task.domain][ChunkLevel.MICRO].length_sec,
                [shot.start_sec for shot in shots[1:]],
                strip,
            )
            spans = [window.span for window in footage.windows()]
            return detect_zero_shot(
                client,
                client.model,
                task.definition,
                footage,
                _ranks(task, signals, spans),
                concurrency=settings.vlm_concurrency,
                window_limit=settings.vigil_max_windows,
                progress=lambda share: task.progress(0.3 + 0.7 * share),
            )


def _ranks(task: Task, signals: Signals, spans: Sequence[TimeSpan]) -> list[float]:
    """How worth looking at each window is, 0-2: its signals, and texts that speak of the event."""
    ranks = np.asarray(window_scores(signals, spans), np.float64)
    said = " ".join(content_words(f"{task.definition.event_type} {task.definition.description}"))
    only = TextFilter(video_ids=frozenset({task.video.id}))
    with task.runtime.database.snapshot() as connection:
        hits = search_texts(connection, said, only, 50) if said else []
    for hit in hits:
        share = hit.score / hits[0].score
        for place, span in enumerate(spans):
            if span.overlap_sec(hit.annotation.span) > 0:
                ranks[place] = max(ranks[place], 1.0 + share)
    return [float(rank) for rank in ranks]


_DETECTORS: Mapping[str, Detector] = {
    EventMethod.ZERO_SHOT: _zero_shot,
    EventMethod.SIGNAL: _by_signal,
    EventMethod.SOP: _by_procedure,
}
