"""Class evidence of clips: a small classifier learned from recordings whose clips carry classes.

Called by `sop.model` once per view (a named block of the features); arrays only. Every recording
is centred by its own mean clip, which removes place, light and person; columns are scaled by the
golds' spread; principal axes from the Gram matrix; the evidence of class k is
LDA_k / 40 + 8 cos(z, mean_k). Source: docs/scoring.md 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

AXIS_ROWS = 600
"""Clips that span the principal axes; the Gram matrix costs AXIS_ROWS^2 x columns."""


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """Constants of the classifier. Source: docs/scoring.md 2.

    axis_count: principal axes kept. lda_share: weight of the discriminant, 0 = cosine alone.
    shrinkage: 0-1, of the within-class covariance. median_share: 0-1, how much of a class's own
    median in the video is taken off its cosine. smooth_clips: odd, clips averaged. floor: 0-1,
    probability shared out over the classes whatever a clip shows.
    """

    axis_count: int = 100
    lda_share: float = 1 / 40
    cosine_gain: float = 8.0
    shrinkage: float = 0.3
    median_share: float = 0.5
    smooth_clips: int = 3
    floor: float = 0.005


DEFAULT_SETTINGS = EvidenceSettings()


@dataclass(frozen=True, slots=True)
class ClassView:
    """One view's classifier over K classes and D columns, P axes.

    axes: (D, P) float32, scaling included. weights: (P, K), offsets: (K,), directions: (P, K) unit
    class means. own_similarity: median best cosine of the golds' own clips, > 0.
    """

    axes: Rows
    weights: Rows
    offsets: Rows
    directions: Rows
    own_similarity: float


def fit_view(
    recordings: Sequence[Rows],
    labels: Sequence[Labels],
    class_count: int,
    settings: EvidenceSettings = DEFAULT_SETTINGS,
) -> ClassView:
    """Learn one view.

    recordings: each (n_i, D) float32, clips of one video. labels: each (n_i,) class 0..K-1, -1 =
    no class; every class occurs at least once. The first recording is a real gold.
    """
    centred = [rows - rows.mean(axis=0, dtype=np.float32) for rows in recordings]
    scale = _column_scale(centred)
    axes = principal_axes(_sample(centred) * scale, settings.axis_count) * scale[:, None]
    placed = [rows @ axes for rows in centred]
    points = np.concatenate(placed)
    classes = np.concatenate(labels)
    points, classes = points[classes >= 0], classes[classes >= 0]
    means = _class_means(points, classes, class_count)
    weights = _discriminant(points - means[classes], means, settings.shrinkage)
    offsets = -0.5 * (weights * means.T).sum(axis=0)
    directions = unit_rows(means).T
    best = (unit_rows(placed[0]) @ directions).max(axis=1)
    own = max(float(np.median(best)), 1e-3)
    return ClassView(axes, weights, offsets, directions, own)


def place(view: ClassView, rows: Rows) -> Rows:
    """(n, D) clips of one video -> (n, P) coordinates on the view's axes, centred by the video."""
    return np.asarray((rows - rows.mean(axis=0, dtype=np.float32)) @ view.axes)


def class_scores(
    view: ClassView, points: Rows, settings: EvidenceSettings = DEFAULT_SETTINGS
) -> tuple[Rows, Rows]:
    """Evidence (n, K) in nats up to a constant per clip, and cosine to every class mean (n, K)."""
    cosines = unit_rows(points) @ view.directions
    medians = np.median(cosines, axis=0)
    levelled = cosines - settings.median_share * (medians - medians.mean())
    discriminant = (points @ view.weights + view.offsets) * settings.lda_share
    return discriminant + settings.cosine_gain * levelled, cosines


def log_shares(
    scores: NDArray[np.float64], settings: EvidenceSettings = DEFAULT_SETTINGS
) -> NDArray[np.float64]:
    """(n, K) scores -> log class probabilities, means over neighbours, none below log(floor / K).

    The first and the last clips keep their own scores.
    """
    smooth = scores.copy()
    half = settings.smooth_clips // 2
    if len(scores) > 2 * half:
        span = range(-half, half + 1)
        inner = [scores[half + k : len(scores) - half + k] for k in span]
        smooth[half : len(scores) - half] = sum(inner) / settings.smooth_clips
    smooth -= smooth.max(axis=1, keepdims=True)
    shares = np.exp(smooth)
    shares /= shares.sum(axis=1, keepdims=True)
    floor = settings.floor / scores.shape[1]
    return np.asarray(np.log(shares * (1.0 - settings.floor) + floor))


def principal_axes(rows: Rows, count: int) -> Rows:
    """(D, P) principal axes of centred rows (n, D), P <= count, from the n x n Gram matrix."""
    gram = (rows @ rows.T).astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:count]
    order = order[values[order] > 1e-6 * max(float(values.max()), 1e-12)]
    if len(order) == 0:
        return np.zeros((rows.shape[1], 1), dtype=np.float32)
    loads = vectors[:, order] / np.sqrt(values[order])
    # An eigenvector's sign is arbitrary: the largest load is made positive.
    signs = np.sign(loads[np.abs(loads).argmax(axis=0), np.arange(len(order))])
    return np.asarray(rows.T @ (loads * signs).astype(np.float32))


def unit_rows(rows: Rows) -> Rows:
    """Rows scaled to length one; a zero row stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def _column_scale(centred: Sequence[Rows]) -> Rows:
    """1 / spread of every column; quiet columns are kept from drowning the others in noise."""
    total = sum(np.einsum("ij,ij->j", rows, rows) for rows in centred)
    spread = np.sqrt(total / sum(len(rows) for rows in centred))
    level = float(np.sqrt(np.mean(spread**2)))
    return np.asarray(1.0 / (spread + 0.1 * level + 1e-12), dtype=np.float32)


def _sample(centred: Sequence[Rows]) -> Rows:
    total = sum(len(rows) for rows in centred)
    stride = max(1, -(-total // AXIS_ROWS))
    return np.concatenate(centred)[::stride]


def _class_means(points: Rows, classes: Labels, class_count: int) -> Rows:
    sums = np.zeros((class_count, points.shape[1]), dtype=np.float64)
    np.add.at(sums, classes, points)
    counts = np.bincount(classes, minlength=class_count)
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)


def _discriminant(residuals: Rows, means: Rows, shrinkage: float) -> Rows:
    """(P, K) LDA weights with a covariance shrunk towards its mean variance."""
    width = residuals.shape[1]
    covariance = (residuals.T @ residuals).astype(np.float64) / len(residuals)
    level = float(np.trace(covariance)) / width
    covariance *= 1.0 - shrinkage
    covariance[np.diag_indices(width)] += shrinkage * level + 1e-12
    return np.linalg.solve(covariance, means.T.astype(np.float64)).astype(np.float32)
