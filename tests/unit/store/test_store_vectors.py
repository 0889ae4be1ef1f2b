"""What every backend of the vector store must do, and what its files must survive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from sopilot.core.config import load_settings
from sopilot.core.errors import BadSettings, InputError, StoreError
from sopilot.runtime import vectors_of
from sopilot.store import vector_files
from sopilot.store.vector_files import VectorFiles
from sopilot.store.vector_moving import move_vectors
from sopilot.store.vector_server import VectorServer, open_server, point_id
from sopilot.store.vectors import LEVELS, Collection, PointFilter, Points, VectorStore

HERE = Collection("0123456789abcdef", 8)
OTHER = Collection("fedcba9876543210", 8)
ANY = PointFilter()


@pytest.fixture(params=["files", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    """A fresh store of every backend: a new one joins the list, the tests stay."""
    if request.param == "files":
        yield VectorFiles(tmp_path / "vectors")
        return
    yield from a_server(tmp_path)


def a_server(tmp_path: Path) -> Iterator[VectorServer]:
    """The server at SOPILOT_QDRANT_URL, where there is one, else the engine within its client."""
    url = os.environ.get("SOPILOT_TEST_QDRANT_URL")
    if url:
        server = open_server(url, None, 30.0)
        yield server
        for collection in server.collections():
            server.remove(collection, server.video_ids(collection))
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        warnings.filterwarnings("ignore", message="Local mode performs exact")
        yield VectorServer(QdrantClient(":memory:"), "http://in-memory")


def rows(seed: int, count: int = 5) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=(count, HERE.dim)).astype(np.float32)
    unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def points(seed: int, count: int = 5, task: int = 1, role: int = 1) -> Points:
    starts = np.arange(count, dtype=np.int64) * 600
    return Points(rows(seed, count), np.stack([starts, starts + 1600], axis=1), task, role)


def names(store: VectorStore, chosen: PointFilter = ANY, k: int = 999) -> set[tuple[int, int]]:
    found = store.search(HERE, rows(1)[0], chosen, k)
    return {(hit.video_id, hit.clip_index) for hit in found}


def test_a_search_finds_what_brute_force_finds_in_the_same_order(store: VectorStore) -> None:
    for video_id in range(1, 8):
        store.upsert(HERE, video_id, points(video_id, 40))
    query = rows(99)[0]
    everything = [
        (-float(row @ query), video_id, clip)
        for video_id in range(1, 8)
        for clip, row in enumerate(rows(video_id, 40))
    ]
    found = [(h.video_id, h.clip_index) for h in store.search(HERE, query, ANY, 10)]
    assert found == [(v, c) for _, v, c in sorted(everything)[:10]]


def test_ties_are_cut_by_video_and_clip(store: VectorStore) -> None:
    for video_id in (3, 1, 2):
        store.upsert(HERE, video_id, points(7))
    found = store.search(HERE, rows(7)[0], ANY, 2)
    assert [(h.video_id, h.clip_index) for h in found] == [(1, 0), (2, 0)]


def test_a_hit_tells_where_it_is_and_how_similar(store: VectorStore) -> None:
    store.upsert(HERE, 4, points(1, role=2))
    hit = store.search(HERE, rows(1)[2], ANY, 1)[0]
    assert (hit.video_id, hit.clip_index, hit.start_ms, hit.end_ms) == (4, 2, 1200, 2800)
    assert hit.role == 2
    assert hit.similarity == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("chosen", "videos"),
    [
        (PointFilter(task=2), {2}),
        (PointFilter(role=0), {3}),
        (PointFilter(without_video_ids=frozenset({1, 3})), {2}),
        (PointFilter(task=9), set()),
    ],
)
def test_a_filter_leaves_out_what_it_says(
    store: VectorStore, chosen: PointFilter, videos: set[int]
) -> None:
    store.upsert(HERE, 1, points(1))
    store.upsert(HERE, 2, points(2, task=2))
    store.upsert(HERE, 3, points(3, role=0))
    assert {video for video, _ in names(store, chosen)} == videos


def test_one_clip_can_be_left_out(store: VectorStore) -> None:
    store.upsert(HERE, 1, points(1))
    assert names(store, PointFilter(without_clip=(1, 2))) == {(1, 0), (1, 1), (1, 3), (1, 4)}


def test_an_upsert_replaces_all_of_its_video_and_nothing_else(store: VectorStore) -> None:
    store.upsert(HERE, 1, points(1))
    store.upsert(HERE, 2, points(2))
    store.upsert(HERE, 1, points(9, 3))
    store.upsert(HERE, 1, points(9, 3))
    assert store.count(HERE) == 8
    assert names(store, PointFilter(without_video_ids=frozenset({2}))) == {(1, 0), (1, 1), (1, 2)}


def test_a_deleted_video_is_gone_from_every_collection(store: VectorStore) -> None:
    for collection in (HERE, OTHER):
        store.upsert(collection, 1, points(1))
        store.upsert(collection, 2, points(2))
    assert store.delete_video(1) == 10
    assert store.delete_video(1) == 0
    assert (store.count(HERE), store.count(OTHER)) == (5, 5)
    assert {video for video, _ in names(store)} == {2}


def test_collections_never_mix(store: VectorStore) -> None:
    store.upsert(HERE, 1, points(1))
    store.upsert(OTHER, 2, points(1))
    assert {video for video, _ in names(store)} == {1}
    assert store.collections() == (HERE, OTHER)


def test_a_collection_goes_with_its_last_point(store: VectorStore) -> None:
    for collection in (HERE, OTHER):
        store.upsert(collection, 1, points(1))
        store.upsert(collection, 2, points(2, 3))
    assert store.video_ids(HERE) == {1, 2}
    assert store.remove(HERE, {1, 7}) == 5
    assert (names(store), store.count(OTHER)) == ({(2, 0), (2, 1), (2, 2)}, 8)
    assert store.remove(HERE, {2}) == 3
    assert store.remove(HERE, {2}) == 0
    assert store.collections() == (OTHER,)
    assert (names(store), store.video_ids(HERE)) == (set(), frozenset())


def test_a_replacement_holds_what_it_was_given_and_what_it_was_not_given_stays(
    store: VectorStore,
) -> None:
    store.upsert(HERE, 1, points(1))
    for video_id in (2, 4):
        store.upsert(HERE, video_id, points(9))
    replacement = [(2, points(2)), (3, points(3, 2)), (4, points(4, 0))]
    assert store.replace(HERE, replacement) == 12
    assert store.video_ids(HERE) == {1, 2, 3}
    for seed, video_id, clip in ((1, 1, 4), (2, 2, 0), (3, 3, 1)):
        assert store.search(HERE, rows(seed, clip + 1)[clip], ANY, 1)[0].video_id == video_id


@pytest.mark.parametrize("name", ["current.json", "points-*", "rows-*"])
def test_a_replacement_mends_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    store = VectorFiles(tmp_path)
    store.upsert(HERE, 1, points(1))
    (path,) = (store.root / HERE.name).glob(name)
    path.write_bytes(b"torn")
    with pytest.raises(StoreError, match="vectors rebuild"):
        store.search(HERE, rows(1)[0], ANY, 1)
    store.replace(HERE, [(2, points(2))])
    assert store.video_ids(HERE) == {2}
    assert store.search(HERE, rows(2)[0], ANY, 1)[0].video_id == 2


def test_writes_during_a_replacement_are_not_lost(store: VectorStore) -> None:
    """The earlier product lost what was added while its index was built."""
    for video_id in (1, 2, 3):
        store.upsert(HERE, video_id, points(video_id))

    def videos() -> Iterator[tuple[int, Points]]:
        yield 1, points(1)
        yield 2, points(2)
        store.upsert(HERE, 2, points(9, 2))
        store.delete_video(3)
        store.upsert(HERE, 4, points(4))
        yield 3, points(3)

    store.replace(HERE, videos())
    assert names(store) == {(1, c) for c in range(5)} | {(2, 0), (2, 1)} | {
        (4, c) for c in range(5)
    }
    assert store.search(HERE, rows(9)[1], ANY, 1)[0].similarity == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        Points(np.zeros((2, 7), np.float32), np.zeros((2, 2), np.int64), 1, 1),
        Points(np.zeros((2, 8), np.float32), np.zeros((3, 2), np.int64), 1, 1),
        Points(np.full((2, 8), np.nan, np.float32), np.zeros((2, 2), np.int64), 1, 1),
    ],
)
def test_arrays_that_do_not_fit_are_refused_whole(store: VectorStore, wrong: Points) -> None:
    store.upsert(HERE, 1, points(1))
    with pytest.raises(InputError):
        store.upsert(HERE, 1, wrong)
    assert store.count(HERE) == 5


def test_writers_and_readers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    store = VectorFiles(tmp_path)  # the engine within Qdrant's client is for one thread

    def add(video_id: int) -> int:
        store.upsert(HERE, video_id, points(video_id))
        return len(names(store)) % 5  # a half-written video would leave a rest

    with ThreadPoolExecutor(6) as pool:
        rests = list(pool.map(add, range(40)))
    assert set(rests) == {0}
    assert store.count(HERE) == 200


def test_rows_of_replaced_videos_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_files, "LEAST_DEAD_ROWS", 20)
    store = VectorFiles(tmp_path)
    for _ in range(30):
        store.upsert(HERE, 1, points(1))
        store.upsert(HERE, 2, points(2))
    size = sum(path.stat().st_size for path in (tmp_path / HERE.name).glob("rows-*"))
    assert size <= (10 + 20 + 10) * HERE.dim * 4
    assert store.search(HERE, rows(2)[3], ANY, 1)[0].clip_index == 3


def test_damaged_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    store = VectorFiles(tmp_path)
    store.upsert(HERE, 1, points(1))
    (tmp_path / HERE.name / "current.json").write_text("{")
    with pytest.raises(StoreError, match="vectors rebuild"):
        store.count(HERE)


_KILLED = """
import sys
from pathlib import Path
import numpy as np
from sopilot.store.vector_files import VectorFiles
from sopilot.store.vector_server import VectorServer, open_server, point_id
from sopilot.store.vectors import Collection, Points
store = VectorFiles(Path(sys.argv[1]))
here = Collection("0123456789abcdef", 8)
print("ready", flush=True)
n = 0
while True:
    n += 1
    rows = np.full((5, 8), n, np.float32)
    store.upsert(here, 1 + n % 3, Points(rows, np.full((5, 2), n, np.int64), 1, 1))
    if n % 7 == 0:
        store.replace(here, [(v, Points(rows, np.full((5, 2), n, np.int64), 1, 1)) for v in (1, 2)])
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_writer_leaves_a_whole_state(tmp_path: Path, seed: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.03 + np.random.default_rng(seed).random() * 0.3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    store = VectorFiles(tmp_path)
    store.upsert(HERE, 50, points(50))  # the lock was released, the next writer goes on
    found = store.search(HERE, np.ones(8, np.float32), ANY, 99)
    per_video = {v: [h for h in found if h.video_id == v] for v in {h.video_id for h in found}}
    assert all(len(hits) == 5 for hits in per_video.values())
    assert all(len({h.start_ms for h in hits}) == 1 for v, hits in per_video.items() if v != 50)


CHUNKS = Collection("c" * 16, 8, "chunks")


def levelled(seed: int, spans: list[tuple[int, int]], levels: list[str]) -> Points:
    places = [LEVELS.index(level) for level in levels]  # type: ignore[arg-type]
    counts: dict[int, int] = {}
    indexes = []
    for place in places:
        indexes.append(counts.get(place, 0))
        counts[place] = indexes[-1] + 1
    return Points(
        rows(seed, len(spans)),
        np.array(spans, np.int64),
        1,
        3,
        np.array(places, np.int16),
        np.array(indexes, np.int32),
    )


@pytest.fixture
def chunked(store: VectorStore) -> VectorStore:
    spans = [(0, 9000), (0, 3000), (1500, 4500), (6000, 9000)]
    for video_id in (1, 2):
        store.upsert(
            CHUNKS, video_id, levelled(video_id, spans, ["macro", "micro", "micro", "micro"])
        )
    return store


def chunk_names(store: VectorStore, chosen: PointFilter) -> set[tuple[int, str, int]]:
    found = store.search(CHUNKS, rows(9, 1)[0], chosen, 100)
    return {(hit.video_id, hit.level, hit.clip_index) for hit in found}


def test_levels_videos_and_spans_choose_points(chunked: VectorStore) -> None:
    macro = PointFilter(levels=frozenset({"macro"}))
    assert chunk_names(chunked, macro) == {(1, "macro", 0), (2, "macro", 0)}
    second = PointFilter(levels=frozenset({"micro"}), video_ids=frozenset({2, 7}))
    assert chunk_names(chunked, second) == {(2, "micro", 0), (2, "micro", 1), (2, "micro", 2)}
    # Of video 1 what shares time with the spans; touching is not sharing; of video 2 everything.
    spans = PointFilter(
        levels=frozenset({"micro"}), spans_ms={1: [(3000, 3001), (5000, 6000), (20_000, 21_000)]}
    )
    assert chunk_names(chunked, spans) == {
        (1, "micro", 1), (2, "micro", 0), (2, "micro", 1), (2, "micro", 2)
    }  # fmt: skip
    assert chunk_names(chunked, PointFilter(video_ids=frozenset())) == set()


def test_records_of_a_version_without_levels_are_clips(tmp_path: Path) -> None:
    store = VectorFiles(tmp_path)
    store.upsert(HERE, 1, points(1))
    before = store.search(HERE, rows(9)[0], ANY, 9)
    (path,) = (tmp_path / HERE.name).glob("points-*.npy")
    table = np.load(path)
    kept = [name for name in table.dtype.names if name != "level"]
    np.save(path, table[kept].astype([(name, table.dtype[name]) for name in kept]))
    assert store.search(HERE, rows(9)[0], ANY, 9) == before
    store.upsert(HERE, 2, points(2))
    assert store.count(HERE) == 10
    (path,) = (tmp_path / HERE.name).glob("points-*.npy")
    np.save(path, np.zeros(3, [("row", "<i8")]))
    with pytest.raises(StoreError, match="vectors rebuild"):
        store.search(HERE, rows(9)[0], ANY, 9)


def test_vectors_come_back_by_name(chunked: VectorStore) -> None:
    found = chunked.fetch(
        CHUNKS, [(1, "micro", 1), (2, "macro", 0), (2, "macro", 1), (9, "micro", 0)]
    )
    assert found.keys() == {(1, "micro", 1), (2, "macro", 0)}
    assert np.allclose(found[1, "micro", 1], rows(1, 4)[2], atol=1e-6)
    assert np.allclose(found[2, "macro", 0], rows(2, 4)[0], atol=1e-6)
    assert chunked.fetch(CHUNKS, []) == {}


def test_kinds_of_collections_do_not_meet(chunked: VectorStore) -> None:
    same = Collection(CHUNKS.producer, CHUNKS.dim)
    assert chunked.search(same, rows(9, 1)[0], ANY, 5) == []
    assert [item.kind for item in chunked.collections()] == ["chunks"]
    assert Collection.of_name(CHUNKS.name) == CHUNKS
    assert Collection.of_name(same.name) == same
    assert Collection.of_name("lost+found-1") is None


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_filtered_search_is_that_of_all_points_one_by_one(data: st.DataObject) -> None:
    numbers = st.integers(0, 12)
    spans = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair) + 1))
    videos = data.draw(st.dictionaries(st.integers(1, 4), st.lists(spans, min_size=1, max_size=6)))
    chosen = PointFilter(
        levels=data.draw(st.none() | st.frozensets(st.sampled_from(LEVELS[1:5]))),
        video_ids=data.draw(st.none() | st.frozensets(st.integers(1, 5))),
        spans_ms=data.draw(
            st.none() | st.dictionaries(st.integers(1, 5), st.lists(spans, max_size=3))
        ),
    )
    levels = {v: data.draw(st.lists(st.sampled_from(LEVELS[1:5]), min_size=len(s), max_size=len(s)))
              for v, s in videos.items()}  # fmt: skip
    query = rows(77, 1)[0]
    wanted = []
    with tempfile.TemporaryDirectory() as folder:
        store = VectorFiles(Path(folder))
        for video_id, own in videos.items():
            points = levelled(video_id, own, list(levels[video_id]))
            store.upsert(CHUNKS, video_id, points)
            for place, (start, end) in enumerate(own):
                level, index = LEVELS[points.levels[place]], int(points.indexes[place])
                within = (chosen.spans_ms or {}).get(video_id)
                if (
                    (chosen.levels is None or level in chosen.levels)
                    and (chosen.video_ids is None or video_id in chosen.video_ids)
                    and (within is None or any(start < b and end > a for a, b in within))
                ):
                    likeness = float(points.vectors[place] @ query)
                    wanted.append((-likeness, video_id, LEVELS.index(level), index))
        hits = store.search(CHUNKS, query, chosen, 5)
    names = [(hit.video_id, LEVELS.index(hit.level), hit.clip_index) for hit in hits]
    assert names == [tuple(item[1:]) for item in sorted(wanted)[:5]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VectorServer]:
    yield from a_server(tmp_path)


