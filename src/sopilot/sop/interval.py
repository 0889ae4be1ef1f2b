"""The range of a score if the same execution were recorded again.

Replicates of one comparison: the class evidence gets smooth noise and a common gain, the unlikeness
of the steps noise of its own, and the order is searched and judged anew each time. Called by
`sop.evaluate`; deterministic by its seed. Source: docs/scoring.md 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sopilot.align.search import Near
from sopilot.embed.base import VideoFeatures
from sopilot.sop.compare import compare_with, trainee_steps
from sopilot.sop.comparison import Comparison
from sopilot.sop.judgement import judge
from sopilot.sop.model import Reading, TaskModel, read
from sopilot.sop.timing import work_of

REPLICATES = 24
QUANTILES = (2.5, 97.5)
FLOOR = 3.0
"""Points added on either side; without it re-recordings left the range too often."""
NOISE_NATS = 0.6
NOISE_CLIPS = 4
"""Every so many clips the noise is drawn anew, in between it is interpolated."""
GAIN_SPREAD = 0.12
UNLIKE_SPREAD = 0.55
"""Standard deviation of a step's unlikeness between two recordings of one execution: 0.4 about the
mean, so 0.4 times the root of two. Source: the films of benchmarks/verdicts, suite coverage."""


def score_interval(
    model: TaskModel,
    trainee: VideoFeatures,
    score_of: Callable[[Comparison], float],
    seed: int,
    comparison: Comparison | None = None,
) -> tuple[float, float]:
    """Lowest and highest score that re-recordings would plausibly get; contains the score.

    score_of: 0-100 of a comparison. comparison: the one already made, else it is made here.
    """
    base = comparison or compare_with(model, trainee)
    _, trainee = work_of(model, trainee)
    reading = read(model, trainee)
    rng = np.random.default_rng(seed)
    near = judge(model, trainee, reading).near
    scores = [
        score_of(_replicate(model, trainee, reading, base, near, rng)) for _ in range(REPLICATES)
    ]
    score = score_of(base)
    low, high = np.percentile(scores, QUANTILES)
    low, high = min(float(low), score) - FLOOR, max(float(high), score) + FLOOR
    return max(0.0, low), min(100.0, high)


def _replicate(
    model: TaskModel,
    trainee: VideoFeatures,
    reading: Reading,
    base: Comparison,
    near: Near,
    rng: np.random.Generator,
) -> Comparison:
    gain = float(np.exp(rng.normal(0.0, GAIN_SPREAD)))
    noise = smooth_noise(reading.evidence.shape, rng)
    shaken = replace(
        reading,
        evidence=reading.evidence * gain + NOISE_NATS * noise,
        shaken=rng.normal(0.0, UNLIKE_SPREAD, len(model.steps)),
    )
    judged = judge(model, trainee, shaken, near)
    return replace(
        base,
        findings=judged.findings,
        conformity=judged.conformity,
        trainee_steps=trainee_steps(model, judged.found),
    )


def smooth_noise(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, K) standard normal every NOISE_CLIPS rows, linear in between."""
    count, width = shape
    knots = np.arange(0, count + NOISE_CLIPS, NOISE_CLIPS)
    drawn = rng.standard_normal((len(knots), width))
    rows = np.arange(count)
    left = rows // NOISE_CLIPS
    share = ((rows % NOISE_CLIPS) / NOISE_CLIPS)[:, None]
    return np.asarray(drawn[left] * (1.0 - share) + drawn[left + 1] * share)
