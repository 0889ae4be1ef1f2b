"""Stills and words in one space: a checkpoint from a folder, of the SigLIP, SigLIP 2 or CLIP class
or of that of Qwen3-VL-Embedding.

With it, footage is found by what a query means, in the words of any language that the model knows.
Nothing is downloaded, no code of a checkpoint is run and only safetensors are read. torch and
transformers are imported at the first picture or word, not before.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings
from sopilot.core.records import Producer
from sopilot.embed.files import files_digest
from sopilot.embed.projection import unit_rows

if TYPE_CHECKING:  # it imports torch
    from sopilot.embed.encoders import Encoder

NAME: Final = "image-text"
DUAL_TYPES: Final = ("siglip", "siglip2", "clip")
LANGUAGE_TYPES: Final = ("qwen3_vl",)
_PICTURES_AT_ONCE: Final = 16
INSTRUCTION: Final = "Represent the moment of recorded footage for finding it by a description."
"""What a language model is told before a picture or a query; part of the producer."""
_SETTING: Final = "SOPILOT_STILL_MODEL_DIR"


class ImageTextEmbedder:
    """A checkpoint as a `StillEmbedder`; safe to share between threads.

    folder: config.json, weights as safetensors, the picture processor and the tokenizer, as
    `save_pretrained` writes them. device: of torch, such as `cpu` or `cuda:0`. Raises BadSettings
    for a folder that has none of that, before anything is read.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self._folder = folder
        self._device = device
        self._lock = threading.RLock()
        self._config = _config(folder)
        missing = [
            name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise BadSettings(
                f"the still backend {NAME} needs {' and '.join(missing)}; install sopilot[ml], or "
                "set SOPILOT_STILL_BACKEND=look"
            )

    @cached_property
    def producer(self) -> Producer:
        """The class of the model; the version is the hash of its files, wherever they lie."""
        version = files_digest(self._folder)[:12]
        asked = () if self._is_dual else (("instruction", INSTRUCTION),)
        return Producer(str(self._config["architectures"][0]), version, asked)

    @cached_property
    def dim(self) -> int:
        """Numbers per picture and per text, as the model gives them."""
        return len(self.of_text("."))

    @property
    def knows_words(self) -> bool:
        """Always."""
        return True

    def background_of(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8] | None:
        """None: a picture is described as a whole."""
        return None

    def of_pictures(
        self, pictures: Sequence[NDArray[np.uint8]], background: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """(n, dim) of (h, w, 3) bgr pictures of any size."""
        rows = []
        for first in range(0, len(pictures), _PICTURES_AT_ONCE):
            batch = [
                cv2.cvtColor(item, cv2.COLOR_BGR2RGB)
                for item in pictures[first : first + _PICTURES_AT_ONCE]
            ]
            with self._lock:
                rows.append(self._encoder.of_pictures(batch))
        return unit_rows(np.concatenate(rows)) if rows else np.empty((0, self.dim), np.float32)

    def of_text(self, text: str) -> NDArray[np.float32]:
        """(dim,) of a query; what is longer than the model reads is cut off."""
        with self._lock:
            return np.asarray(unit_rows(self._encoder.of_text(text)[None])[0], np.float32)

    @property
    def _is_dual(self) -> bool:
        return self._config["model_type"] in DUAL_TYPES

    @cached_property
    def _encoder(self) -> Encoder:
        from sopilot.embed.encoders import DualEncoder, LanguageEncoder

        try:
            if self._is_dual:
                return DualEncoder(self._folder, self._device)
            return LanguageEncoder(self._folder, self._device, INSTRUCTION)
        except Exception as error:  # whatever the libraries raise for a damaged file
            raise BadSettings(
                f"{self._folder} cannot be loaded as an image-text model on {self._device} "
                f"({str(error)[:300]}); check {_SETTING} and SOPILOT_STILL_DEVICE"
            ) from error


def _config(folder: Path) -> dict[str, Any]:
    """The config of a checkpoint. Raises BadSettings for what is none of a known class."""
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(
            f"{path} cannot be read ({error}); set {_SETTING} to the folder of a checkpoint"
        ) from error
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind not in (*DUAL_TYPES, *LANGUAGE_TYPES) or not found.get("architectures"):
        raise BadSettings(
            f"{path} is of a model {kind!r}; the still backend {NAME} reads "
            f"{', '.join((*DUAL_TYPES, *LANGUAGE_TYPES))} checkpoints; set {_SETTING} to one"
        )
    if not any(folder.glob("*.safetensors")):
        raise BadSettings(
            f"{folder} has no weights as safetensors; convert them, or set {_SETTING} to another"
        )
    return dict(found)