def test_a_server_knows_a_video_by_its_labels_and_points_by_lasting_ids(
    server: VectorServer,
) -> None:
    made = levelled(1, [(0, 9000), (0, 3000)], ["macro", "micro"])
    labels = {"video_id": "a-uid", "camera_id": "yard-1", "site_id": None}
    labelled = Points(made.vectors, made.spans_ms, 1, 3, made.levels, made.indexes, labels=labels)
    for _ in range(2):
        server.upsert(CHUNKS, 7, labelled)
    assert server.count(CHUNKS) == 2
    name = point_id(CHUNKS, (7, "micro", 0))
    (point,) = server.client.retrieve(CHUNKS.name, [name], with_payload=True)
    assert point.payload is not None
    assert {k: point.payload.get(k) for k in ("video_id", "camera_id", "site_id", "level")} == {
        "video_id": "a-uid", "camera_id": "yard-1", "site_id": None, "level": "micro",
    }  # fmt: skip
    assert (point.payload["start_sec"], point.payload["end_sec"]) == (0.0, 3.0)
    fewer = Points(made.vectors[:1], made.spans_ms[:1], 1, 3, made.levels[:1], made.indexes[:1])
    server.upsert(CHUNKS, 7, fewer)
    assert server.count(CHUNKS) == 1


