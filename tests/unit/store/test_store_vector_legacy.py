"""Vector files of an older product become points of the videos that they are of."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from sopilot.core.errors import InputError
from sopilot.store.vector_files import VectorFiles
from sopilot.store.vector_legacy import LegacyMove, move_legacy, read_legacy, read_names
from sopilot.store.vector_server import VectorServer
from sopilot.store.vectors import PointFilter, VectorStore

DICE = np.random.default_rng(3)


def write(folder: Path, task: str, vectors: Any, records: Any, name: str = "{}.meta.json") -> None:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{task}.npy", vectors)
    (folder / name.format(task)).write_text(json.dumps(records))


def records(video: int | str, count: int) -> list[dict[str, Any]]:
    return [
        {"video_id": video, "clip_idx": i, "start_sec": 4.0 * i, "end_sec": 4.0 * i + 4.0}
        for i in reversed(range(count))
    ]


def moved(folder: Path, target: VectorStore, known: dict[str, int], **more: Any) -> LegacyMove:
    return move_legacy(
        read_legacy(folder),
        target,
        "vjepa-old",
        lambda name: (known[name], 1) if name in known else None,
        lambda video: {"video_id": f"uid-{video}", "task_id": "pilot"},
        3,
        **more,
    )


def a_server() -> VectorServer:
    return VectorServer(QdrantClient(":memory:"), "http://in-memory")


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    return DICE.normal(size=(5, 8)).astype(np.float32)


@pytest.mark.parametrize("name", ["{}.json", "{}.meta.json"])
@pytest.mark.parametrize("backend", ["files", "server"])
@pytest.mark.filterwarnings("ignore:Payload indexes", "ignore:Local mode")
def test_every_vector_arrives_once_with_its_place(
    tmp_path: Path, vectors: NDArray[np.float32], name: str, backend: str
) -> None:
    write(tmp_path / "old", "bolt", vectors[:3], records(7, 3), name)
    write(tmp_path / "old", "screw", vectors[3:], records("a-b", 2), name)
    target = VectorFiles(tmp_path / "vectors") if backend == "files" else a_server()
    known = {"7": 70, "a-b": 80}
    dry = moved(tmp_path / "old", target, known, is_dry=True)
    assert (dry.move.copied_videos, dry.move.points, target.collections()) == (2, 5, ())
    first = moved(tmp_path / "old", target, known)
    assert (first.move.copied_videos, first.move.is_same, first.unknown) == (2, True, ())
    assert moved(tmp_path / "old", target, known).move.copied_videos == 0
    (collection,) = target.collections()
    assert (collection.kind, target.count(collection)) == ("legacy", 5)
    hits = target.search(collection, vectors[2] / np.linalg.norm(vectors[2]), PointFilter(), 1)
    assert (hits[0].video_id, hits[0].level, hits[0].clip_index) == (70, "legacy", 0)
    assert (hits[0].start_ms, hits[0].end_ms) == (0, 4000)
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)
    with warnings.catch_warnings():
        assert target.delete_video(70) == 3


def test_videos_that_are_not_here_are_named_and_left(
    tmp_path: Path, vectors: NDArray[np.float32]
) -> None:
    write(tmp_path / "old", "bolt", vectors, [*records(7, 3), *records(8, 2)])
    target = VectorFiles(tmp_path / "vectors")
    done = moved(tmp_path / "old", target, {"7": 70})
    assert (done.unknown, done.move.points) == (("8",), 3)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda v, r: (v[:2], r), r"bolt.npy has 2 vectors, its records are 3"),
        (lambda v, r: (np.vstack([v[:2], v[:1] * 0]), r), "vector 2 is zero"),
        (lambda v, r: (np.vstack([v[:2], v[:1] * np.nan]), r), "vector 2 is zero or not finite"),
        (lambda v, r: (v[0], r), "rows of numbers"),
        (lambda v, r: (v, [{"video_id": 1}] * 3), r"bolt.meta.json: 0.clip_idx"),
        (lambda v, r: (v, [r[0] | {"start_sec": -1}, *r[1:]]), r"0.start_sec"),
        (lambda v, r: (v, [r[0], r[0], r[1]]), "two vectors of one clip_idx"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(
    tmp_path: Path, vectors: NDArray[np.float32], spoil: Any, said: str
) -> None:
    spoiled = spoil(vectors[:3], records(7, 3))
    write(tmp_path / "old", "bolt", *spoiled)
    target = VectorFiles(tmp_path / "vectors")
    with pytest.raises(InputError, match=said):
        moved(tmp_path / "old", target, {"7": 70})
    assert target.collections() == ()


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    np.save(folder / "a.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a.npy cannot be read"):
        read_legacy(folder)


def test_an_empty_folder_and_two_dimensions_are_refused(
    tmp_path: Path, vectors: NDArray[np.float32]
) -> None:
    with pytest.raises(InputError, match=r"no \.npy file"):
        read_legacy(tmp_path)
    write(tmp_path, "a", vectors[:2], records(1, 2))
    write(tmp_path, "b", vectors[:2, :4], records(2, 2))
    with pytest.raises(InputError, match=r"different lengths \(a.npy has 8, b.npy has 4\)"):
        read_legacy(tmp_path)


def test_names_come_from_an_object(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    path.write_text('{"7": 12}')
    assert read_names(path) == {"7": "12"}
    path.write_text("[]")
    with pytest.raises(InputError, match="no JSON object"):
        read_names(path)
    assert read_names(None) == {}
