"""The stored form of features: exact, deterministic, and refusing what it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sopilot.core.config import load_settings
from sopilot.core.errors import DiskFull, InputError, SopilotError, StoreError
from sopilot.core.records import Producer, Role
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures, comparison_key
from sopilot.embed.open import open_embedder
from sopilot.embed.spool import RowSpool

PRODUCER = Producer("color-motion", "color-motion-v2", (("versions", "0"), ("window_rows", "8")))


def features(**changed: Any) -> VideoFeatures:
    rng = np.random.default_rng(5)
    given: dict[str, Any] = {
        "producer": PRODUCER,
        "clip_spans": np.array([[0.0, 1.6], [0.6, 2.2]]),
        "blocks": Blocks({"crop": rng.normal(size=(2, 5)), "crop@1": rng.normal(size=(2, 5))}),
        "energy": np.array([0.1, 0.2], np.float32),
        "freezes": (TimeSpan(0.3, 2.0),),
        "duration_sec": 2.3,
    }
    return VideoFeatures(**(given | changed))


def test_bytes_round_trip_exactly_and_are_the_same_twice() -> None:
    first = features()
    data = first.to_bytes()
    again = VideoFeatures.from_bytes(data)
    assert data == features().to_bytes() == again.to_bytes()
    assert again.producer == first.producer
    assert again.freezes == first.freezes
    assert (again.block("crop") == first.block("crop")).all()
    assert again.block("crop").dtype == np.float32


def test_a_file_of_features_is_read_as_far_as_it_is_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    given = features(
        clip_spans=np.stack([np.arange(11.0), np.arange(11.0) + 1], axis=1),
        energy=np.arange(11, dtype=np.float32),
        blocks=Blocks({"crop": rng.normal(size=(11, 4)), "crop@1": rng.normal(size=(11, 4))}),
    )
    path = tmp_path / "features"
    path.write_bytes(given.to_bytes())
    stored = VideoFeatures.from_file(path)
    assert stored.to_bytes() == given.to_bytes()
    assert stored.rerecordings("crop") == ("crop@1",)
    thin = VideoFeatures.from_file(path, most_clips=4)
    assert thin.clip_count == 4
    assert thin.clip_spans.tolist() == given.clip_spans[::3].tolist()
    assert np.array_equal(thin.block("crop@1"), given.block("crop@1")[::3])
    with pytest.raises(InputError, match="crop@2"):
        thin.block("crop@2")
    path.write_bytes(b"gone")
    with pytest.raises(StoreError, match="ingest"):
        stored.block("crop")
    with pytest.raises(StoreError, match="ingest"):
        VideoFeatures.from_file(path)


@pytest.mark.parametrize("damage", [b"", b"no zip at all", features().to_bytes()[:-200]])
def test_damaged_bytes_are_a_store_error(damage: bytes) -> None:
    with pytest.raises(StoreError, match="ingest"):
        VideoFeatures.from_bytes(damage)


@pytest.mark.parametrize(
    "changed",
    [
        {"clip_spans": np.zeros((0, 2)), "energy": np.zeros(0, np.float32)},
        {"energy": np.zeros(3, np.float32)},
        {"energy": np.array([np.nan, 0], np.float32)},
        {"blocks": Blocks({"crop": np.zeros((3, 5))})},
        {"blocks": Blocks({"crop": np.full((2, 5), np.inf)})},
    ],
)
def test_features_that_cannot_be_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        features(**changed)


@pytest.mark.parametrize(
    "name", ["Crop", "crop@0", "crop~0", "crop~", "crop~01", "crop@1~1", "", "a b"]
)
def test_block_names_are_checked(name: str) -> None:
    with pytest.raises(InputError, match="block"):
        Blocks({name: np.zeros((1, 1))})


VARIED = ("crop", "crop@2", "crop@10", "crop@1", "crop~11", "crop~2", "crop_wide", "crop_wide@3")


@pytest.mark.parametrize(
    ("name", "rerecordings", "framings"),
    [
        ("crop", ("crop@1", "crop@2", "crop@10"), ("crop~2", "crop~11")),
        ("crop_wide", ("crop_wide@3",), ()),
        ("layout", (), ()),
    ],
)
def test_views_of_a_block_are_listed_in_number_order(
    name: str, rerecordings: tuple[str, ...], framings: tuple[str, ...], tmp_path: Path
) -> None:
    made = features(blocks=Blocks({each: np.zeros((2, 3)) for each in VARIED}))
    (tmp_path / "features").write_bytes(made.to_bytes())
    for given in (made, VideoFeatures.from_file(tmp_path / "features")):
        assert given.rerecordings(name) == rerecordings
        assert given.framings(name) == framings


def test_a_block_is_looked_up_by_its_whole_name() -> None:
    made = features()
    assert (made.block("crop@1") == made.blocks["crop@1"]).all()
    assert not np.array_equal(made.block("crop@1"), made.block("crop"))
    with pytest.raises(InputError, match="crop@2"):
        made.block("crop@2")


def test_golds_and_trainees_share_a_comparison_key_but_not_a_fingerprint(tmp_path: Path) -> None:
    embedder = open_embedder(load_settings(data_dir=tmp_path))
    gold, trainee = embedder.producer_for(Role.GOLD), embedder.producer_for(Role.TRAINEE)
    assert (gold.name, gold.version) == ("color-motion", "color-motion-v2")
    assert comparison_key(gold) == comparison_key(trainee)
    assert gold.fingerprint != trainee.fingerprint
    other = Producer(gold.name, gold.version, (*gold.settings, ("window_rows", "9")))
    assert comparison_key(other) != comparison_key(gold)


def test_spooled_rows_come_back_and_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = RowSpool(np.dtype([("value", np.int32)]))
    for value in range(10):
        spool.append(np.array((value,), spool.read(0, 0).dtype))
    assert spool.read(7, 99)["value"].tolist() == [7, 8, 9]
    assert spool.spread(4)["value"].tolist() == [0, 3, 6, 9]

    class Full:
        def write(self, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_file", Full())
    with pytest.raises(DiskFull, match="TMPDIR") as caught:
        spool.append(np.zeros((), [("value", np.int32)]))
    assert isinstance(caught.value, SopilotError)
