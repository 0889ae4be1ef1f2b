"""Bytes by content hash, through obstore: `raw/<aa>/<sha256>` and `derived/<aa>/<sha256>`.

A blob appears whole or not at all (staged write, then rename) and never changes afterwards.
Uploads are streamed into a `StagedBlob`, which hashes while it writes.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import obstore
from obstore.store import LocalStore

from sopilot.core.errors import BadSettings, BlobNotFound, FileTooLarge, StoreError
from sopilot.store.faults import blob_fault, file_fault

Area = Literal["raw", "derived"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_STAGED = "raw/.staged"
_BLOCK_BYTES = 1 << 20
_BLOB_ERRORS = (OSError, obstore.exceptions.BaseError)


def blob_key(area: Area, sha256: str) -> str:
    """The key of a blob below the data folder. Raises BlobNotFound for what is no hash."""
    if not _SHA256.fullmatch(sha256):
        raise BlobNotFound(f"{sha256!r} is no content hash; expected 64 hex digits")
    return f"{area}/{sha256[:2]}/{sha256}"


@dataclass(slots=True)
class StagedBlob:
    """A file being received: write to it, then `keep` it; what is not kept disappears."""

    path: Path
    max_bytes: int | None
    _stream: io.FileIO
    size_bytes: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The hash of what was written so far."""
        digest: str = self._hash.hexdigest()
        return digest

    def write(self, block: bytes | memoryview) -> None:
        """Append a block. Raises FileTooLarge beyond `max_bytes`, DiskFull when it cannot grow."""
        self.size_bytes += len(block)
        if self.max_bytes is not None and self.size_bytes > self.max_bytes:
            raise FileTooLarge(
                f"the file has more than {self.max_bytes} bytes; "
                "send a smaller one or raise SOPILOT_MAX_UPLOAD_MB"
            )
        self._hash.update(block)
        rest = memoryview(block)
        try:
            while rest:  # an almost full disk takes a part first
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise file_fault(error, self.path) from error

    def flush(self) -> None:
        """Push what was written to the disk itself: an upload exists nowhere else."""
        try:
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise file_fault(error, self.path) from error


@dataclass(frozen=True, slots=True)
class Blobs:
    """The blob store of a data folder."""

    root: Path
    store: LocalStore

    def put_bytes(self, area: Area, data: bytes) -> str:
        """Store bytes; the hash. What is there already is left, unless it was damaged."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.is_whole(area, sha256):
            key = blob_key(area, sha256)
            self._run(key, lambda: obstore.put(self.store, key, data, use_multipart=False))
        return sha256

    def put_file(self, area: Area, path: Path, *, max_bytes: int | None = None) -> str:
        """Copy a file into the store; the hash. Raises FileTooLarge, DiskFull, StoreError."""
        with self.stage(max_bytes=max_bytes) as staged:
            try:
                with path.open("rb") as source:
                    while block := source.read(_BLOCK_BYTES):
                        staged.write(block)
            except OSError as error:
                raise file_fault(error, path) from error
            return self.keep(area, staged)

    @contextmanager
    def stage(self, *, max_bytes: int | None = None) -> Iterator[StagedBlob]:
        """A place to stream an upload into; removed at the end unless `keep` moved it."""
        path = self.root / _STAGED / uuid.uuid4().hex
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = io.FileIO(path, "x")
        except OSError as error:
            raise file_fault(error, path) from error
        try:
            with stream:
                yield StagedBlob(path, max_bytes, stream)
        finally:
            path.unlink(missing_ok=True)

    def keep(self, area: Area, staged: StagedBlob) -> str:
        """Move a staged upload to its place; the hash. The move is atomic.

        Bytes that are there already are replaced: they may have been damaged, and a move is free.
        """
        staged.flush()
        key = blob_key(area, staged.sha256)
        source = f"{_STAGED}/{staged.path.name}"
        self._run(key, lambda: obstore.rename(self.store, source, key))
        return staged.sha256

    def is_whole(self, area: Area, sha256: str) -> bool:
        """Whether the blob is there and undamaged; reads it through."""
        try:
            self.checked_path(area, sha256)
        except (StoreError, BlobNotFound):
            return False
        return True

    def get_bytes(self, area: Area, sha256: str) -> bytes:
        """The bytes of a blob. Raises BlobNotFound; StoreError when they were damaged."""
        key = blob_key(area, sha256)
        data: bytes = self._run(key, lambda: bytes(obstore.get(self.store, key).bytes()))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _damaged(key)
        return data

    def checked_path(self, area: Area, sha256: str) -> Path:
        """local_path of a blob whose bytes were read through, in bounded memory.

        Raises BlobNotFound; StoreError when they were damaged.
        """
        path = self.local_path(area, sha256)
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise file_fault(error, path) from error
        if found != sha256:
            raise _damaged(blob_key(area, sha256))
        return path

    def local_path(self, area: Area, sha256: str) -> Path:
        """The blob as a local file, to be read only. Raises BlobNotFound."""
        path = self.root / blob_key(area, sha256)
        if not path.is_file():
            raise BlobNotFound(f"there is no blob {blob_key(area, sha256)}")
        return path

    def exists(self, area: Area, sha256: str) -> bool:
        """Whether the blob is there."""
        return self.size_of(area, sha256) is not None

    def size_of(self, area: Area, sha256: str) -> int | None:
        """The size of a blob in bytes; None when it is not there."""
        key = blob_key(area, sha256)
        try:
            return int(self._run(key, lambda: obstore.head(self.store, key))["size"])
        except BlobNotFound:
            return None

    def delete(self, area: Area, sha256: str) -> None:
        """Remove a blob; one that is not there is no error."""
        key = blob_key(area, sha256)
        try:
            self._run(key, lambda: obstore.delete(self.store, key))
        except BlobNotFound:
            return

    def sweep_staged(self, *, older_than_sec: float = 24 * 3600.0) -> int:
        """Remove uploads that a killed process left half received; how many. Called at start."""
        limit = time.time() - older_than_sec
        removed = 0
        folder = self.root / _STAGED
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                if path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # its owner finished in this moment
            except OSError as error:
                raise file_fault(error, path) from error
        return removed

    @staticmethod
    def _run(key: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except FileNotFoundError as error:
            raise BlobNotFound(f"there is no blob {key}") from error
        except _BLOB_ERRORS as error:
            raise blob_fault(error, key) from error


def _damaged(key: str) -> StoreError:
    return StoreError(
        f"blob {key} does not match its hash any more; delete the video and add it again"
    )


def open_blobs(data_dir: Path) -> Blobs:
    """The blob store below a data folder, which is made when missing.

    Raises BadSettings when `data_dir` is no folder, DiskFull when it is not writable.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadSettings(
            f"{data_dir} is not a folder; name a folder (--data-dir, SOPILOT_DATA_DIR)"
        ) from error
    except OSError as error:
        raise file_fault(error, data_dir) from error
    root = data_dir.resolve()
    if not os.access(root, os.W_OK | os.X_OK):
        raise file_fault(PermissionError(13, "Permission denied"), root)
    return Blobs(root, LocalStore(prefix=root))
