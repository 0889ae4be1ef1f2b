"""One picture -> one vector, for finding moments of footage by how they look, and in words where
the backend has them. What a video's pictures have in common may be told beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Producer


class StillEmbedder(Protocol):
    """A backend. Vectors are float32 rows of unit length, comparable within one producer."""

    @property
    def producer(self) -> Producer:
        """Name, version and every setting that changes the numbers."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def knows_words(self) -> bool:
        """Whether `of_text` gives vectors that pictures can be found by."""
        ...

    def background_of(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8] | None:
        """What a sample of a video's (h, w, 3) bgr pictures has in common; None = not used."""
        ...

    def of_pictures(
        self, pictures: Sequence[NDArray[np.uint8]], background: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """(n, dim) of (h, w, 3) bgr pictures of any size."""
        ...

    def of_text(self, text: str) -> NDArray[np.float32]:
        """(dim,) of a query. Raises InputError where the backend knows no words."""
        ...