def test_a_server_that_is_not_there_is_trouble_that_passes() -> None:
    gone = open_server("http://127.0.0.1:9", None, 1.0)
    for ask in (
        lambda: gone.upsert(CHUNKS, 1, levelled(1, [(0, 1)], ["micro"])),
        lambda: gone.search(CHUNKS, rows(1)[0], ANY, 3),
        lambda: gone.delete_video(1),
        gone.collections,
    ):
        with pytest.raises(StoreError, match="SOPILOT_QDRANT_URL") as caught:
            ask()
        assert caught.value.retryable


def test_vectors_move_to_a_server_and_back(server: VectorServer, tmp_path: Path) -> None:
    here, back = VectorFiles(tmp_path / "here"), VectorFiles(tmp_path / "back")
    spans = [(0, 9000), (0, 3000), (1500, 4500)]
    for video_id in (1, 2, 3):
        here.upsert(CHUNKS, video_id, levelled(video_id, spans, ["macro", "micro", "micro"]))
    here.upsert(HERE, 1, points(5))
    counted = move_vectors(here, server, lambda _: {}, is_dry=True)
    assert [(m.copied_videos, m.is_same) for m in counted] == [(1, False), (3, False)]
    assert server.collections() == ()
    moved = move_vectors(here, server, lambda v: {"video_id": f"uid-{v}"})
    assert [(m.videos, m.points, m.copied_videos, m.is_same) for m in moved] == [
        (1, 5, 1, True), (3, 9, 3, True),
    ]  # fmt: skip
    kept = server.points_of(CHUNKS, 2)
    assert kept is not None
    assert kept.labels["video_id"] == "uid-2"
    assert [m.copied_videos for m in move_vectors(here, server, lambda _: {})] == [0, 0]
    here.upsert(CHUNKS, 2, levelled(8, spans[:2], ["macro", "micro"]))
    assert [m.copied_videos for m in move_vectors(here, server, lambda _: {})] == [0, 1]
    assert all(m.is_same for m in move_vectors(server, back, lambda _: {}))
    query = rows(9)[0]
    for collection in here.collections():
        found = [
            [(h.video_id, h.level, h.clip_index) for h in store.search(collection, query, ANY, 9)]
            for store in (here, server, back)
        ]
        assert found[0] == found[1] == found[2]


