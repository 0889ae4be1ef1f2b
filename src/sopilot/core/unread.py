"""Variables of the older products that no setting reads: why, and whether the start refuses them.

A value that would have changed a verdict or the way of working is refused, so that nobody believes
it to be in force. Called by `core.config`; docs/configuration.md shows the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_LATER = "belongs to V-JEPA 2, which this version does not have"
_OWN_CLIPS = f"{_LATER}; color-motion cuts clips by its own settings"
_MEASURED = "scoring is calibrated on the golds instead of thresholds set by hand; see docs/scoring"
_REDIS = "belongs to the queue on Redis, which this version does not have"


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a variable is not read. allowed: values that ask for what is done anyway; None: any
    value is warned about only."""

    reason: str
    allowed: tuple[str, ...] | None = None

    @property
    def is_refused(self) -> bool:
        """Whether other values stop the start."""
        return self.allowed is not None


def _each(names: str, unread: Unread) -> dict[str, Unread]:
    return {f"SOPILOT_{name}": unread for name in names.split()}


UNREAD: Mapping[str, Unread] = {
    **_each(
        "VJEPA2_VARIANT VJEPA2_DEVICE VJEPA2_POOLING VJEPA2_USE_AMP VJEPA2_PRETRAINED "
        "VJEPA2_SOURCE VJEPA2_LOCAL_REPO VJEPA2_LOCAL_CHECKPOINT VJEPA2_CROP_SIZE VJEPA2_REPO "
        "VJEPA2_NUM_FRAMES VJEPA2_IMAGE_SIZE VJEPA2_BATCH_SIZE EMBEDDING_DEVICE "
        "INGEST_EMBED_BATCH_SIZE EMBEDDER_BATCH_SIZE EMBEDDER_COMPILE EMBEDDER_IMMEDIATE_RETRY",
        Unread(_LATER),
    ),
    **_each(
        "SAMPLE_FPS TARGET_FPS CLIP_SECONDS CLIP_HOP_SECONDS FRAME_SIZE MAX_SIDE MIN_CLIP_COVERAGE",
        Unread(_OWN_CLIPS),
    ),
    **_each(
        "REDIS_URL RQ_QUEUE_PREFIX RQ_JOB_TIMEOUT_SEC RQ_RESULT_TTL_SEC RQ_FAILURE_TTL_SEC "
        "RQ_RETRY_MAX",
        Unread(_REDIS),
    ),
    "SOPILOT_QUEUE_BACKEND": Unread(_REDIS, ("inline",)),
    "SOPILOT_DTW_USE_GPU": Unread("alignment runs on the CPU in this version", ("auto", "false")),
    **_each(
        "MIN_BOUNDARY_GAP BOUNDARY_Z DEVIATION_THRESHOLD EFFICIENCY_OVER_TIME_THRESHOLD "
        "CHANGE_THRESHOLD_FACTOR MIN_STEP_CLIPS LOW_SIM_THRESHOLD",
        Unread(_MEASURED, ()),
    ),
    **_each(
        "WEIGHT_MISS WEIGHT_SWAP WEIGHT_DEV WEIGHT_TIME WEIGHT_WARP",
        Unread("weights belong to the task's profile; set them by PUT /task-profile", ()),
    ),
    "SOPILOT_NEURAL_MODE": Unread(
        "there is no neural scoring; it was trained on its own outputs", ("false", "0", "off", "no")
    ),
    "SOPILOT_RUN_SEED": Unread("the seed of a score is made from the videos themselves", ()),
    "SOPILOT_REPORT_TITLE": Unread("reports carry the title of their language", ()),
    "SOPILOT_TRAIN_WORKERS": Unread("SOPILOT_SCORE_WORKERS work on all kinds of jobs", ("1",)),
    "SOPILOT_UVICORN_WORKERS": Unread("one process answers; SOPILOT_SCORE_WORKERS work", ("1",)),
    "SOPILOT_UVICORN_LOG_LEVEL": Unread("SOPILOT_LOG_LEVEL holds for the server too"),
    "SOPILOT_DB_POOL_SIZE": Unread("connections are opened as they are needed"),
}

_NEURAL = "SOPILOT_NEURAL_"


def unread(name: str) -> Unread | None:
    """What is known about a variable that no setting reads."""
    if name not in UNREAD and name.startswith(_NEURAL):
        return Unread(UNREAD["SOPILOT_NEURAL_MODE"].reason)
    return UNREAD.get(name)


def refusals(environment: Mapping[str, str]) -> list[str]:
    """One sentence per variable whose value cannot be honoured; empty values count as not set."""
    found = []
    for name, known in sorted(UNREAD.items()):
        value = environment.get(name, "").strip()
        if not value or known.allowed is None or value.lower() in known.allowed:
            continue
        allowed = (
            f"set {' or '.join(known.allowed)}, or remove it" if known.allowed else "remove it"
        )
        found.append(f"{name}={value} cannot be honoured: {known.reason}; {allowed}")
    return found
