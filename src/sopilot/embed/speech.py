"""Sound -> what is said, with times. The port, and the backend that the settings ask for.

Speech is recognised only where a model lies on this machine; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings
from sopilot.core.records import Producer
from sopilot.core.timespan import TimeSpan

if TYPE_CHECKING:  # the decoder child starts without the settings' libraries
    from sopilot.core.config import Settings


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence. span: seconds within the samples that were given."""

    span: TimeSpan
    text: str
    language: str | None


class Recogniser(Protocol):
    """A backend."""

    @property
    def producer(self) -> Producer:
        """Name, version and every setting that changes the words."""
        ...

    def sentences(self, samples: NDArray[np.float32]) -> Iterator[Spoken]:
        """What is said in mono samples at 16 kHz, -1 to 1, in order of time. The text is a
        model's: anything may stand in it. Raises BadSettings where it cannot be loaded."""
        ...


def open_recogniser(settings: Settings) -> Recogniser | None:
    """None where none is asked for. Raises BadSettings where it cannot be used."""
    if settings.asr_backend == "none":
        return None
    from sopilot.embed.whisper import FasterWhisper

    if settings.asr_model_dir is None:
        raise BadSettings(
            f"SOPILOT_ASR_BACKEND={settings.asr_backend} needs the folder of a model; set "
            "SOPILOT_ASR_MODEL_DIR, or SOPILOT_ASR_BACKEND=none"
        )
    return FasterWhisper(
        settings.asr_model_dir,
        settings.asr_device,
        settings.asr_compute_type,
        settings.asr_language or None,
    )
