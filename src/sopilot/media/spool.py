"""Bytes on a temporary file: what a pass must look at again once the whole video is known, without
memory that grows with its length."""

from __future__ import annotations

import os
import tempfile
import weakref

from sopilot.core.errors import DiskFull


class ByteSpool:
    """Append bytes, read them back by place; the file has no name and is gone with the object or
    the process."""

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="sopilot-spool-")
        except OSError as error:
            raise _full(0, error) from error
        self._close = weakref.finalize(self, self._file.close)
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Where the next bytes will lie."""
        return self._size_bytes

    def append_bytes(self, data: bytes) -> None:
        """Write at the end. Raises DiskFull."""
        try:
            self._file.write(data)
        except OSError as error:
            raise _full(len(data), error) from error
        self._size_bytes += len(data)

    def read_bytes(self, start: int, size_bytes: int) -> bytes:
        """`size_bytes` bytes from `start`; fewer where the spool ends. Raises DiskFull when what
        was appended last did not fit."""
        try:
            self._file.seek(start)
            data = self._file.read(max(0, size_bytes))
            self._file.seek(0, os.SEEK_END)  # where the next bytes belong
        except OSError as error:
            raise _full(size_bytes, error) from error
        return data

    def close(self) -> None:
        """Give the disk space back."""
        self._close()


def _full(size_bytes: int, error: OSError) -> DiskFull:
    return DiskFull(
        f"no room for {size_bytes} temporary bytes ({error.strerror}); "
        "free space in the temporary folder or set TMPDIR to another one"
    )
