"""Named arrays in one file, npz without pickle: written piece by piece, read whole or thinned out,
so that neither needs memory for the whole file. Equal arrays give equal bytes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import DiskFull

READ_ERRORS: Final = (
    ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What damaged bytes raise while they are read."""
_PIECE_BYTES: Final = 1 << 18
# Of a member's local header (APPNOTE.TXT 4.3.7): its fixed length, and where two lengths stand.
_LOCAL_HEADER: Final = 30
_NAME_LENGTH_AT: Final = 26


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """An array that comes in parts along its first axis; together they have `shape`."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    parts: Iterable[NDArray[Any]]


def whole(array: NDArray[Any]) -> Pieces:
    """An array that is there already."""
    return Pieces(array.dtype, array.shape, (array,))


def write_arrays(
    target: Path | IO[bytes], arrays: Mapping[str, Pieces], *, compression_level: int | None
) -> None:
    """Write arrays in the mapping's order; compression None = stored as they are.

    Raises DiskFull, ValueError when parts do not add up to their shape, and what making a part
    raises.
    """
    try:
        with zipfile.ZipFile(target, "w") as archive:
            for name, array in arrays.items():
                # A fresh ZipInfo has a fixed date: no clock reaches the bytes.
                entry = zipfile.ZipInfo(f"{name}.npy")
                if compression_level is not None:
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry._compresslevel = compression_level  # type: ignore[attr-defined]
                with archive.open(entry, "w", force_zip64=True) as member:
                    _write_array(member, array, name)
    except OSError as error:
        raise DiskFull(
            f"{', '.join(arrays)} cannot be written ({error.strerror}); free space in the data "
            "folder, then retry"
        ) from error


def _write_array(member: IO[bytes], array: Pieces, name: str) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(member, header)
    rows = 0
    for part in array.parts:
        if part.shape[1:] != array.shape[1:] or part.dtype != array.dtype:
            raise ValueError(f"a part of {name} is {part.dtype} {part.shape}, not {array.shape}")
        member.write(part.tobytes())
        rows += len(part)
    if rows != array.shape[0]:
        raise ValueError(f"the parts of {name} have {rows} rows, not {array.shape[0]}")


class ArrayFile:
    """An open file of arrays. Reading may raise any of READ_ERRORS."""

    def __init__(self, source: Path | IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(source)
        self.names = tuple(
            name.removesuffix(".npy") for name in self._archive.namelist() if name.endswith(".npy")
        )

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def read(self, name: str, stride: int = 1) -> NDArray[Any]:
        """Every stride-th row of an array, from the first; memory for these rows only."""
        with self._archive.open(f"{name}.npy") as member:
            shape, dtype = _read_header(member)
            if not shape or stride < 1:
                raise ValueError(f"{name} has shape {shape}; there are no rows to take")
            out = np.empty((-(-shape[0] // stride), *shape[1:]), dtype)
            row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
            batch = max(1, _PIECE_BYTES // max(row_bytes, 1))
            for first in range(0, shape[0], batch):
                count = min(batch, shape[0] - first)
                rows = np.frombuffer(_exactly(member, count * row_bytes), dtype)
                picks = slice(-first % stride, None, stride)
                target = slice(-(-first // stride), -(-(first + count) // stride))
                out[target] = rows.reshape(count, *shape[1:])[picks]
            return out

    def span(self, name: str, first: int, stop: int) -> NDArray[Any]:
        """Rows [first, stop) of an array that is stored without compression, read by their place:
        nothing before them is touched, and their checksum is not looked at."""
        info = self._archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed; its rows have no place of their own")
        with self._archive.open(info) as member:
            shape, dtype = _read_header(member)
            begin = member.tell()
        row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
        if not 0 <= first <= stop <= shape[0]:
            raise ValueError(f"{name} has {shape[0]} rows, not {first} to {stop}")
        file = self._archive.fp
        assert file is not None
        file.seek(info.header_offset + _NAME_LENGTH_AT)
        lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        file.seek(info.header_offset + _LOCAL_HEADER + lengths + begin + first * row_bytes)
        rows = np.frombuffer(_exactly(file, (stop - first) * row_bytes), dtype)
        return rows.reshape(stop - first, *shape[1:])


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version != (1, 0):
        raise ValueError(f"array version {version} is unknown")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(member)
    if fortran_order or dtype.hasobject:
        raise ValueError("the array is not stored row by row as plain numbers")
    return shape, dtype


def _exactly(member: IO[bytes], size_bytes: int) -> bytes:
    data = member.read(size_bytes)
    if len(data) < size_bytes:
        raise EOFError(f"{len(data)} of {size_bytes} bytes are left")
    return data
