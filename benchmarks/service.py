"""Reading one row over HTTP against a plain async endpoint of the same server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.footage import small_sample
from benchmarks.harness import Options, Row, paired
from benchmarks.server import PLAIN_PATH, Server, get, serving
from sopilot.cli.local import bring_in, opened
from sopilot.core.config import load_settings
from sopilot.core.log import configure_logging
from sopilot.core.records import Role

CONNECTIONS = 16
REQUESTS = 100
"""Per connection and sample: long enough for the clock, short enough to interleave."""


def rows(options: Options) -> Iterator[Row]:
    """One row: CPU time of the server process per request."""
    configure_logging("ERROR", "console")
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        with opened(load_settings(data_dir=data_dir)) as runtime:
            video = bring_in(runtime, small_sample(options.folder), "bench", Role.GOLD)
        with serving(data_dir) as server:
            row = Row(
                "service",
                "GET one row",
                "async JSON endpoint",
                target=2.0,
                basis="CPU us per request",
            )
            yield _measured(row, server, f"/videos/{video.id}", options.rounds)


def _measured(row: Row, server: Server, path: str, rounds: int) -> Row:
    taken: dict[str, list[float]] = {path: [], PLAIN_PATH: []}
    for index in range(-1, rounds):
        for one in (path, PLAIN_PATH) if index % 2 else (PLAIN_PATH, path):
            spent_sec = server.cpu_of([[get(one)] * REQUESTS] * CONNECTIONS)
            if index >= 0:  # the first round warms up
                taken[one].append(1e6 * spent_sec / (REQUESTS * CONNECTIONS))
    return paired(row, taken[path], taken[PLAIN_PATH])
