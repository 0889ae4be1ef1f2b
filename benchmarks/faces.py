"""The face blur: its cost against decoding and against Haar cascades, and what it misses.

Films by `face_clips`. "Missed" is the share of a face's frames in which its detail is still there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.decode import LIMITS, PictureCounter, decode_only
from benchmarks.face_clips import (
    Box,
    Head,
    Picture,
    Walk,
    astronaut,
    ground,
    lfw_heads,
    paste,
    write_faces,
)
from benchmarks.harness import (
    Options,
    Row,
    absolute,
    against,
    interleave,
    not_run,
    one_core,
    paired,
)
from sopilot.core.records import VideoInfo
from sopilot.media.decode import run_pass
from sopilot.media.encode import VideoWriter
from sopilot.media.faces import FaceFinder, search_size
from sopilot.media.mask import Mask
from sopilot.media.probe import probe

SIZE_PX = (1280, 720)
BLUR = Mask((), "black", has_face_blur=True)
# Height of a face as a share of the picture's height, and how many of 100 persons may be missed.
SIZES = ((1 / 20, None), (1 / 13, None), (1 / 10, 0.2), (1 / 7, 0.1), (1 / 4, 0.1))
_TURNS_DEG = (-45.0, -20.0, 0.0, 20.0, 45.0)
_HAAR_FRAMES = 6
_HIDDEN_RATIO = 0.2
_DATA = Path(os.environ.get("SOPILOT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def rows(options: Options) -> Iterator[Row]:
    """Cost with a still and a moving camera, then misses by size, then what is blurred wrongly."""
    cv2.setNumThreads(1)
    with one_core():
        yield from _cost_rows(options)
    yield from _still_rows()
    yield from _video_rows(options)
    yield from _wrong_rows()


class Kept:
    """Every frame of a pass, gray, at its own size."""

    rate_fps = None
    pixel_format: Literal["gray"] = "gray"

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """As large as it is."""
        return info.width_px, info.height_px

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """Keep one picture."""
        self.pictures.append(picture)


class Haar:
    """How it was done before: frontal and both profiles at 640 px, on every frame."""

    def __init__(self) -> None:
        folder = cv2.data.haarcascades
        self._frontal = cv2.CascadeClassifier(folder + "haarcascade_frontalface_default.xml")
        self._profile = cv2.CascadeClassifier(folder + "haarcascade_profileface.xml")

    def find(self, picture: Picture) -> list[Box]:
        """Boxes (x1, y1, x2, y2) in pixels of the picture."""
        scale = 640 / max(picture.shape[:2])
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        even = cv2.equalizeHist(cv2.resize(gray, None, fx=scale, fy=scale, interpolation=3))
        found = [*self._search(self._frontal, even), *self._search(self._profile, even)]
        turned = self._search(self._profile, cv2.flip(even, 1))
        found += [(even.shape[1] - x - w, y, w, h) for x, y, w, h in turned]
        return [(x / scale, y / scale, (x + w) / scale, (y + h) / scale) for x, y, w, h in found]

    @staticmethod
    def _search(cascade: cv2.CascadeClassifier, gray: Picture) -> list[tuple[int, ...]]:
        found = cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=4, minSize=(24, 24))
        return [tuple(int(value) for value in box) for box in found]


def find_now(picture: Picture) -> list[Box]:
    """The sure boxes of one picture by the shipped detector, in its pixels."""
    size_px = search_size(picture.shape[1], picture.shape[0])
    scale = picture.shape[1] / size_px[0]
    small = cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA).astype(np.uint8)
    sure = [face for face in FaceFinder(size_px).find(small) if face.is_sure]
    return [(f.x1 * scale, f.y1 * scale, f.x2 * scale, f.y2 * scale) for f in sure]


def missed_ratio(path: Path, boxes: list[list[Box]]) -> float:
    """Share of all boxes whose detail is still there after the pass with the face blur."""
    info = probe(path, LIMITS, "0" * 64)
    plain, blurred = Kept(), Kept()
    run_pass(path, info, [plain])
    run_pass(path, info, [blurred], BLUR)
    pairs = zip(plain.pictures, blurred.pictures, boxes, strict=True)
    seen = [
        _detail(after, box) > _HIDDEN_RATIO * _detail(before, box)
        for before, after, here in pairs
        for box in here
    ]
    return float(np.mean(seen))


def _cost_rows(options: Options) -> Iterator[Row]:
    head, back = astronaut().scaled(90), ground(SIZE_PX)
    walk = Walk(head, (200, 200), (1000, 400))
    still = options.folder / "faces-still.mp4"
    moving = options.folder / "faces-moving.mp4"
    write_faces(still, back, [walk], 180, 30.0)
    _write_moving(moving, back, head)
    for name, path in (("camera at rest", still), ("camera moves", moving)):
        works = (lambda p=path: decode_only(p), lambda p=path: _blurred(p), _haar_work(path))
        floor, ours, haar = interleave(works, options.rounds)
        row = Row("faces", f"face blur of 720p30, {name}", "decode only (PyAV)")
        yield against(row, ours, floor)
        row = Row("faces", f"face blur of 720p30, {name}", "Haar on every frame", target=0.1)
        each = [sample.cpu_sec / 180 for sample in ours]
        yield paired(row, each, [sample.cpu_sec / _HAAR_FRAMES for sample in haar])


def _write_moving(path: Path, back: Picture, head: Head) -> None:
    with VideoWriter(path, SIZE_PX, fps=30.0, options={"crf": "16"}) as writer:
        for index in range(180):
            picture = np.roll(back, 4 * index, axis=1)
            paste(picture, head, (200 + 4 * index, 300))
            writer.write(picture)


def _blurred(path: Path) -> int:
    counter = PictureCounter(4.0, (256, 144))
    run_pass(path, probe(path, LIMITS, "0" * 64), [counter], BLUR)
    return counter.count


def _haar_work(path: Path) -> object:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    chosen, haar = frames[:: len(frames) // _HAAR_FRAMES][:_HAAR_FRAMES], Haar()
    return lambda: [haar.find(frame) for frame in chosen]


def _still_rows() -> Iterator[Row]:
    """One picture, nothing before or after it: ours and Haar on the same persons."""
    heads, haar = lfw_heads(), Haar()
    for size, _ in SIZES:
        ours, theirs = [], []
        for picture, boxes in _crowds([head.scaled(round(size * SIZE_PX[1])) for head in heads]):
            ours += _not_found(find_now(picture), boxes)
            theirs += _not_found(haar.find(picture), boxes)
        name = f"100 persons, face 1/{round(1 / size)} of the height: missed in one picture"
        row = Row("faces", name, "Haar", basis="share")
        yield paired(row, [float(np.mean(ours))], [float(np.mean(theirs))])


def _crowds(heads: list[Head], count: int = 8) -> Iterator[tuple[Picture, list[Box]]]:
    """Pictures with eight heads each."""
    for first in range(0, len(heads), count):
        picture = ground(SIZE_PX)
        group = heads[first : first + count]
        yield picture, [paste(picture, h, _place(i)) for i, h in enumerate(group)]


def _place(index: int) -> tuple[float, float]:
    return 160.0 + 320 * (index % 4) + 13 * (index // 4), 190.0 + 340 * (index // 4)


def _not_found(found: list[Box], boxes: list[Box]) -> list[bool]:
    centres = [((x1 + x2) / 2, (y1 + y2) / 2, y2 - y1) for x1, y1, x2, y2 in boxes]
    return [
        not any(
            x1 <= x <= x2 and y1 <= y <= y2 and 0.4 < (y2 - y1) / size < 2.2
            for x1, y1, x2, y2 in found
        )
        for x, y, size in centres
    ]


def _video_rows(options: Options) -> Iterator[Row]:
    """Two seconds each, the heads walking."""
    for size, target in SIZES:
        face_px = round(size * SIZE_PX[1])
        turned = [astronaut(deg).scaled(face_px) for deg in _TURNS_DEG]
        mirrored = [head.mirrored() for head in turned]
        lfw = [head.scaled(face_px) for head in lfw_heads()]
        for name, heads in (
            ("100 persons", lfw),
            ("one head turned by up to 45 degrees", turned + mirrored),
        ):
            ratios = [
                _missed_walking(options.folder / "faces-walk.mp4", heads[first : first + 8])
                for first in range(0, len(heads), 8)
            ]
            title = f"{name}, face 1/{round(1 / size)} of the height: missed in the film"
            row = Row("faces", title, "limit", target=target)
            yield absolute(row, [float(np.mean(ratios))], "share")


def _missed_walking(path: Path, heads: list[Head]) -> float:
    walks = []
    for index, head in enumerate(heads):
        x, y = _place(index)
        walks.append(Walk(head, (x - 60, y), (x + 60, y + 20)))
    return missed_ratio(path, write_faces(path, ground(SIZE_PX), walks, 30, 15.0))


def _wrong_rows() -> Iterator[Row]:
    for name in ("handwash/002_step01", "handwash/003_step09", "footage/bottle-detection"):
        row = Row("faces", f"{name}: no face, blurred wrongly", "limit", target=0.05)
        path = _DATA / f"{name}.mp4"
        if not path.exists():
            yield not_run(row, f"no {path}; set SOPILOT_TEST_DATA")
            continue
        info = probe(path, LIMITS, "0" * 64)
        plain, blurred = Kept(), Kept()
        run_pass(path, info, [plain])
        run_pass(path, info, [blurred], BLUR)
        pairs = zip(plain.pictures, blurred.pictures, strict=True)
        share = [float(np.mean(before != after)) for before, after in pairs]
        yield absolute(row, [float(np.mean(share))], "of the picture")


def _detail(picture: Picture, box: Box) -> float:
    """Energy of the detail by which a face is known, whatever its size."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in box)
    small = cv2.resize(picture[y1:y2, x1:x2], (24, 24), interpolation=cv2.INTER_AREA)
    return float(np.square(cv2.Laplacian(small, cv2.CV_32F)).mean())
