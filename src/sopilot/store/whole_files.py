"""Files that are there whole or not at all: written beside their place, synced, then renamed.

Used by all that writes a file which another program may read or a kill may cut short. The functions
raise OSError; what it means to the user the callers say.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

STAGED = ".*.part*"
"""What a killed writer may leave in a folder, as a glob pattern."""


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with a stream whose bytes replace the file at `path` when it returns."""
    with staged_file(path.parent) as staged:
        with staged.open("xb") as stream:
            write(stream)
        place(staged, path)


@contextmanager
def staged_file(folder: Path, suffix: str = "") -> Iterator[Path]:
    """A hidden path for a file in the making; what still lies there at the end is removed.

    suffix: ending of the name, for writers that go by it.
    """
    staged = folder / f".{uuid.uuid4().hex}.part{suffix}"
    try:
        yield staged
    finally:
        with suppress(OSError):  # a folder that is none holds nothing
            staged.unlink(missing_ok=True)


def place(staged: Path, path: Path) -> None:
    """Move a written file to its place, over what is there, so that a power cut keeps one whole."""
    with staged.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(staged, path)
    _sync_folder(path.parent)


def place_new(staged: Path, path: Path) -> None:
    """Like `place`, but never over another file. Raises FileExistsError."""
    path.open("xb").close()
    try:
        place(staged, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def place_under_free_name(staged: Path, stem: str, suffix: str) -> Path:
    """Move a written file within its folder to `<stem><suffix>`, or the first free
    `<stem>-<number><suffix>` from 2 on; where it went."""
    for number in count(1):
        path = staged.with_name(f"{stem}{'' if number == 1 else f'-{number}'}{suffix}")
        with suppress(FileExistsError):
            place_new(staged, path)
            return path
    raise AssertionError("count never ends")


def _sync_folder(folder: Path) -> None:
    """Make a rename last, where the folder may be read and the file system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
