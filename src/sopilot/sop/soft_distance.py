"""Soft-DTW between two videos' clips, for research; it takes no part in scores.

Called by the service (`/research/soft-dtw`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sopilot.align.evidence import unit_rows
from sopilot.align.soft_warp import soft_warp
from sopilot.align.warp import warp
from sopilot.core.errors import InputError
from sopilot.embed.base import VideoFeatures
from sopilot.library import queries as library
from sopilot.library.features import load_features
from sopilot.runtime import Runtime
from sopilot.sop.evaluate import check_videos
from sopilot.sop.model import require_comparable
from sopilot.sop.views import view_names

MOST_CLIPS = 2000
"""Longest video that is compared: 20 minutes; 2000 x 2000 takes about a second and 50 MB."""


@dataclass(frozen=True, slots=True)
class SoftDistance:
    """soft_dtw_distance: sum over the path, may be negative; normalized_cost: per cell of the
    cheapest path, which has alignment_path_length cells."""

    soft_dtw_distance: float
    normalized_cost: float
    gamma: float
    alignment_path_length: int


def soft_distance(runtime: Runtime, gold_id: int, trainee_id: int, gamma: float) -> SoftDistance:
    """Soft-DTW of a gold and another video over 1 - cosine of their clips.

    Raises as `sop.evaluate.submit` for videos that cannot be compared, InputError for one of more
    than MOST_CLIPS clips.
    """
    with runtime.database.read() as connection:
        gold = library.get_video(connection, gold_id)
        trainee = library.get_video(connection, trainee_id)
        check_videos(runtime, connection, [gold], trainee)
    for video in (gold, trainee):
        if (video.clip_count or 0) > MOST_CLIPS:
            raise InputError(
                f"video {video.id} has {video.clip_count} clips, soft-DTW compares at most "
                f"{MOST_CLIPS}; choose a shorter video",
                {"video_id": video.id, "clip_count": video.clip_count, "most": MOST_CLIPS},
            )
    cost = clip_distances(load_features(runtime, gold), load_features(runtime, trainee))
    total = soft_warp(cost, gamma)
    length = len(warp(cost)[0])
    return SoftDistance(total, total / length, gamma, length)


def clip_distances(gold: VideoFeatures, trainee: VideoFeatures) -> NDArray[np.float32]:
    """(n_gold, n_trainee) float32 in 0-2: 1 - cosine of clips centred on the gold's mean, mean of
    the views. Raises ProducerMismatch."""
    require_comparable(gold, trainee)
    names = view_names(gold)
    total = np.zeros((gold.clip_count, trainee.clip_count), dtype=np.float32)
    for name in names:
        rows, others = gold.block(name), trainee.block(name)
        middle = rows.mean(axis=0)
        total += unit_rows(rows - middle) @ unit_rows(others - middle).T
    distances: NDArray[np.float32] = np.float32(1.0) - total / np.float32(len(names))
    return np.maximum(distances, np.float32(0.0))
