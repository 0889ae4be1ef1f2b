"""Comparisons made by hand for the tests of the record side: four steps of 10 s, clips of 1 s."""

from __future__ import annotations

import numpy as np

from sopilot.core.records import Producer, Step
from sopilot.core.timespan import TimeSpan
from sopilot.sop.comparison import Comparison, EventType, Finding, StructuralTerms
from sopilot.sop.profile import TaskProfile
from sopilot.sop.result import ScoreIds, ScoreOrigin

PROFILE = TaskProfile(task_id="pilot_task", task_name="Pilot")
IDS = ScoreIds(task_id="pilot_task", gold_video_ids=(1,), trainee_video_id=2)
ORIGIN = ScoreOrigin(
    algorithm="order-search-v1",
    producers={"embedder": Producer("color-motion", "color-motion-v2", (("hop", "1.0"),))},
)
NAMES = (
    ("準備", "Preparation"),
    ("清掃", "Cleaning"),
    ("締結", "Fastening"),
    ("部品取付", "Part Assembly"),
)


def make_step(index: int, is_critical: bool = False, **limits: float) -> Step:
    ja, en = NAMES[index % len(NAMES)]
    span = TimeSpan(10.0 * index, 10.0 * (index + 1))
    return Step(index, ja, en, span, is_critical=is_critical, **limits)


def make_finding(
    kind: EventType = EventType.STEP_DEVIATION,
    step_index: int | None = 3,
    strength: float = 1.0,
    gold: tuple[float, float] = (30.0, 40.0),
    trainee: tuple[float, float] = (31.0, 42.0),
    **more: object,
) -> Finding:
    return Finding(
        type=kind,
        strength=strength,
        evidence=40.0,
        evidence_unit="nats",
        step_index=step_index,
        gold_span=TimeSpan(*gold),
        trainee_span=TimeSpan(*trainee),
        **more,  # type: ignore[arg-type]
    )


def make_clips(count: int) -> np.ndarray:
    start = np.arange(count, dtype=np.float64)
    return np.stack([start, start + 1.0], axis=1)


def make_comparison(
    *findings: Finding,
    conformity: float = 1.0,
    steps: tuple[Step, ...] | None = None,
    trainee_steps: tuple[TimeSpan | None, ...] | None = None,
    trainee_sec: int = 42,
) -> Comparison:
    steps = tuple(make_step(i) for i in range(4)) if steps is None else steps
    if trainee_steps is None:
        trainee_steps = tuple(step.span for step in steps)
    diagonal = np.arange(40, dtype=np.int32)
    return Comparison(
        steps=steps,
        steps_source="marked",
        trainee_steps=trainee_steps,
        findings=findings,
        path=np.stack([diagonal, diagonal], axis=1),
        normalized_cost=0.12345,
        gold_clips=make_clips(40),
        trainee_clips=make_clips(trainee_sec),
        gold_duration_sec=40.0,
        trainee_duration_sec=float(trainee_sec),
        conformity=conformity,
        comparability=0.98765,
        structural=StructuralTerms(0.0, 0.1, 0.05, 0.2),
    )
