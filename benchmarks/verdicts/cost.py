"""Suite `cost`: CPU seconds of the features on top of decoding, and of comparing two videos.

Comparing is measured by `benchmarks.comparison`; features here, interleaved with decoding alone.
"""

from __future__ import annotations

from statistics import median

import cv2

from benchmarks.comparison import whole_rows
from benchmarks.decode import decode_only
from benchmarks.harness import Options, Sample, interleave, one_core
from benchmarks.verdicts.films import LIMITS, Footage
from benchmarks.verdicts.report import Report, Row, Table, floor_row, number
from benchmarks.verdicts.session import Session
from benchmarks.verdicts.standards import standards
from sopilot.core.config import Settings
from sopilot.core.records import Role
from sopilot.embed.open import open_embedder
from sopilot.media.decode import run_pass
from sopilot.media.probe import probe

ROUNDS = 3


def run(session: Session) -> Report:
    """Features of the golds of `standards` as trainees, the dearest of them judged."""
    listed = standards(session)
    session.prepare([item.footage for item in listed])
    with one_core():
        costs = {item.name: per_minute(item.footage, Role.TRAINEE) for item in listed}
        as_gold = {item.name: per_minute(item.footage, Role.GOLD) for item in listed[:1]}
        plain, ranged = whole_rows(Options(ROUNDS, session.options.work))
    rows = [
        floor_row("cost.features", max(costs.values(), default=None)),
        floor_row("cost.compare", plain.value),
        floor_row("cost.interval", ranged.value),
        *(Row(f"features of a gold, {name}", cost) for name, cost in as_gold.items()),
    ]
    lines = [(name, number(cost, 2)) for name, cost in costs.items()]
    table = Table("Features on top of decode", (("", "CPU s per video minute"), *lines))
    return Report("cost", tuple(rows), (table,), {"rounds": ROUNDS})


def per_minute(footage: Footage, role: Role) -> float:
    """CPU seconds of the features of one video minute, decoding taken off; median of the rounds."""
    cv2.setNumThreads(1)
    info = probe(footage.path, LIMITS, "0" * 64)

    def decode() -> None:
        decode_only(footage.path)

    def features() -> None:
        consumer = open_embedder(Settings()).consumer(info, role)
        consumer.finish(run_pass(footage.path, info, [consumer]).duration_sec)

    bare, whole = interleave([decode, features], ROUNDS)
    return median(_extra(a, b) for a, b in zip(bare, whole, strict=True)) * 60 / info.duration_sec


def _extra(bare: Sample, whole: Sample) -> float:
    return whole.cpu_sec - bare.cpu_sec
