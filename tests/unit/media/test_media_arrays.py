"""Array files, the spool behind them, and the median that needs no masked arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import DiskFull
from sopilot.media.arrays import READ_ERRORS, ArrayFile, Pieces, whole, write_arrays
from sopilot.media.middle import median
from sopilot.media.spool import ByteSpool


@given(rows=st.integers(1, 400), columns=st.integers(1, 700), stride=st.integers(1, 30))
def test_every_nth_row_comes_back(rows: int, columns: int, stride: int) -> None:
    array = np.arange(rows * columns, dtype=np.float64).reshape(rows, columns)
    target = io.BytesIO()
    write_arrays(target, {"a": whole(array)}, compression_level=1)
    with ArrayFile(target) as stored:
        assert np.array_equal(stored.read("a", stride), array[::stride])


def test_pieces_give_the_bytes_of_the_whole_and_numpy_reads_them() -> None:
    array = np.arange(60, dtype=np.int16).reshape(20, 3)
    targets = [io.BytesIO(), io.BytesIO()]
    cut = Pieces(array.dtype, array.shape, iter([array[:1], array[1:15], array[15:]]))
    for target, value in zip(targets, (whole(array), cut), strict=True):
        write_arrays(target, {"a": value, "b": whole(array[:, 0])}, compression_level=None)
    assert targets[0].getvalue() == targets[1].getvalue()
    targets[1].seek(0)
    with np.load(targets[1], allow_pickle=False) as stored:
        assert np.array_equal(stored["a"], array)
        assert np.array_equal(stored["b"], array[:, 0])


@pytest.mark.parametrize("parts", [[np.zeros((2, 3))], [np.zeros((3, 2))], [np.zeros((3, 3), int)]])
def test_pieces_that_do_not_add_up_are_refused(parts: list[np.ndarray]) -> None:
    pieces = Pieces(np.dtype(np.float64), (3, 3), parts)
    with pytest.raises(ValueError, match="a"):
        write_arrays(io.BytesIO(), {"a": pieces}, compression_level=None)


def test_a_path_that_cannot_be_written_is_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="free space"):
        write_arrays(tmp_path / "no" / "a", {"a": whole(np.zeros(3))}, compression_level=None)


@pytest.mark.parametrize("lost", [1, 40, 200])
def test_a_cut_file_is_known_as_damaged(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "a"
    write_arrays(path, {"a": whole(np.zeros(100))}, compression_level=None)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(READ_ERRORS), ArrayFile(path) as stored:
        stored.read("a")


def test_spooled_bytes_come_back_in_any_order() -> None:
    spool = ByteSpool()
    places = []
    for number in range(5):
        places.append((spool.size_bytes, number + 1))
        spool.append_bytes(bytes([number]) * (number + 1))
    assert spool.read_bytes(*places[3]) == b"\3\3\3\3"
    spool.append_bytes(b"end")
    assert spool.read_bytes(*places[0]) == b"\0"
    assert spool.read_bytes(spool.size_bytes - 3, 99) == b"end"


@pytest.mark.parametrize("count", [1, 2, 5, 48, 97])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_the_median_is_numpys(count: int, dtype: type) -> None:
    values = np.random.default_rng(count).uniform(0, 255, (count, 3, 2)).astype(dtype)
    expected = np.median(values, axis=0)
    found = median(values)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_rows_of_a_stored_array_are_read_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    numbers = np.arange(3000, dtype=np.int32).reshape(1000, 3)
    first = {"other": whole(np.ones(7)), "numbers": whole(numbers)}
    write_arrays(path, first, compression_level=None)
    with ArrayFile(path) as arrays:
        assert np.array_equal(arrays.span("numbers", 400, 403), numbers[400:403])
        assert np.array_equal(arrays.span("numbers", 0, 1000), numbers)
        assert arrays.span("numbers", 5, 5).shape == (0, 3)
        with pytest.raises(ValueError, match="1000 rows"):
            arrays.span("numbers", 999, 1001)
    write_arrays(path, {"numbers": whole(numbers)}, compression_level=1)
    with ArrayFile(path) as arrays, pytest.raises(ValueError, match="compressed"):
        arrays.span("numbers", 0, 1)
