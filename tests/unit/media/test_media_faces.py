"""Face blur: what the detector finds in real faces, and what is covered between two searches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from media_clips import LIMITS, Keep, texture, write_clip

from benchmarks.face_clips import Box, Head, astronaut, ground, paste
from sopilot.media import faces
from sopilot.media.decode import run_pass
from sopilot.media.face_cover import FaceCover, FaceTracks
from sopilot.media.faces import Face, FaceFinder, search_size
from sopilot.media.mask import Mask
from sopilot.media.probe import probe

SIZE_PX = (640, 360)


def found_in(picture: np.ndarray, size_px: tuple[int, int] = SIZE_PX) -> list[Face]:
    searched = search_size(*size_px)
    return FaceFinder(searched).find(cv2.resize(picture, searched, interpolation=cv2.INTER_AREA))


def overlap(face: Face, box: Box, scale: float) -> float:
    """IoU of a found box with a true one."""
    x1, y1, x2, y2 = (value * scale for value in box)
    wide = min(face.x2, x2) - max(face.x1, x1)
    high = min(face.y2, y2) - max(face.y1, y1)
    shared = max(0.0, wide) * max(0.0, high)
    areas = (face.x2 - face.x1) * (face.y2 - face.y1) + (x2 - x1) * (y2 - y1)
    return shared / (areas - shared)


@pytest.mark.parametrize("face_px", [24, 40, 90, 180])
@pytest.mark.parametrize("turned_deg", [-25.0, 0.0, 30.0])
@pytest.mark.parametrize("pose", [lambda head: head, Head.mirrored])
def test_a_real_face_is_found_where_it_is(
    face_px: int, turned_deg: float, pose: Callable[[Head], Head]
) -> None:
    picture = ground(SIZE_PX)
    box = paste(picture, pose(astronaut(turned_deg)).scaled(face_px), (300, 190))
    scale = search_size(*SIZE_PX)[0] / SIZE_PX[0]
    best = max(found_in(picture), key=lambda face: overlap(face, box, scale))
    assert overlap(best, box, scale) > 0.4
    assert best.is_sure


@pytest.mark.parametrize("size_px", [(360, 640), (320, 180), (1920, 1080), (1000, 120)])
def test_faces_are_found_at_every_place_of_every_shape(size_px: tuple[int, int]) -> None:
    face_px = min(size_px) // 5
    scale = search_size(*size_px)[0] / size_px[0]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        picture = ground(size_px)
        x = face_px + share * (size_px[0] - 2 * face_px)
        y = face_px + (1 - share) * (size_px[1] - 2 * face_px)
        box = paste(picture, astronaut().scaled(face_px), (x, y))
        found = found_in(picture, size_px)
        assert max(overlap(face, box, scale) for face in found) > 0.3, (x, y)


def test_a_picture_without_a_face_is_left_alone() -> None:
    for picture in (ground(SIZE_PX), texture(*SIZE_PX), np.full((360, 640, 3), 90, np.uint8)):
        assert [face for face in found_in(picture) if face.is_sure] == []


def test_squares_that_did_not_change_are_not_searched_again() -> None:
    size_px = search_size(*SIZE_PX)
    finder = FaceFinder(size_px)
    picture = ground(size_px)
    finder.find(picture)
    assert finder.searched_count == 10
    noise = np.random.default_rng(1).normal(0, 3, picture.shape)
    finder.find(np.clip(picture + noise, 0, 255).astype(np.uint8))
    assert finder.searched_count == 10
    paste(picture, astronaut().scaled(30), (40, 40))
    assert finder.find(picture)
    assert 11 <= finder.searched_count <= 14


def box_at(x: float, is_sure: bool = True) -> Face:
    return Face(x - 10, 40, x + 10, 60, 0.5, is_sure)


def covered(tracks: FaceTracks, time_sec: float, x: float, y: float = 50) -> bool:
    """Whether the point (pixels of a 200 x 100 picture) is hidden after the search at time_sec."""
    rects = tracks.cover(time_sec).rects
    return any(x1 * 200 <= x <= x2 * 200 and y1 * 100 <= y <= y2 * 100 for x1, y1, x2, y2 in rects)


def test_a_moving_face_is_covered_all_the_way_to_the_next_search() -> None:
    tracks = FaceTracks((200, 100))
    tracks.add(0.0, [box_at(50)])
    tracks.add(0.2, [box_at(85)])
    assert all(covered(tracks, 0.0, x) for x in range(40, 96))
    assert not covered(tracks, 0.2, 50)


def test_a_face_is_covered_before_it_was_found_and_after_it_was_lost() -> None:
    tracks = FaceTracks((200, 100))
    for time_sec, found in ((0.0, []), (0.2, []), (0.4, [box_at(50)]), (0.6, [])):
        tracks.add(time_sec, found)
    assert covered(tracks, 0.0, 50)
    assert covered(tracks, 0.2, 50)
    assert covered(tracks, 0.6, 50)
    assert covered(tracks, 1.3, 32), "wider with time"
    assert not covered(tracks, 0.4, 32)
    assert not covered(tracks, 1.5, 50)


def test_an_unsure_box_is_covered_only_where_a_sure_one_follows() -> None:
    tracks = FaceTracks((200, 100))
    tracks.add(0.0, [box_at(50, False), box_at(150, False)])
    assert tracks.cover(0.0).rects == ()
    tracks.add(0.2, [box_at(52), box_at(150, False)])
    assert covered(tracks, 0.0, 50)
    assert not covered(tracks, 0.0, 150)


def test_two_faces_that_come_close_stay_two() -> None:
    tracks = FaceTracks((200, 100))
    tracks.add(0.0, [box_at(40), box_at(120)])
    tracks.add(0.2, [box_at(60), box_at(100)])
    assert len(tracks.cover(0.0).rects) == 2


@pytest.mark.parametrize("fps", [2.0, 10.0, 30.0, 90.0])
def test_every_frame_comes_once_and_in_time(tmp_path: Path, fps: float) -> None:
    path = write_clip(tmp_path / "a.mp4", fps=fps)
    info = probe(path, LIMITS, "0" * 64)
    plain, blurred = Keep(), Keep()
    assert run_pass(path, info, [plain]) == run_pass(
        path, info, [blurred], Mask((), "black", has_face_blur=True)
    )
    assert blurred.times_sec == plain.times_sec
    assert len(blurred.times_sec) == 40
    assert all(np.array_equal(a, b) for a, b in zip(plain.pictures, blurred.pictures, strict=True))


@pytest.mark.parametrize(("size_px", "most"), [((320, 180), 18), ((7680, 4320), 3)])
def test_few_frames_wait_however_large_they_are(size_px: tuple[int, int], most: int) -> None:
    cover = FaceCover((32, 18), lambda _: np.zeros((18, 32, 3), np.uint8))
    waiting, at_most = 0, 0
    for index in range(60):
        frame = VideoFrame(*size_px, "gray8")
        waiting += 1 - len(list(cover.take(frame, index / 120, (index + 1) / 120)))
        at_most = max(at_most, waiting)
    assert at_most <= most
    assert len(list(cover.rest())) == waiting


def test_a_video_of_one_frame_is_searched(tmp_path: Path) -> None:
    picture = ground(SIZE_PX)
    paste(picture, astronaut().scaled(80), (300, 190))
    path = write_clip(tmp_path / "one.mp4", [picture], size_px=SIZE_PX)
    info, keep = probe(path, LIMITS, "0" * 64), Keep(size_px=SIZE_PX)
    run_pass(path, info, [keep], Mask((), "black", has_face_blur=True))
    apart = np.abs(np.array(keep.pictures[0], int) - picture).mean(axis=-1)
    assert apart[150:230, 270:330].mean() > 15
    assert apart[:, 450:].mean() < 5


def test_face_blur_is_part_of_the_fingerprint() -> None:
    rects = ((0.0, 0.0, 0.5, 0.5),)
    assert Mask(rects).fingerprint != Mask(rects, has_face_blur=True).fingerprint


def test_the_network_is_the_one_its_notice_names() -> None:
    notice = faces.MODEL_PATH.with_name("NOTICE.txt").read_text(encoding="utf-8")
    assert hashlib.sha256(faces.MODEL_PATH.read_bytes()).hexdigest() in notice
