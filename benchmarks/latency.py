"""What a trainee's video costs from its file to its verdict, per video minute, on one core."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cli import score_twice
from benchmarks.decode import decode_only
from benchmarks.footage import LENGTH_SEC, sample_720p
from benchmarks.harness import Options, Row, absolute, against, measure, one_core

LIMIT_SEC = 10.0
"""CPU seconds per video minute that the contract allows (SCORE-17: 3 to 10)."""
FLOOR_SEC = 3.0
"""CPU seconds of only decoding that minute on a quiet core (results/ingest.json)."""


def rows(options: Options) -> Iterator[Row]:
    """Against only decoding the same file, which a busy machine slows alike; and plain seconds."""
    source = sample_720p(options.folder)
    minutes = LENGTH_SEC / 60
    scored, decoded = [], []
    with one_core():
        for number in range(options.rounds):
            scored.append(score_twice(source, number)[1])
            decoded.append(measure(lambda: decode_only(source)))
    row = Row(
        "latency",
        "trainee to verdict",
        "decode only (PyAV)",
        target=round(LIMIT_SEC / FLOOR_SEC, 2),
    )
    yield against(row, scored, decoded)
    row = Row("latency", "trainee to verdict, per video minute", "as this machine is")
    yield absolute(row, [sample.cpu_sec / minutes for sample in scored], "CPU s")
