"""Searching 50 000 timed texts against reading one row over HTTP, in turns.

The search is called as a route calls it: a snapshot of the database, ranking, the hits' rows.
"""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection
from itertools import accumulate
from pathlib import Path

from benchmarks.analytics import ONE_ROW
from benchmarks.harness import Options, Row, paired
from benchmarks.server import serving
from sopilot.core.config import load_settings
from sopilot.core.records import Role
from sopilot.core.timespan import TimeSpan
from sopilot.library import queries
from sopilot.library.annotations import (
    Kind,
    NewAnnotation,
    Source,
    TextFilter,
    put_annotations,
    search_texts,
)
from sopilot.library.schemas import UploadMeta
from sopilot.runtime import close_runtime, open_runtime
from sopilot.sop.tasks import ensure_task
from sopilot.store.engine import Database, open_database

VIDEO_COUNT = 100
TEXTS_PER_VIDEO = 500
WORD_COUNT = 20_000
WORDS_PER_TEXT = 12
REQUESTS = 9
"""Per query and round, after one that warms up."""
TARGET = 20.0
EVERYWHERE = TextFilter()
COMMONEST = "the commonest word"


def word(rank: int) -> str:
    """The word of a rank, from 0 for the commonest; letters that no stemmer changes."""
    letters = []
    for _ in range(4):
        rank, place = divmod(rank, 20)
        letters.append("bcdfghjklmnpqrtvwxza"[place])
    return "o".join(letters) + "o"


QUERIES: dict[str, tuple[str, TextFilter]] = {
    "two rare words": (f"{word(900)} {word(4000)}", EVERYWHERE),
    "three usual words": (f"{word(60)} {word(300)} {word(1000)}", EVERYWHERE),
    "a question with stop words": (
        " ".join(word(rank) for rank in (0, 1, 3, 8, 200, 700)),
        EVERYWHERE,
    ),
    COMMONEST: (word(0), EVERYWHERE),
    "usual words in one video": (
        f"{word(60)} {word(300)}",
        TextFilter(video_ids=frozenset([50])),
    ),
}


def rows(options: Options) -> Iterator[Row]:
    """One row per query: its median wall time against a one-row GET's."""
    folder = options.folder / "texts"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        fill(folder)
        taken = _measured(folder, options.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name in QUERIES:
        target = None if name == COMMONEST else TARGET
        row = Row("texts", name, "GET one row", target=target, basis="ms p50")
        yield paired(row, taken[name], taken[ONE_ROW])


def _measured(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Per work the median milliseconds of each round."""
    database = open_database(f"sqlite:///{folder / 'sopilot.db'}")
    taken: dict[str, list[float]] = {name: [] for name in (ONE_ROW, *QUERIES)}
    try:
        with serving(folder) as server:
            connection = HTTPConnection("127.0.0.1", server.port)
            works = {name: partial(_search, database, *asked) for name, asked in QUERIES.items()}
            works[ONE_ROW] = partial(_get, connection)
            for _ in range(rounds):
                for name, work in works.items():
                    taken[name].append(_median_ms(work))
            connection.close()
    finally:
        database.close()
    return taken


def _median_ms(work: Callable[[], None]) -> float:
    samples = []
    for _ in range(1 + REQUESTS):
        start = time.perf_counter()
        work()
        samples.append(1e3 * (time.perf_counter() - start))
    return statistics.median(samples[1:])


def _search(database: Database, query: str, chosen: TextFilter) -> None:
    with database.snapshot() as connection:
        if not search_texts(connection, query, chosen, 20):
            raise RuntimeError(f"{query!r} finds nothing")


def _get(connection: HTTPConnection) -> None:
    connection.request("GET", ONE_ROW)
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != 200:
        raise RuntimeError(f"{ONE_ROW} answered {reply.status}: {body[:300]!r}")


def fill(folder: Path, video_count: int = VIDEO_COUNT) -> None:
    """A SQLite installation with captions whose words are as frequent as those of a language."""
    settings = load_settings(data_dir=folder)
    runtime = open_runtime(settings)
    dice = random.Random(1)
    words = [word(rank) for rank in range(WORD_COUNT)]
    shares = [*accumulate(1.0 / (rank + 1) for rank in range(WORD_COUNT))]
    for number in range(video_count):
        with runtime.database.write() as connection:
            ensure_task(connection, settings, settings.primary_task_id)
            video_id = queries.insert_video(
                connection,
                task_id=settings.primary_task_id,
                role=Role.AUDIT,
                sha256=f"{number:064x}",
                size_bytes=1,
                meta=UploadMeta(),
                enforce_quality=False,
            )
            rows = [
                NewAnnotation(
                    Kind.TEXT,
                    TimeSpan(3.0 * at, 3.0 * at + 3.0),
                    " ".join(dice.choices(words, cum_weights=shares, k=WORDS_PER_TEXT)),
                )
                for at in range(TEXTS_PER_VIDEO)
            ]
            put_annotations(connection, video_id, Source.CAPTION, "bench", rows)
    close_runtime(runtime)
