"""Blobs appear whole or not at all, once per content."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopilot.core.errors import BadSettings, BlobNotFound, DiskFull, FileTooLarge, StoreError
from sopilot.store.blobs import Blobs, open_blobs

NOWHERE = "0" * 64


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(tmp_path / "data")


def files(blobs: Blobs) -> list[str]:
    return sorted(
        str(path.relative_to(blobs.root)) for path in blobs.root.rglob("*") if path.is_file()
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.binary(max_size=300))
def test_bytes_come_back_under_their_hash(blobs: Blobs, data: bytes) -> None:
    sha256 = blobs.put_bytes("derived", data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert blobs.get_bytes("derived", sha256) == data
    assert blobs.size_of("derived", sha256) == len(data)
    assert blobs.local_path("derived", sha256).read_bytes() == data


def test_file_is_stored_once_and_the_original_stays(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "video.mp4"
    source.write_bytes(os.urandom(3_000_000))
    first = blobs.put_file("raw", source)
    assert blobs.put_file("raw", source) == first
    assert files(blobs) == [f"raw/{first[:2]}/{first}"]
    assert source.stat().st_size == 3_000_000


def test_abandoned_upload_leaves_nothing(blobs: Blobs) -> None:
    def receive() -> None:
        with blobs.stage() as staged:
            staged.write(b"half")
            assert len(files(blobs)) == 1
            raise ConnectionError

    with pytest.raises(ConnectionError):
        receive()
    assert files(blobs) == []


def test_upload_is_hashed_while_it_is_written(blobs: Blobs) -> None:
    with blobs.stage() as staged:
        for block in (b"one ", b"two ", b"three"):
            staged.write(block)
        assert staged.size_bytes == 13
        staged.flush()
        assert staged.path.read_bytes() == b"one two three"
        sha256 = blobs.keep("raw", staged)
    assert sha256 == hashlib.sha256(b"one two three").hexdigest()
    assert blobs.get_bytes("raw", sha256) == b"one two three"


def test_upload_beyond_the_limit_is_refused_and_removed(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "long"
    source.write_bytes(b"x" * 11)
    with pytest.raises(FileTooLarge, match="more than 10 bytes"):
        blobs.put_file("raw", source, max_bytes=10)
    assert files(blobs) == []
    assert blobs.put_file("raw", source, max_bytes=11)


def test_missing_blob_has_a_name_in_its_error(blobs: Blobs) -> None:
    for action in (blobs.get_bytes, blobs.local_path):
        with pytest.raises(BlobNotFound, match=NOWHERE):
            action("raw", NOWHERE)
    assert not blobs.exists("raw", NOWHERE)
    blobs.delete("raw", NOWHERE)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_hashes_name_blobs(blobs: Blobs, name: str) -> None:
    with pytest.raises(BlobNotFound, match="64 hex digits"):
        blobs.local_path("raw", name)


def test_deleted_blob_is_gone_and_can_come_back(blobs: Blobs) -> None:
    sha256 = blobs.put_bytes("derived", b"x")
    blobs.delete("derived", sha256)
    assert files(blobs) == []
    assert blobs.put_bytes("derived", b"x") == sha256
    assert blobs.exists("derived", sha256)


def test_damaged_blob_is_found_out_and_a_truncated_one_mended(blobs: Blobs) -> None:
    sha256 = blobs.put_bytes("derived", b"12345")
    blobs.local_path("derived", sha256).write_bytes(b"1234")
    for look in (blobs.get_bytes, blobs.checked_path):
        with pytest.raises(StoreError, match="does not match its hash"):
            look("derived", sha256)
    blobs.put_bytes("derived", b"12345")
    assert blobs.checked_path("derived", sha256) == blobs.local_path("derived", sha256)
    assert blobs.get_bytes("derived", sha256) == b"12345"


def test_storing_the_bytes_again_mends_a_blob_damaged_at_its_length(
    blobs: Blobs, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"12345")
    for mend in (
        lambda: blobs.put_bytes("derived", b"12345"),
        lambda: blobs.put_file("derived", source),
    ):
        sha256 = mend()
        blobs.local_path("derived", sha256).write_bytes(b"12_45")
        assert not blobs.is_whole("derived", sha256)
        assert mend() == sha256
        assert blobs.is_whole("derived", sha256)
    assert not blobs.is_whole("derived", "0" * 64)


def test_sweep_removes_only_old_leftovers(blobs: Blobs) -> None:
    blobs.put_bytes("raw", b"kept")
    with blobs.stage() as staged:
        old = staged.path.with_name("left-by-a-killed-process")
        old.write_bytes(b"x")
        os.utime(old, (1, 1))
        assert blobs.sweep_staged() == 1
        assert staged.path.exists()
        assert not old.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; skipped where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_files() -> Iterator[None]:
    """The kernel lets no file grow beyond one megabyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refuse_all(blobs: Blobs, source: Path) -> None:
    data = source.read_bytes()
    with pytest.raises(DiskFull, match="no space left"):
        blobs.put_bytes("derived", data)
    with pytest.raises(DiskFull, match="no space left"):
        blobs.put_file("raw", source)
    assert files(blobs) == []
    assert blobs.put_bytes("derived", b"small")


def test_full_disk_is_named_and_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(2_000_000))
    blobs = open_blobs(small_disk / "data")
    refuse_all(blobs, source)

    def receive_slowly() -> None:
        with blobs.stage() as staged:
            while staged.size_bytes < 2_000_000:
                staged.write(b"x" * 1000)

    with pytest.raises(DiskFull):
        receive_slowly()
    assert len(files(blobs)) == 1


def test_file_that_cannot_grow_is_named_and_leaves_nothing(
    blobs: Blobs, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(2_000_000))
    request.getfixturevalue("small_files")
    refuse_all(blobs, source)


def test_unusable_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadSettings, match="not a folder"):
            open_blobs(path)
    # Not even root can make a folder there.
    with pytest.raises(DiskFull, match="not writable"):
        open_blobs(Path("/sys/sopilot-test"))
