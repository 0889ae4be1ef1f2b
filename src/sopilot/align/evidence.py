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

AXIS_COUNT = 100
AXIS_ROWS = 600
"""Clips that span the principal axes; the Gram matrix costs AXIS_ROWS^2 x columns."""
LDA_TEMPERATURE = 40.0
COSINE_GAIN = 8.0
SHRINKAGE = 0.3
MEDIAN_SHARE = 0.5
"""Share of a class's own median in the video that is taken off its cosine (docs/scoring.md 2)."""
EVIDENCE_FLOOR = 0.005


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


def fit_view(recordings: Sequence[Rows], labels: Sequence[Labels], class_count: int) -> ClassView:
    """Learn one view.

    recordings: each (n_i, D) float32, clips of one video. labels: each (n_i,) class 0..K-1, -1 =
    no class; every class occurs at least once. The first recording is a real gold.
    """
    centred = [rows - rows.mean(axis=0, dtype=np.float32) for rows in recordings]
    scale = _column_scale(centred)
    axes = principal_axes(_sample(centred) * scale, AXIS_COUNT) * scale[:, None]
    placed = [rows @ axes for rows in centred]
    points = np.concatenate(placed)
    classes = np.concatenate(labels)
    points, classes = points[classes >= 0], classes[classes >= 0]
    means = _class_means(points, classes, class_count)
    weights = _discriminant(points - means[classes], means)
    offsets = -0.5 * (weights * means.T).sum(axis=0)
    directions = unit_rows(means).T
    best = (unit_rows(placed[0]) @ directions).max(axis=1)
    own = max(float(np.median(best)), 1e-3)
    return ClassView(axes, weights, offsets, directions, own)


def place(view: ClassView, rows: Rows) -> Rows:
    """(n, D) clips of one video -> (n, P) coordinates on the view's axes, centred by the video."""
    return np.asarray((rows - rows.mean(axis=0, dtype=np.float32)) @ view.axes)


def class_scores(view: ClassView, points: Rows) -> tuple[Rows, Rows]:
    """Evidence (n, K) in nats up to a constant per clip, and cosine to every class mean (n, K)."""
    cosines = unit_rows(points) @ view.directions
    medians = np.median(cosines, axis=0)
    levelled = cosines - MEDIAN_SHARE * (medians - medians.mean())
    discriminant = (points @ view.weights + view.offsets) / LDA_TEMPERATURE
    return discriminant + COSINE_GAIN * levelled, cosines


def log_shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, K) scores -> log class probabilities, 3-clip means, none below log(0.005 / K)."""
    smooth = scores.copy()
    if len(scores) > 2:
        smooth[1:-1] = (scores[:-2] + scores[1:-1] + scores[2:]) / 3.0
    smooth -= smooth.max(axis=1, keepdims=True)
    shares = np.exp(smooth)
    shares /= shares.sum(axis=1, keepdims=True)
    floor = EVIDENCE_FLOOR / scores.shape[1]
    return np.asarray(np.log(shares * (1.0 - EVIDENCE_FLOOR) + floor))


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


def _discriminant(residuals: Rows, means: Rows) -> Rows:
    """(P, K) LDA weights with a covariance shrunk towards its mean variance."""
    width = residuals.shape[1]
    covariance = (residuals.T @ residuals).astype(np.float64) / len(residuals)
    level = float(np.trace(covariance)) / width
    covariance *= 1.0 - SHRINKAGE
    covariance[np.diag_indices(width)] += SHRINKAGE * level + 1e-12
    return np.linalg.solve(covariance, means.T.astype(np.float64)).astype(np.float32)
