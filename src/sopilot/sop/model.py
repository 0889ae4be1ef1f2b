"""What the golds of a task taught, and how a video is read through it.

The records are made by `sop.teach`; `sop.learn` adds what the golds score themselves. `sop.compare`
reads trainees through a model and may re-use it for many trainees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sopilot.align.evidence import ClassView, class_scores, log_shares, place, unit_rows
from sopilot.align.search import Classes
from sopilot.core.errors import ProducerMismatch
from sopilot.core.records import Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures, comparison_key
from sopilot.sop.calibrate import UNCALIBRATED, Calibration
from sopilot.sop.comparison import Finding
from sopilot.sop.method import Method
from sopilot.sop.outcome import Change, SceneTrack, scene_track
from sopilot.sop.register import LAYOUT, is_mirrored, registered
from sopilot.sop.residual import PartRows, StepClips, part_rows

Similarity = NDArray[np.float32]

END_SEC = 1.0
"""The rest of a video after the last whole clip is shorter than this."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One link of the expected order: a step, or nameless time between steps (step None)."""

    step: int | None
    span: TimeSpan


@dataclass(frozen=True, slots=True, eq=False)
class GoldReference:
    """One gold seen through the model.

    units: (n,) unit of every clip, -1 = none. spans: of the units in this gold. points: per view
    (n, P) float32 of length one. moving_sec: (U,) seconds per unit without frozen time.
    null_similarity: per view (U,), how similar the gold's own re-recordings are to it. steadiness:
    (U,) how much it goes on with one motion there (see `sop.kinds`). parts,
    steps: rows per part and clips per step; null_distances: (parts, steps) what good work has
    there (see `sop.residual`). scenes, changes: small pictures and what each step leaves behind;
    null_outcomes: (steps,) how far what good work leaves is from it (see `sop.outcome`).
    """

    features: VideoFeatures
    units: NDArray[np.int64]
    spans: tuple[TimeSpan, ...]
    points: Mapping[str, Similarity]
    moving_sec: NDArray[np.float64]
    null_similarity: Mapping[str, NDArray[np.float64]]
    steadiness: NDArray[np.float64]
    parts: PartRows
    steps: tuple[StepClips, ...]
    null_distances: NDArray[np.float64]
    scenes: SceneTrack | None
    changes: Mapping[int, Change]
    null_outcomes: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OwnMeasure:
    """What the golds get when they are compared themselves: no trainee is charged for it.

    findings: of edits and of the tests on what was executed. conformity, likeness: the least of
    them before they are taken as the measure, > 0; likeness at most 1 (a gold whose short step is
    blurred with what surrounds it is unlike its own clips).
    """

    findings: tuple[Finding, ...] = ()
    conformity: float = 1.0
    likeness: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class TaskModel:
    """Everything a trainee is compared with.

    units: expected order. parts: per unit its class indices. part_clips: (K,) clips per class in
    the golds. views: classifiers by view name. kinds: per unit. hop_sec: seconds between clip
    starts. left_out_golds, copied_golds: places of given golds that contradict
    the first, and that are copies of an earlier one; they teach nothing.
    """

    steps: tuple[Step, ...]
    steps_are_marked: bool
    units: tuple[Unit, ...]
    parts: tuple[tuple[int, ...], ...]
    part_clips: NDArray[np.float64]
    views: Mapping[str, ClassView]
    golds: tuple[GoldReference, ...]
    kinds: tuple[StepKind | None, ...]
    hop_sec: float
    method: Method
    own: OwnMeasure = field(default_factory=OwnMeasure)
    calibration: Calibration = UNCALIBRATED
    left_out_golds: tuple[int, ...] = ()
    copied_golds: tuple[int, ...] = ()

    @property
    def class_count(self) -> int:
        """Number of classes, >= 1."""
        return len(self.part_clips)

    def price_scale(self, reading: Reading) -> float:
        """What the prices of edits are multiplied with for a video."""
        return self.method.price_scale(reading.comparability) * self.calibration.price_factor

    def step_span(self, step: int) -> TimeSpan:
        """Where a step lies in the first gold."""
        own = [unit.span for unit in self.units if unit.step == step]
        return TimeSpan(own[0].start_sec, own[-1].end_sec)

    def gold_moving_sec(self, unit: int) -> float:
        """Dwell of a unit without frozen time, in the slowest gold."""
        return max(float(gold.moving_sec[unit]) for gold in self.golds)

    def classes(self, clip_count: int) -> Classes:
        """Parts with their shortest lengths for a trainee of this many clips."""
        pace = min(1.0, clip_count / float(self.part_clips.sum()))
        shortest = self.method.least_share * pace * self.part_clips
        # How long a motion goes on again and again says little in the gold: all alike.
        usual = self.method.cyclic_share * clip_count / len(self.units)
        for kind, own in zip(self.kinds, self.parts, strict=True):
            if kind is StepKind.CYCLIC:
                shortest[list(own)] = min(usual, self.method.cyclic_clips)
        # All together must fit into the video.
        shortest = np.floor(shortest * min(1.0, clip_count / float(shortest.sum())) + 0.5)
        if shortest.sum() > clip_count:
            shortest = np.floor(shortest * clip_count / float(shortest.sum()))
        shortest = shortest.astype(np.int64)
        return Classes(self.parts, np.maximum(shortest, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A video read through a model.

    evidence: (n, K) log class probabilities. points, gates: per view. confidences: per view, median
    best cosine to any class relative to the golds' own clips. parts: see `sop.residual`.
    camera_cells: how far the layout had to be moved, in cells of its grid. is_mirrored: left and
    right have changed places. shaken: (steps,) what a replicate adds to the unlikeness of each step
    (see `sop.interval`). scenes: see `sop.outcome`.
    """

    evidence: NDArray[np.float64]
    points: Mapping[str, Similarity]
    gates: Mapping[str, float]
    confidences: Mapping[str, float]
    parts: PartRows
    camera_cells: float
    is_mirrored: bool = False
    shaken: NDArray[np.float64] | None = None
    scenes: SceneTrack | None = None

    @property
    def comparability(self) -> float:
        """Mean confidence of the views that count."""
        total = sum(self.gates.values())
        return sum(self.confidences[v] * g for v, g in self.gates.items()) / total


def require_comparable(gold: VideoFeatures, other: VideoFeatures) -> None:
    """Raises ProducerMismatch when two videos' features were made differently."""
    if comparison_key(gold.producer) != comparison_key(other.producer):
        raise ProducerMismatch(
            f"features by {other.producer.name} {other.producer.version} cannot be compared with "
            f"features by {gold.producer.name} {gold.producer.version}; ingest both videos again"
        )


def read(model: TaskModel, features: VideoFeatures) -> Reading:
    """Class evidence of a video's clips under the model, views weighed by their own confidence."""
    settings = model.method.evidence
    total = np.zeros((features.clip_count, model.class_count))
    points: dict[str, Similarity] = {}
    shown: dict[str, Similarity] = {}
    camera_cells = 0.0
    mirrored = False
    gates: dict[str, float] = {}
    confidences: dict[str, float] = {}
    for name, view in model.views.items():
        stored = features.block(name)
        mirrored = mirrored or (name == LAYOUT and is_mirrored(view, stored))
        rows, moved = registered(name, view, stored)
        shown[name] = rows
        camera_cells = max(camera_cells, *map(abs, moved))
        points[name] = place(view, rows)
        scores, cosines = class_scores(view, points[name], settings)
        framings = features.framings(name)[: model.method.read_framings]
        for other in framings:
            scores += class_scores(view, place(view, features.block(other)), settings)[0]
        scores /= 1 + len(framings)
        confidences[name] = float(np.median(cosines.max(axis=1))) / view.own_similarity
        if model.class_count == 1:  # the only class is the video's mean: nothing to be like
            confidences[name] = 1.0
        # The first view always counts: a video that no view trusts must still be read.
        gates[name] = _gate(confidences[name], model.method.layout_gate) if gates else 1.0
        points[name] = unit_rows(points[name])
        total += gates[name] * scores
    return Reading(
        log_shares(total, settings),
        points,
        gates,
        confidences,
        part_rows(features, shown=shown),
        camera_cells,
        mirrored,
        scenes=scene_track(features),
    )


def joint_points(points: Mapping[str, Similarity], gates: Mapping[str, float]) -> Similarity:
    """Unit rows per view -> (n, sum of P) rows whose inner products are the weighed mean cosine."""
    total = sum(gates.values())
    rows = [points[name] * np.float32(np.sqrt(g / total)) for name, g in gates.items() if g > 0]
    return np.concatenate(rows, axis=1)


def _gate(confidence: float, gate: tuple[float, float]) -> float:
    low, width = gate
    return float(np.clip((confidence - low) / width, 0.0, 1.0))


def cut_times(features: VideoFeatures, cuts: NDArray[np.int64]) -> list[float]:
    """Seconds of clip cuts 0..n: midway between the centres of the clips beside the cut."""
    centres = features.clip_spans.mean(axis=1)
    times = []
    for cut in cuts:
        if cut <= 0:
            times.append(float(features.clip_spans[0, 0]))
        elif cut >= len(centres):
            times.append(_end_sec(features))
        else:
            times.append(float(centres[cut - 1] + centres[cut]) / 2.0)
    return times


def _end_sec(features: VideoFeatures) -> float:
    """Where the last clip ends; the end of the video where that is near."""
    last_sec = float(features.clip_spans[-1, 1])
    return features.duration_sec if features.duration_sec - last_sec < END_SEC else last_sec


def frozen_sec(features: VideoFeatures, span: TimeSpan) -> float:
    """Seconds of a span in which the picture stands still."""
    return sum(span.overlap_sec(freeze) for freeze in features.freezes)
