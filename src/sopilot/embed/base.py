"""What the bands above know of features: the record `VideoFeatures`, its stored form, and the
protocols of an embedder and of the frame consumer that it hands to the decode pass."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError, StoreError
from sopilot.core.records import Producer, Role, VideoInfo
from sopilot.core.timespan import TimeSpan
from sopilot.media.arrays import READ_ERRORS, ArrayFile, Pieces, whole, write_arrays
from sopilot.media.decode import FrameConsumer

COMPRESSION_LEVEL: Final = 1  # higher levels gain under 2 % on half-precision descriptors
_BLOCK_NAME: Final = re.compile(r"[a-z][a-z0-9_]*([@~][1-9][0-9]*)?")
_BLOCK: Final = "block."
_FORMAT: Final = 2


class Blocks(Mapping[str, NDArray[np.float32]]):
    """Named blocks, each (n, d): kept in half precision, handed out as fresh float32 arrays.

    Four hours of video are 200 MB this way; every look-up converts anew, so keep what you look up.
    A name with `@k` holds the block as a synthetic re-recording number k would have given it, one
    with `~k` as another framing of the same pictures gives it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, array in arrays.items():
            if not _BLOCK_NAME.fullmatch(name) or array.ndim != 2:
                raise InputError(
                    f"block {name!r} of shape {array.shape} is not usable; give (n, d) arrays and "
                    "names of small letters, with @1 ... for re-recordings and ~1 ... for framings"
                )
        self._arrays = {
            name: np.ascontiguousarray(array, np.float16) for name, array in sorted(arrays.items())
        }

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._arrays[name].astype(np.float32)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def half(self, name: str) -> NDArray[np.float16]:
        """The stored array itself, without conversion."""
        return self._arrays[name]

    def check(self, clip_count: int) -> None:
        """Raises InputError unless every block has so many rows of finite numbers."""
        lengths = {name: len(array) for name, array in self._arrays.items()}
        if any(length != clip_count for length in lengths.values()):
            raise InputError(f"every block must have {clip_count} rows like clip_spans: {lengths}")
        if not all(np.isfinite(array).all() for array in self._arrays.values()):
            raise InputError("features must be finite; extract them from the video again")


