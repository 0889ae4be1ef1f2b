"""Fixed-size rows on a temporary file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sopilot.media.spool import ByteSpool


class RowSpool(ByteSpool):
    """Append rows of one structured dtype, read them back by index."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self._dtype = dtype

    def __len__(self) -> int:
        return self.size_bytes // self._dtype.itemsize

    def append(self, row: NDArray[Any]) -> None:
        """Write one row (a 0-d or 1-element array of the dtype). Raises DiskFull."""
        self.append_bytes(row.tobytes())

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop), clipped to what there is."""
        size = self._dtype.itemsize
        stop = min(stop, len(self))
        return np.frombuffer(self.read_bytes(start * size, (stop - start) * size), self._dtype)

    def spread(self, count: int) -> NDArray[Any]:
        """At most `count` rows at even distances over the whole spool."""
        picks = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        return np.concatenate([self.read(int(pick), int(pick) + 1) for pick in picks])
