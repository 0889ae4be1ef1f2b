"""Makes the films of a benchmark and their features, once, and reads them back.

A film is named by its content, features by the sources that made them, so nothing old is re-used.
Called by `session`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.verdicts.baselines import ColourRows
from sopilot.core.config import Settings
from sopilot.core.errors import SopilotError
from sopilot.core.records import Limits, Role
from sopilot.embed.base import VideoFeatures
from sopilot.embed.open import open_embedder
from sopilot.media.decode import FrameConsumer, run_pass
from sopilot.media.probe import probe

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits(max_pixels=3840 * 2160, max_duration_sec=3600.0, min_duration_sec=0.5)

_NO_FEATURES = ("isolate.py", "quality.py", "shots.py", "keyframes.py", "chunks.py", "encode.py")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Footage:
    """A video to be made (when it is not there yet) and read. make writes the file; picklable."""

    path: Path
    role: Role
    make: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Copying:
    """Brings a given file into the working folder, where its features can lie beside it."""

    source: Path

    def __call__(self, path: Path) -> None:
        shutil.copyfile(self.source, path)


class Refused(Exception):
    """The product takes no features from a film. code: of its error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def workers(count: int) -> Iterator[Executor | None]:
    """Processes of one thread each; None = do it here (count 1)."""
    if count < 2:
        yield None
        return
    for name in _ONE_THREAD:
        os.environ[name] = "1"  # read by the numpy of the spawned workers
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield pool


def prepare(footage: Sequence[Footage], pool: Executor | None) -> None:
    """Make every file, its features and its baseline rows that are not there yet."""
    # Paths are settled here: sources may change while the workers run.
    jobs = {
        (item.path, item.role): (item, _features_path(item.path, item.role), _rows_path(item.path))
        for item in footage
    }
    waiting = [job for job in jobs.values() if not (_is_read(job[1]) and job[2].exists())]
    done = map(_prepare, waiting) if pool is None else pool.map(_prepare, waiting)
    for count, _ in enumerate(done, 1):
        print(f"\r{count}/{len(waiting)} videos read", end="", file=sys.stderr, flush=True)
    if waiting:
        print(file=sys.stderr)


def load(path: Path, role: Role) -> VideoFeatures:
    """The kept features of a prepared film. Raises Refused where the product gave none."""
    target = _features_path(path, role)
    if target.exists():
        return VideoFeatures.from_bytes(target.read_bytes())
    raise Refused(json.loads(_refusal_path(target).read_text())["code"])


def load_rows(path: Path) -> NDArray[np.float32]:
    """(n, 12) baseline rows of a prepared film, see `baselines`."""
    rows: NDArray[np.float32] = np.load(_rows_path(path))
    return rows


@cache
def source_key(*folders: str) -> str:
    """Fingerprint of the sources under src/sopilot/<folder>: what they made is then made anew."""
    sha = hashlib.sha256()
    for folder in folders:
        for source in sorted((ROOT / "src/sopilot" / folder).glob("*.py")):
            if source.name not in _NO_FEATURES:
                sha.update(source.read_bytes())
    return sha.hexdigest()[:12]


def _prepare(job: tuple[Footage, Path, Path]) -> None:
    item, target, rows_target = job
    cv2.setNumThreads(1)
    if not item.path.exists():
        item.path.parent.mkdir(parents=True, exist_ok=True)
        part = item.path.with_suffix(f".{os.getpid()}.part.mp4")
        item.make(part)
        part.rename(item.path)
    # A gold is read twice, but its rows are the same in either role.
    rows = None if rows_target.exists() else ColourRows()
    try:
        _read(item, target, [] if rows is None else [rows])
    except SopilotError as error:
        _keep(_refusal_path(target), json.dumps({"code": error.code}).encode())
    if rows is not None:
        _keep(rows_target, rows.finish())


def _read(item: Footage, target: Path, others: list[FrameConsumer]) -> None:
    """One pass over the film; the features are kept at `target`."""
    info = probe(item.path, LIMITS, "0" * 64)
    if _is_read(target):
        run_pass(item.path, info, others)
        return
    consumer = open_embedder(Settings()).consumer(info, item.role)
    summary = run_pass(item.path, info, [consumer, *others])
    _keep(target, consumer.finish(summary.duration_sec).to_bytes())


def _keep(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.rename(target)


def _is_read(target: Path) -> bool:
    return target.exists() or _refusal_path(target).exists()


def _refusal_path(target: Path) -> Path:
    return target.with_suffix(".refused")


def _features_path(path: Path, role: Role) -> Path:
    return (
        path.parent / f"features-{source_key('embed', 'media')}" / f"{path.stem}.{role.value}.npz"
    )


def _rows_path(path: Path) -> Path:
    return path.parent / f"baseline-{_baseline_key()}" / f"{path.stem}.npy"


@cache
def _baseline_key() -> str:
    source = Path(__file__).with_name("baselines.py").read_bytes()
    return hashlib.sha256(source).hexdigest()[:12]