class StoredBlocks(Blocks):
    """Blocks that stay in their file: every look-up reads one of them, each stride-th row.

    A look-up raises StoreError when the file is gone or damaged.
    """

    def __init__(self, path: Path, names: Iterable[str], stride: int) -> None:
        self._path = path
        self._names = tuple(sorted(names))
        self._stride = stride

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.half(name).astype(np.float32)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def half(self, name: str) -> NDArray[np.float16]:
        """The rows as they are stored."""
        if name not in self._names:
            raise KeyError(name)
        try:
            with ArrayFile(self._path) as stored:
                return stored.read(_BLOCK + name, self._stride)
        except READ_ERRORS as error:
            raise _unreadable(self._path.name, error) from error

    def check(self, clip_count: int) -> None:
        """Nothing: what was written had been checked, and its checksum is when it is read."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFeatures:
    """Descriptors of one video, clip by clip.

    clip_spans: (n, 2) float64, start and end seconds in original video time, n >= 1; a clip that
    runs across a freeze spans it, though its frozen frames took no part. blocks: see `Blocks`.
    energy: (n,) float32, mean share of moving pixels, 0-1. freezes: ascending, each >= 1.5 s.
    repeat_ratio: 0-1, sampled frames outside freezes that show the frame before once more, as a
    camera slower than the sampling gives them.
    Raises InputError where the lengths disagree or a value is not finite.
    """

    producer: Producer
    clip_spans: NDArray[np.float64]
    blocks: Blocks
    energy: NDArray[np.float32]
    freezes: tuple[TimeSpan, ...]
    duration_sec: float
    repeat_ratio: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.clip_spans)
        if count < 1 or self.clip_spans.shape != (count, 2) or self.energy.shape != (count,):
            raise InputError(
                f"clip spans {self.clip_spans.shape} and energy {self.energy.shape} must be "
                "(n, 2) and (n,) with n >= 1"
            )
        if not (np.isfinite(self.clip_spans).all() and np.isfinite(self.energy).all()):
            raise InputError("features must be finite; extract them from the video again")
        self.blocks.check(count)

    @property
    def clip_count(self) -> int:
        """Number of clips, >= 1."""
        return len(self.clip_spans)

    def rerecordings(self, name: str) -> tuple[str, ...]:
        """Blocks that show block `name` as synthetic re-recordings would have it, in order."""
        return self._variants(name, "@")

    def framings(self, name: str) -> tuple[str, ...]:
        """Blocks that show block `name` in other framings of the same pictures, in order."""
        return self._variants(name, "~")

    def block(self, name: str) -> NDArray[np.float32]:
        """(n, d) float32 rows of a block. Raises InputError when there is no such block."""
        if name not in self.blocks:
            raise InputError(f"no block {name!r}; there are {', '.join(self.blocks)}")
        return self.blocks[name]

    def _variants(self, name: str, mark: str) -> tuple[str, ...]:
        found = (key for key in self.blocks if key.startswith(name + mark))
        return tuple(sorted(found, key=lambda key: int(key.partition(mark)[2])))

    def clips(self, first: int, stop: int) -> VideoFeatures:
        """The same video with the clips [first, stop) only; times stay those of the video."""
        return replace(
            self,
            clip_spans=self.clip_spans[first:stop],
            blocks=Blocks({name: self.blocks.half(name)[first:stop] for name in self.blocks}),
            energy=self.energy[first:stop],
        )

    def to_bytes(self) -> bytes:
        """npz without pickle; equal features give equal bytes."""
        target = io.BytesIO()
        FeatureParts(
            self.producer,
            self.clip_spans,
            {name: whole(self.blocks.half(name)) for name in self.blocks},
            self.energy,
            self.freezes,
            self.duration_sec,
            self.repeat_ratio,
        ).write(target)
        return target.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> VideoFeatures:
        """The inverse of to_bytes. Raises StoreError for bytes that are not stored features."""
        try:
            with ArrayFile(io.BytesIO(data)) as stored:
                blocks = Blocks({n: stored.read(_BLOCK + n) for n in _block_names(stored)})
                return cls(blocks=blocks, **_head(stored))
        except READ_ERRORS as error:
            raise _unreadable(f"{len(data)} stored bytes", error) from error

    @classmethod
    def from_file(cls, path: Path, most_clips: int | None = None) -> VideoFeatures:
        """What a file of to_bytes holds; its blocks stay there (see `StoredBlocks`).

        most_clips: show every 2nd, 3rd .. clip, so that no more than this many are left. Raises
        StoreError for a file that is not stored features.
        """
        try:
            with ArrayFile(path) as stored:
                head = _head(stored)
                names = _block_names(stored)
        except READ_ERRORS as error:
            raise _unreadable(path.name, error) from error
        stride = 1 if most_clips is None else -(-len(head["clip_spans"]) // most_clips)
        head |= {name: head[name][::stride] for name in ("clip_spans", "energy")}
        return cls(blocks=StoredBlocks(path, names, stride), **head)


def _head(stored: ArrayFile) -> dict[str, Any]:
    """Fields of `VideoFeatures` but the blocks."""
    head = json.loads(stored.read("head").tobytes())
    name, version, settings = head["producer"]
    return {
        "producer": Producer(name, version, tuple((a, b) for a, b in settings)),
        "clip_spans": stored.read("clip_spans"),
        "energy": stored.read("energy"),
        "freezes": tuple(TimeSpan(float(a), float(b)) for a, b in stored.read("freezes")),
        "duration_sec": float(head["duration_sec"]),
        "repeat_ratio": float(head["repeat_ratio"]),
    }


def _block_names(stored: ArrayFile) -> list[str]:
    return [name.removeprefix(_BLOCK) for name in stored.names if name.startswith(_BLOCK)]


def _unreadable(what: str, error: Exception) -> StoreError:
    return StoreError(f"{what} are no features ({error}); ingest the video again")


@dataclass(frozen=True, slots=True, eq=False)
class FeatureParts:
    """Features whose blocks, (n, d) float16 each, may be made while they are written.

    Fields as in `VideoFeatures`. Blocks are asked for once and in the order of their names.
    """

    producer: Producer
    clip_spans: NDArray[np.float64]
    blocks: Mapping[str, Pieces]
    energy: NDArray[np.float32]
    freezes: tuple[TimeSpan, ...]
    duration_sec: float
    repeat_ratio: float = 0.0

    def write(self, target: Path | IO[bytes]) -> None:
        """The bytes of VideoFeatures.to_bytes, in the memory of one piece.

        Raises DiskFull, InputError where a value is not finite.
        """
        head = {
            "format": _FORMAT,
            "producer": [self.producer.name, self.producer.version, self.producer.settings],
            "duration_sec": self.duration_sec,
            "repeat_ratio": self.repeat_ratio,
        }
        freezes = np.array([(f.start_sec, f.end_sec) for f in self.freezes], np.float64)
        arrays = {
            "head": whole(np.frombuffer(json.dumps(head).encode(), np.uint8)),
            "clip_spans": whole(self.clip_spans),
            "energy": whole(self.energy),
            "freezes": whole(freezes.reshape(-1, 2)),
        }
        for name, block in sorted(self.blocks.items()):
            arrays[_BLOCK + name] = Pieces(block.dtype, block.shape, _finite(block.parts))
        write_arrays(target, arrays, compression_level=COMPRESSION_LEVEL)

    def features(self) -> VideoFeatures:
        """Everything in memory."""
        blocks = {n: np.concatenate(list(b.parts)) for n, b in sorted(self.blocks.items())}
        return VideoFeatures(
            self.producer,
            self.clip_spans,
            Blocks(blocks),
            self.energy,
            self.freezes,
            self.duration_sec,
            self.repeat_ratio,
        )


def _finite(parts: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    for part in parts:
        if not np.isfinite(part).all():
            raise InputError("features must be finite; extract them from the video again")
        yield part


def comparison_key(producer: Producer) -> tuple[str, ...]:
    """What must be equal for two videos' features to be comparable.

    Name, version and every setting but the number of re-recordings, in which golds and trainees
    differ on purpose.
    """
    settings = (f"{key}={value}" for key, value in sorted(producer.settings) if key != "versions")
    return (producer.name, producer.version, *settings)


class FeatureConsumer(FrameConsumer, Protocol):
    """Takes the frames of one decode pass and gives the features at its end."""

    def finish(self, duration_sec: float) -> VideoFeatures:
        """Features of the frames taken; call this or `write` once.

        Raises NoFrames when there were none.
        """
        ...

    def write(self, path: Path, duration_sec: float, producer: Producer) -> None:
        """finish, as made by `producer`, straight into a file as to_bytes gives it; memory does
        not grow with the length of the video. Raises NoFrames, DiskFull."""
        ...


class Embedder(Protocol):
    """A feature backend; chosen once at start."""

    def producer_for(self, role: Role) -> Producer:
        """What the features of a video in this role are recorded and keyed by."""
        ...

    def consumer(self, info: VideoInfo, role: Role) -> FeatureConsumer:
        """A fresh consumer for one pass over one video."""
        ...
