"""What the bands above know of features: the record `VideoFeatures`, its stored form, and the
protocols of an embedder and of the frame consumer that it hands to the decode pass."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError, StoreError
from sopilot.core.records import Producer, Role, VideoInfo
from sopilot.core.timespan import TimeSpan
from sopilot.media.decode import FrameConsumer

COMPRESSION_LEVEL: Final = 1  # higher levels gain under 2 % on half-precision descriptors
_BLOCK_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(@[1-9][0-9]*)?")
_FORMAT: Final = 1


class Blocks(Mapping[str, NDArray[np.float32]]):
    """Named blocks, each (n, d): kept in half precision, handed out as fresh float32 arrays.

    Four hours of video are 200 MB this way; every look-up converts anew, so keep what you look up.
    A name with `@k` holds the block as a synthetic re-recording number k would have given it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, array in arrays.items():
            if not _BLOCK_NAME.fullmatch(name) or array.ndim != 2:
                raise InputError(
                    f"block {name!r} of shape {array.shape} is not usable; give (n, d) arrays and "
                    "names of small letters, with @1, @2 ... for re-recordings"
                )
        self._arrays = {
            name: np.ascontiguousarray(array, np.float16) for name, array in sorted(arrays.items())
        }

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._arrays[name].astype(np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def half(self, name: str) -> NDArray[np.float16]:
        """The stored array itself, without conversion."""
        return self._arrays[name]


@dataclass(frozen=True, slots=True, eq=False)
class VideoFeatures:
    """Descriptors of one video, clip by clip.

    clip_spans: (n, 2) float64, start and end seconds in original video time, n >= 1; a clip that
    runs across a freeze spans it, though its frozen frames took no part. blocks: see `Blocks`.
    energy: (n,) float32, mean share of moving pixels, 0-1. freezes: ascending, each >= 1.5 s.
    Raises InputError where the lengths disagree or a value is not finite.
    """

    producer: Producer
    clip_spans: NDArray[np.float64]
    blocks: Blocks
    energy: NDArray[np.float32]
    freezes: tuple[TimeSpan, ...]
    duration_sec: float

    def __post_init__(self) -> None:
        count = len(self.clip_spans)
        lengths = {name: len(self.blocks.half(name)) for name in self.blocks}
        if count < 1 or self.clip_spans.shape != (count, 2) or self.energy.shape != (count,):
            raise InputError(
                f"clip spans {self.clip_spans.shape} and energy {self.energy.shape} must be "
                "(n, 2) and (n,) with n >= 1"
            )
        if any(length != count for length in lengths.values()):
            raise InputError(f"every block must have {count} rows like clip_spans, got {lengths}")
        arrays: list[NDArray[Any]] = [self.clip_spans, self.energy]
        arrays += [self.blocks.half(name) for name in self.blocks]
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError("features must be finite; extract them from the video again")

    @property
    def clip_count(self) -> int:
        """Number of clips, >= 1."""
        return len(self.clip_spans)

    @property
    def version_count(self) -> int:
        """Number of synthetic re-recordings that are stored beside the video's own blocks."""
        return max(int(name.partition("@")[2] or 0) for name in self.blocks)

    def block(self, name: str, version: int = 0) -> NDArray[np.float32]:
        """(n, d) block of the video itself (version 0) or of re-recording `version`.

        Raises InputError when there is no such block.
        """
        key = f"{name}@{version}" if version else name
        if key not in self.blocks:
            raise InputError(f"no block {key!r}; there are {', '.join(self.blocks)}")
        return self.blocks[key]

    def to_bytes(self) -> bytes:
        """npz without pickle; equal features give equal bytes."""
        head = {
            "format": _FORMAT,
            "producer": [self.producer.name, self.producer.version, self.producer.settings],
            "duration_sec": self.duration_sec,
        }
        freezes = np.array([(f.start_sec, f.end_sec) for f in self.freezes], np.float64)
        arrays: dict[str, NDArray[Any]] = {
            "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
            "clip_spans": self.clip_spans,
            "energy": self.energy,
            "freezes": freezes.reshape(-1, 2),
        }
        arrays |= {f"block.{name}": self.blocks.half(name) for name in self.blocks}
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name, array in arrays.items():
                # A fresh ZipInfo has a fixed date: no clock reaches the bytes.
                entry = zipfile.ZipInfo(f"{name}.npy")
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry._compresslevel = COMPRESSION_LEVEL  # type: ignore[attr-defined]
                with archive.open(entry, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        return target.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> VideoFeatures:
        """The inverse of to_bytes. Raises StoreError for bytes that are not stored features."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                head = json.loads(stored["head"].tobytes())
                name, version, settings = head["producer"]
                blocks = {
                    key.removeprefix("block."): stored[key]
                    for key in stored.files
                    if key.startswith("block.")
                }
                return cls(
                    producer=Producer(name, version, tuple((a, b) for a, b in settings)),
                    clip_spans=stored["clip_spans"],
                    blocks=Blocks(blocks),
                    energy=stored["energy"],
                    freezes=tuple(TimeSpan(float(a), float(b)) for a, b in stored["freezes"]),
                    duration_sec=float(head["duration_sec"]),
                )
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(
                f"{len(data)} stored bytes are no features ({error}); ingest the video again"
            ) from error


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
        """Features of the frames taken; call once. Raises NoFrames when there were none."""
        ...


class Embedder(Protocol):
    """A feature backend; chosen once at start."""

    def producer_for(self, role: Role) -> Producer:
        """What the features of a video in this role are recorded and keyed by."""
        ...

    def consumer(self, info: VideoInfo, role: Role) -> FeatureConsumer:
        """A fresh consumer for one pass over one video."""
        ...