def test_a_store_without_a_video_says_so(store: VectorStore) -> None:
    assert store.points_of(HERE, 1) is None
    store.upsert(HERE, 1, points(1))
    assert store.points_of(HERE, 2) is None


@pytest.mark.parametrize("backend", ["embedded", "faiss", "npy"])
def test_older_names_mean_the_files(backend: str, tmp_path: Path) -> None:
    chosen = load_settings(data_dir=tmp_path, vector_backend=backend)
    assert vectors_of(chosen, chosen.vector_backend) == VectorFiles(tmp_path / "vectors")


def test_a_server_is_named_by_address_or_by_host_and_port(tmp_path: Path) -> None:
    named = load_settings(data_dir=tmp_path, vector_backend="qdrant", qdrant_url="http://q:1")
    opened = vectors_of(named, "qdrant")
    assert isinstance(opened, VectorServer)
    assert opened.url == "http://q:1"
    parts = {"qdrant_host": "box", "qdrant_port": 7000, "qdrant_api_key": "s3cret-key"}
    split = load_settings(data_dir=tmp_path, vector_backend="qdrant", **parts)
    assert split.resolved_qdrant_url == "http://box:7000"
    assert "s3cret-key" not in repr(vectors_of(split, "qdrant"))
    with pytest.raises(BadSettings, match="SOPILOT_QDRANT_URL"):
        load_settings(data_dir=tmp_path, vector_backend="qdrant")


def test_the_key_goes_to_the_server() -> None:
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("api-key"))
            body = b'{"result": {"collections": []}, "status": "ok", "time": 0}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.server_address[1]}"
        assert open_server(url, "s3cret-key", 5.0).collections() == ()
        listening.shutdown()
        thread.join()
    assert seen == ["s3cret-key"]
