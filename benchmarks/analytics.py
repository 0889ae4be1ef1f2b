"""Every analytics route on 100 000 completed scores against reading one row, over HTTP."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.harness import Options, Row, paired
from benchmarks.server import Server, serving
from sopilot.core.config import load_settings
from sopilot.runtime import close_runtime, open_runtime
from sopilot.sop.tasks import ensure_task
from sopilot.store.times import text_of

SCORE_COUNT = 100_000
OPERATOR_COUNT = 500
SITE_COUNT = 20
STEP_COUNT = 6
REVIEWED_SHARE = 0.05
RESULT_BYTES = 8_000
"""A result of a two-minute video; it lies between the columns that analytics read."""
_AUDIT_ROW = (
    "INSERT INTO audit_log (seq, ts, actor, role, action, resource, outcome, detail, prev_hash,"
    " hash) SELECT coalesce(max(seq), 0) + 1, '', 'bench', '', 'score.completed', '', 'ok', '{}',"
    " '', '' FROM audit_log"
)
"""What every change writes beside its row; the chain itself is not looked at here."""
REQUESTS = 9
"""Per route and round, after one that warms up."""
TARGET = 50.0
ONE_ROW = "/videos/1"
_SPAN = (
    (datetime.now(UTC) - timedelta(days=200)).replace(day=2),
    (datetime.now(UTC) - timedelta(days=40)).replace(day=20),
)
"""Nearly two dekads lie at its ends that are not whole in it."""
FILTERS = (
    "",
    "task_id=pilot_task",
    "site_id=site-7",
    "operator_id_hash=operator-7",
    "days=90",
    f"from={_SPAN[0]:%Y-%m-%dT%H:%M:%SZ}&to={_SPAN[1]:%Y-%m-%dT%H:%M:%SZ}",
    "task_id=pilot_task&site_id=site-7&days=90",
)
OF_ALL = ("/analytics", "/analytics/compliance", "/analytics/steps")
OF_ONE = (
    "/analytics/operators/operator-7/trend",
    "/analytics/operators/operator-7/projection",
    "/analytics/recommendations/operator-7",
)
ROUTES = (
    *(f"{path}?{chosen}".rstrip("?") for path in OF_ALL for chosen in FILTERS),
    *(f"{path}?{chosen}".rstrip("?") for path in OF_ONE for chosen in (*FILTERS[:2], *FILTERS[4:])),
)
CHANGES = {
    "score": "UPDATE scores SET score = :points, decision = :decision WHERE id = :id",
    "video": "UPDATE videos SET site_id = :site, operator_id_hash = :operator WHERE id = :id",
    "review": (
        "INSERT INTO score_reviews (score_id, verdict, reviewer, created_at, updated_at) "
        "VALUES (:id, :decision, 'bench', '', '') "
        "ON CONFLICT (score_id) DO UPDATE SET verdict = excluded.verdict"
    ),
}
"""What a change writes, beside its row of the audit log; one of the 100 000, drawn each time."""
DECISIONS = ("pass", "pass", "needs_review", "retrain", "fail")


def rows(options: Options) -> Iterator[Row]:
    """One row per route: its median wall time against a one-row GET's, in turns."""
    folder = options.folder / "analytics"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        fill(folder)
        with serving(folder) as server:
            taken = _measured(server, folder, options.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, medians in taken.items():
        if name != ONE_ROW:
            row = Row("analytics", f"GET {name}", "GET one row", target=TARGET, basis="ms p50")
            yield paired(row, medians, taken[ONE_ROW])


def _measured(server: Server, data_dir: Path, rounds: int) -> dict[str, list[float]]:
    """Per route the median milliseconds of each round, as it is and when each request finds a
    change: of a score, of a video, of a review, whichever takes longest."""
    connection = HTTPConnection("127.0.0.1", server.port)
    database = sqlite3.connect(data_dir / "sopilot.db", isolation_level=None)
    dice = random.Random(5)

    def change(statement: str) -> None:
        operator = dice.randrange(OPERATOR_COUNT)
        values = {
            "id": dice.randrange(SCORE_COUNT) + 1,
            "points": round(dice.uniform(30, 100), 2),
            "decision": dice.choice(DECISIONS),
            "site": f"site-{operator % SITE_COUNT}",
            "operator": f"operator-{operator}",
        }
        database.execute("BEGIN IMMEDIATE")
        database.execute(statement, values)
        database.execute(_AUDIT_ROW)
        database.execute("COMMIT")

    def after_a_change(route: str) -> float:
        prepared = (partial(change, statement) for statement in CHANGES.values())
        return max(_median_ms(connection, route, prepare) for prepare in prepared)

    works: dict[str, Callable[[], float]] = {ONE_ROW: partial(_median_ms, connection, ONE_ROW)}
    for route in ROUTES:
        works[route] = partial(_median_ms, connection, route)
        works[f"{route} after a change"] = partial(after_a_change, route)
    taken: dict[str, list[float]] = {name: [] for name in works}
    try:
        _median_ms(connection, OF_ALL[0])  # all cells are counted here, once after filling in
        for _ in range(rounds):
            for name, work in works.items():
                taken[name].append(work())
    finally:
        connection.close()
        database.close()
    return taken


def _nothing() -> None:
    """The preparation of a request that finds the database as the one before left it."""


def _median_ms(
    connection: HTTPConnection, route: str, prepare: Callable[[], None] = _nothing
) -> float:
    samples = []
    for _ in range(1 + REQUESTS):
        prepare()
        start = time.perf_counter()
        connection.request("GET", route)
        reply = connection.getresponse()
        body = reply.read()
        samples.append(1e3 * (time.perf_counter() - start))
        if reply.status != 200:
            raise RuntimeError(f"{route} answered {reply.status}: {body[:300]!r}")
    return statistics.median(samples[1:])


def fill(data_dir: Path, score_count: int = SCORE_COUNT) -> None:
    """A SQLite installation with `score_count` completed scores, each of a video of its own."""
    settings = load_settings(data_dir=data_dir)
    runtime = open_runtime(settings)
    with runtime.database.write() as connection:
        ensure_task(connection, settings, settings.primary_task_id)
    close_runtime(runtime)
    connection = sqlite3.connect(data_dir / "sopilot.db")
    connection.execute("PRAGMA synchronous=OFF")
    for table, made in _tables(score_count, settings.primary_task_id).items():
        _insert(connection, table, made)
    connection.commit()
    connection.execute("ANALYZE")  # as POST /admin/optimize does
    connection.commit()
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, made: Iterator[dict[str, Any]]) -> None:
    first = next(made)
    names, marks = ", ".join(first), ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    connection.execute(statement, tuple(first.values()))
    connection.executemany(statement, (tuple(row.values()) for row in made))


