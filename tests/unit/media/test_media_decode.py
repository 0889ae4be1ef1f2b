"""The one decode pass: times, pictures, damage."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_clips import LIMITS, Keep, corner_picture, texture, write_clip
from numpy.typing import NDArray

from sopilot.core.errors import JobCancelled, MediaError, SopilotError
from sopilot.core.records import VideoInfo
from sopilot.media.decode import PassSummary, run_pass
from sopilot.media.encode import VideoWriter
from sopilot.media.mask import Mask
from sopilot.media.probe import probe


def red(picture: NDArray[np.uint8]) -> float:
    """The level that `corner_picture` drew, read away from its corner."""
    height_px, width_px = picture.shape[:2]
    return float(picture[height_px // 2 :, width_px // 2 :, 2].mean())


def decode(path: Path, *consumers: Any, mask: Mask | None = None) -> PassSummary:
    return run_pass(path, probe(path, LIMITS), consumers, mask)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
def test_every_frame_comes_once_and_in_time(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    keep = Keep(look=red)
    summary = decode(write_clip(tmp_path / name, codec=codec), keep)
    assert summary.frame_count == 40
    assert summary.duration_sec == pytest.approx(4.0, abs=0.01)
    assert keep.times_sec == pytest.approx([0.1 * index for index in range(40)], abs=2e-3)
    assert keep.pictures == pytest.approx([5.0 * index for index in range(40)], abs=8)


def test_times_start_at_zero_whatever_the_container_says(tmp_path: Path) -> None:
    times = [7.5 + 0.1 * index for index in range(40)]
    keep = Keep()
    summary = decode(write_clip(tmp_path / "late.mkv", times_sec=times), keep)
    assert keep.times_sec[0] == 0.0
    assert summary.first_sec == pytest.approx(7.5)
    assert summary.duration_sec == pytest.approx(4.0, abs=0.05)


def test_variable_rate_is_sampled_by_what_is_shown(tmp_path: Path) -> None:
    times = np.cumsum([0.0] + [0.05 if index % 4 else 0.3 for index in range(39)]).tolist()
    keep = Keep(rate_fps=10.0, look=red)
    summary = decode(write_clip(tmp_path / "v.mp4", times_sec=times), keep)
    shown = [np.searchsorted(times, at + 1e-3, side="right") - 1 for at in keep.times_sec]
    assert summary.is_vfr
    assert keep.pictures == pytest.approx([5.0 * index for index in shown], abs=8)


def test_the_source_rate_does_not_change_the_samples(tmp_path: Path) -> None:
    background = texture(480, 96)
    runs = {}
    for fps in (10, 25, 30, 60):
        frames = [
            np.ascontiguousarray(background[:, round(50 * k / fps) :][:, :160])
            for k in range(3 * fps)
        ]
        runs[fps] = Keep(rate_fps=10.0, size_px=(80, 48))
        decode(write_clip(tmp_path / f"{fps}.mp4", frames, fps=fps, crf=16), runs[fps])
    for fps in (25, 30, 60):
        assert runs[fps].times_sec == pytest.approx(runs[10].times_sec)
        # 25 fps shows the frame of up to 0.04 s before: two pixels of the 160.
        apart = np.abs(np.array(runs[fps].pictures, float) - np.array(runs[10].pictures, float))
        assert apart.mean() < (14 if fps == 25 else 3)


def test_a_slow_source_repeats_its_frames(tmp_path: Path) -> None:
    keep = Keep(rate_fps=10.0, look=red)
    decode(write_clip(tmp_path / "s.mp4", fps=5, count=10), keep)
    assert len(keep.times_sec) == 20
    assert keep.pictures[0::2] == pytest.approx(keep.pictures[1::2])


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_pictures_arrive_upright(tmp_path: Path, rotation_deg: int) -> None:
    upright = corner_picture(96, 160)
    coded = np.ascontiguousarray(np.rot90(upright, -rotation_deg // 90))
    size_px = (coded.shape[1], coded.shape[0])
    path = write_clip(
        tmp_path / "r.mp4", [coded] * 5, size_px=size_px, rotation_deg=rotation_deg, crf=10
    )
    keep = Keep(size_px=(48, 80))
    decode(path, keep)
    assert keep.pictures[0].shape == (80, 48, 3)
    assert np.abs(keep.pictures[0].astype(float) - upright[::2, ::2]).mean() < 6


@pytest.mark.parametrize(
    "options",
    [
        {"name": "a.mp4", "pixel_format": "yuv420p10le"},
        {"name": "a.mp4", "codec": "libx265", "pixel_format": "yuv420p10le"},
        {"name": "a.mkv", "codec": "ffv1", "pixel_format": "yuv420p10le"},
        {"name": "a.mp4", "size_px": (161, 97)},
        {"name": "a.mkv", "codec": "ffv1", "pixel_format": "yuv420p", "size_px": (161, 97)},
        {"name": "a.mp4", "with_audio": True},
        {"name": "a.h264"},
    ],
)
def test_every_kind_of_picture_is_converted(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_clip(tmp_path / options.pop("name"), count=12, **options)
    colour, gray = Keep(size_px=(64, 40), look=red), Keep(size_px=(64, 40), pixel_format="gray")
    assert decode(path, colour, gray).frame_count == 12
    assert colour.pictures == pytest.approx([5.0 * index for index in range(12)], abs=10)
    assert gray.pictures[0].shape == (40, 64)


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    keep = Keep(rate_fps=10.0)
    summary = decode(write_clip(tmp_path / "one.mp4", count=1), keep)
    assert summary.frame_count == 1
    assert keep.times_sec == [0.0]


def test_consumers_with_equal_wishes_share_one_picture(tmp_path: Path) -> None:
    one, two = Keep(4.0, (64, 40), look=id), Keep(4.0, (64, 40), look=id)
    decode(write_clip(tmp_path / "a.mp4"), one, two)
    assert one.pictures == two.pictures


def test_a_consumer_cannot_spoil_the_picture_of_another(tmp_path: Path) -> None:
    class Spoil(Keep):
        def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
            picture[:] = 0

    with pytest.raises(ValueError, match="read-only"):
        decode(write_clip(tmp_path / "a.mp4"), Spoil())


def test_a_selective_consumer_gets_only_what_it_wants(tmp_path: Path) -> None:
    class Odd(Keep):
        def wants(self, sample_index: int) -> bool:
            return sample_index % 2 == 1

    odd, all_of_them = Odd(10.0, (64, 40)), Keep(10.0, (64, 40))
    decode(write_clip(tmp_path / "a.mp4"), odd, all_of_them)
    assert odd.times_sec == all_of_them.times_sec[1::2]


def test_the_mask_comes_before_every_consumer(tmp_path: Path) -> None:
    keep = Keep(size_px=(80, 48))
    path = write_clip(tmp_path / "a.mp4", count=3)
    decode(path, keep, mask=Mask(((0.0, 0.0, 0.5, 1.0),)))
    assert all(picture[:, :40].max() == 0 for picture in keep.pictures)
    assert all(picture[:, 45:].mean() > 5 for picture in keep.pictures)


def test_progress_rises_and_may_stop_the_pass(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=200, fps=50)
    shares: list[float] = []
    run_pass(path, probe(path, LIMITS), [], progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    def stop(_share: float) -> None:
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        run_pass(path, probe(path, LIMITS), [], progress=stop)


def test_the_same_file_gives_the_same_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    one, two = Keep(10.0, (64, 40)), Keep(10.0, (64, 40))
    assert decode(path, one) == decode(path, two)
    assert np.array_equal(one.pictures, two.pictures)


def probe_and_decode(path: Path) -> tuple[VideoInfo, PassSummary]:
    info = probe(path, LIMITS)
    return info, run_pass(path, info, [Keep(10.0, (32, 24))])


def typed_outcome(path: Path) -> tuple[VideoInfo, PassSummary] | SopilotError:
    try:
        return probe_and_decode(path)
    except SopilotError as error:
        return error


def whole_clip(folder: Path, name: str) -> bytes:
    frames = [np.roll(texture(160, 96), index, axis=1) for index in range(60)]
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    return write_clip(folder / name, frames, codec=codec, gop_frames=15).read_bytes()


def check_cut(path: Path, data: bytes, length: int) -> bool:
    """Whether a file cut to `length` bytes was read; any failure must be one of ours."""
    path.write_bytes(data[:length])
    outcome = typed_outcome(path)
    if isinstance(outcome, SopilotError):
        return False
    info, summary = outcome
    assert summary.duration_sec >= 0.9 * info.duration_sec - 1.0
    return True


@pytest.mark.parametrize("name", ["t.mp4", "t.mkv", "t.avi", "t.ts"])
def test_a_cut_file_is_read_or_refused_by_a_typed_error(tmp_path: Path, name: str) -> None:
    data = whole_clip(tmp_path, name)
    lengths = random.Random(7).sample(range(1, len(data)), 8)
    outcomes = [check_cut(tmp_path / name, data, length) for length in lengths]
    assert len(outcomes) == 8
    assert check_cut(tmp_path / name, data, len(data))


@pytest.mark.soak
@pytest.mark.parametrize("name", ["t.mp4", "t.mkv", "t.avi", "t.ts"])
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path: Path, name: str) -> None:
    data = whole_clip(tmp_path, name)
    for length in range(0, len(data), max(1, len(data) // 400)):
        check_cut(tmp_path / name, data, length)


def test_a_cut_file_says_how_much_was_there(tmp_path: Path) -> None:
    data = whole_clip(tmp_path, "t.mp4")
    path = tmp_path / "t.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=r"cut off: \d\.\d s of 6\.0 s") as caught:
        probe_and_decode(path)
    assert 1.0 < caught.value.details["decoded_sec"] < 5.0


def scramble(data: bytearray) -> None:
    rng = random.Random(3)
    for _ in range(len(data) // 20):
        data[rng.randrange(len(data) // 4, len(data))] = rng.randrange(256)


def zero_middle(data: bytearray) -> None:
    third = len(data) // 3
    data[third : 2 * third] = bytes(third)


@pytest.mark.parametrize("damage", [scramble, zero_middle])
def test_damaged_bytes_never_raise_anything_untyped(
    tmp_path: Path, damage: Callable[[bytearray], None]
) -> None:
    data = bytearray(whole_clip(tmp_path, "d.mp4"))
    damage(data)
    path = tmp_path / "d.mp4"
    path.write_bytes(data)
    outcome = typed_outcome(path)
    if isinstance(outcome, SopilotError):
        assert "d.mp4" in outcome.message or "frame" in outcome.message
    else:
        assert outcome[1].frame_count > 0


def test_the_writer_is_deterministic(tmp_path: Path) -> None:
    one, two = (write_clip(tmp_path / name).read_bytes() for name in ("1.mp4", "2.mp4"))
    assert one == two


def test_the_writer_refuses_a_frame_of_another_size(tmp_path: Path) -> None:
    with (
        VideoWriter(tmp_path / "a.mp4", (64, 48)) as writer,
        pytest.raises(SopilotError, match=r"\(48, 64, 3\)"),
    ):
        writer.write(corner_picture(48, 64))
