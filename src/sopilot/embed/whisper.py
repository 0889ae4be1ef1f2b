"""Whisper by faster-whisper (CTranslate2), from a folder of this machine. Both are imported at the
first sound, not before."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings
from sopilot.core.records import Producer
from sopilot.core.timespan import TimeSpan
from sopilot.embed.files import files_digest
from sopilot.embed.speech import Spoken

NAME: Final = "faster-whisper"
_FILES: Final = ("model.bin", "config.json", "tokenizer.json")
_SETTING: Final = "SOPILOT_ASR_MODEL_DIR"


class FasterWhisper:
    """A converted Whisper as a `Recogniser`; safe to share between threads.

    Beam search at temperature 0, without the text before: the same sound gives the same words.
    language: None = each piece of sound says it itself. Raises BadSettings for a folder without a
    model, or without the library, before anything is read.
    """

    def __init__(
        self, folder: Path, device: str = "cpu", compute_type: str = "int8",
        language: str | None = None,
    ) -> None:  # fmt: skip
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise BadSettings(
                f"{folder} lacks {', '.join(missing)} of a converted Whisper; set {_SETTING} to "
                "one (ct2-transformers-converter makes it)"
            )
        if importlib.util.find_spec("faster_whisper") is None:
            raise BadSettings(
                f"SOPILOT_ASR_BACKEND={NAME} needs faster-whisper; install sopilot[asr], or set "
                "SOPILOT_ASR_BACKEND=none"
            )
        self._folder, self._device, self._compute_type = folder, device, compute_type
        self._language = language
        self._lock = threading.RLock()

    @cached_property
    def producer(self) -> Producer:
        """The version is the hash of the files, wherever they lie."""
        settings = (("compute_type", self._compute_type), ("language", self._language or "detect"))
        return Producer(NAME, files_digest(self._folder)[:12], settings)

    def sentences(self, samples: NDArray[np.float32]) -> Iterator[Spoken]:
        """See `Recogniser`."""
        with self._lock:
            found, info = self._model.transcribe(
                samples,
                language=self._language,
                beam_size=5,
                temperature=0.0,
                condition_on_previous_text=False,
                vad_filter=False,
            )
            for segment in found:
                start_sec = max(0.0, float(segment.start))
                end_sec = max(start_sec, float(segment.end))
                yield Spoken(TimeSpan(start_sec, end_sec), str(segment.text), info.language)

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(
                str(self._folder),
                device=self._device,
                compute_type=self._compute_type,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise BadSettings(
                f"{self._folder} cannot be loaded as a Whisper on {self._device} as "
                f"{self._compute_type} ({str(error)[:300]}); check {_SETTING}, SOPILOT_ASR_DEVICE "
                "and SOPILOT_ASR_COMPUTE_TYPE"
            ) from error