def _tables(score_count: int, task_id: str) -> dict[str, Iterator[dict[str, Any]]]:
    start = datetime.now(UTC) - timedelta(minutes=5 * score_count)
    times = [text_of(start + timedelta(minutes=5 * number)) for number in range(score_count)]
    return {
        "jobs": _jobs(times),
        "videos": _videos(times, task_id),
        "scores": _scores(times, task_id),
        "score_steps": _steps(score_count),
        "score_reviews": _reviews(times),
    }


def _jobs(times: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, at in enumerate(times, 1):
        yield {
            "id": number,
            "uid": f"job-{number}",
            "kind": "score",
            "queue": "score",
            "state": "completed",
            "payload": "{}",
            "requested_by": "bench",
            "attempt": 1,
            "max_attempts": 3,
            "run_after": at,
            "fence": 1,
            "progress": 1.0,
            "cancel_requested": False,
            "created_at": at,
            "updated_at": at,
        }


def _videos(times: Sequence[str], task_id: str) -> Iterator[dict[str, Any]]:
    dice = random.Random(1)
    info = json.dumps({"about": "i" * 1200})  # as much as info and quality take together
    for number, at in enumerate(times, 1):
        operator = dice.randrange(OPERATOR_COUNT)
        yield {
            "id": number,
            "uid": f"video-{number}",
            "task_id": task_id,
            "role": "trainee",
            "status": "ready",
            "sha256": f"{number:064x}",
            "size_bytes": 1,
            "site_id": f"site-{operator % SITE_COUNT}",
            "operator_id_hash": f"operator-{operator}",
            "enforce_quality": False,
            "info": info,
            "created_at": at,
            "updated_at": at,
        }


def _scores(times: Sequence[str], task_id: str) -> Iterator[dict[str, Any]]:
    dice = random.Random(2)
    result = json.dumps({"alignment": "r" * RESULT_BYTES})
    for number, at in enumerate(times, 1):
        yield {
            "id": number,
            "uid": f"score-{number}",
            "job_id": number,
            "task_id": task_id,
            "gold_video_id": 1,
            "gold_video_ids": "[1]",
            "trainee_video_id": number,
            "score": round(dice.uniform(30, 100), 2),
            "decision": dice.choice(DECISIONS),
            "result": result,
            "requested_by": "bench",
            "created_at": at,
            "updated_at": at,
            "completed_at": at,
        }


def _steps(score_count: int) -> Iterator[dict[str, Any]]:
    dice = random.Random(3)
    for number in range(1, score_count + 1):
        for step in range(STEP_COUNT):
            yield {
                "score_id": number,
                "step_index": step,
                "is_missing": dice.random() < 0.05,
                "is_deviating": dice.random() < 0.1,
                "is_swapped": dice.random() < 0.02,
                "is_over_time": dice.random() < 0.1,
                "actual_sec": 4.0,
            }


def _reviews(times: Sequence[str]) -> Iterator[dict[str, Any]]:
    dice = random.Random(4)
    for number, at in enumerate(times, 1):
        if number == 1 or dice.random() < REVIEWED_SHARE:
            yield {
                "score_id": number,
                "verdict": dice.choice(DECISIONS),
                "reviewer": "bench",
                "created_at": at,
                "updated_at": at,
            }
