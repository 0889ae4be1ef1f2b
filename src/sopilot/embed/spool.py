"""Fixed-size rows on a temporary file: what a pass must look at again once the whole video is
known, without memory that grows with its length."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import DiskFull


class RowSpool:
    """Append rows of one structured dtype, read them back by index; the file has no name and is
    gone with the object or the process."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        try:
            self._file = tempfile.TemporaryFile(prefix="sopilot-rows-")
        except OSError as error:
            raise self._full(error) from error
        self._close = weakref.finalize(self, self._file.close)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: NDArray[Any]) -> None:
        """Write one row (a 0-d or 1-element array of the dtype). Raises DiskFull."""
        try:
            self._file.write(row.tobytes())
        except OSError as error:
            raise self._full(error) from error
        self._count += 1

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop), clipped to what there is."""
        stop = min(stop, self._count)
        self._file.seek(start * self._dtype.itemsize)
        data = self._file.read(max(0, stop - start) * self._dtype.itemsize)
        self._file.seek(0, os.SEEK_END)  # where the next row belongs
        return np.frombuffer(data, self._dtype)

    def spread(self, count: int) -> NDArray[Any]:
        """At most `count` rows at even distances over the whole spool."""
        picks = np.unique(np.linspace(0, self._count - 1, min(count, self._count)).astype(np.int64))
        return np.concatenate([self.read(int(pick), int(pick) + 1) for pick in picks])

    def close(self) -> None:
        """Give the disk space back."""
        self._close()

    def _full(self, error: OSError) -> DiskFull:
        return DiskFull(
            f"no room for temporary rows of {self._dtype.itemsize} bytes each ({error.strerror}); "
            "free space in the temporary folder or set TMPDIR to another one"
        )
