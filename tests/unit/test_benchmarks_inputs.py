"""The inputs of the benchmarks are what their rows say they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.decode import LIMITS, PictureCounter, decode_only, opencv_sampling
from benchmarks.features import HOP_SEC, STEP_COUNT, WIDTHS, clip_count_of, make_case
from benchmarks.footage import renamed, repeated
from sopilot.media.decode import run_pass
from sopilot.media.encode import VideoWriter
from sopilot.media.probe import probe
from sopilot.sop.compare import compare
from sopilot.sop.comparison import EventType


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds at 20 fps."""
    path = tmp_path_factory.mktemp("footage") / "clip.mp4"
    ground = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    with VideoWriter(path, (64, 48), fps=20.0, gop_frames=10, options={"bf": "2"}) as writer:
        for index in range(60):
            writer.write(np.roll(ground, index, axis=1))
    return path


def test_repeated_file_has_the_frames_as_many_times(clip: Path) -> None:
    longer = repeated(clip, 3)
    assert decode_only(longer) == 3 * decode_only(clip) == 180
    info = probe(longer, LIMITS)
    assert info.duration_sec == pytest.approx(9.0, abs=0.2)
    counter = PictureCounter(rate_fps=4.0, wanted_px=(32, 24))
    assert run_pass(longer, info, [counter]).frame_count == 180
    assert counter.count == pytest.approx(36, abs=1)


def test_renamed_file_shows_the_same_in_other_bytes(clip: Path, tmp_path: Path) -> None:
    copy = renamed(clip, tmp_path / "copy.mp4", "take 2")
    assert copy.read_bytes() != clip.read_bytes()
    assert decode_only(copy) == decode_only(clip)


def test_opencv_peer_samples_as_many_pictures_as_ours(clip: Path) -> None:
    counter = PictureCounter(rate_fps=4.0, wanted_px=(256, 256))
    run_pass(clip, probe(clip, LIMITS), [counter])
    assert opencv_sampling(clip) == counter.count == 12


def test_case_has_the_length_that_its_row_names() -> None:
    case = make_case(clip_count_of(150.0))
    for features in (case.gold, case.trainee):
        assert features.duration_sec == pytest.approx(150.0, abs=HOP_SEC)
    assert len(case.steps) == STEP_COUNT


def test_case_has_the_rerecordings_that_the_embedder_makes() -> None:
    case = make_case(20)
    for name in WIDTHS:
        assert case.gold.rerecordings(name) == (f"{name}@1", f"{name}@2")
        assert case.trainee.rerecordings(name) == ()


def test_case_makes_the_order_search_do_its_work() -> None:
    case = make_case(120)
    found = compare([case.gold], case.trainee, case.steps)
    swaps = [each for each in found.findings if each.type is EventType.ORDER_SWAP]
    assert [(each.step_index, each.other_step_index) for each in swaps] in ([(4, 5)], [(5, 4)])
